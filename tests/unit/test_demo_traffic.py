from __future__ import annotations

import json
import socket
import threading
import time
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any

import aiohttp
import numpy as np
import pandas as pd
import pytest

from services.demo import flights, traffic
from services.demo.traffic import Replay

Rows = list[dict[str, Any]]
Reply = tuple[int, bytes, Mapping[str, str]]
FIRST_ID = 100


def rows(*per_day: int) -> pd.DataFrame:
    """So many flights on the 1st, 2nd, ... of February, each day's last one at 23:59; `distance` tells them apart."""
    times = [
        pd.Timestamp("2013-02-01", tz="UTC") + pd.Timedelta(days=day, minutes=1439 if i == n - 1 else 0)
        for day, n in enumerate(per_day)
        for i in range(n)
    ]
    made: dict[str, Any] = {"flight_id": np.arange(FIRST_ID, FIRST_ID + len(times)), "time_hour": times}
    made |= dict.fromkeys(flights.WEATHER, 1.0)
    made |= {"distance": np.arange(len(times)), "hour": 5, "carrier": "UA", "origin": "EWR", "late": 0}
    return pd.DataFrame(made)[flights.COLUMNS]


def replay(url: str, frame: pd.DataFrame, batch: int = 4, pace: float = 1000.0) -> tuple[Replay, list[tuple[str, Any]]]:
    days: list[tuple[str, Any]] = []
    return Replay(frame, url, batch, pace, on_day=lambda day, over: days.append((day, over))), days


def right(instances: Rows) -> Reply:
    predictions = [{"label": "0", "score": row["distance"] / 1000} for row in instances]
    return 200, json.dumps({"predictions": predictions}).encode(), {"x-serinus-version": "3"}


@contextmanager
def endpoint(answer: Callable[[Rows], Reply | None]) -> Iterator[str]:
    """A server that answers as told; None closes the connection without a word."""

    class Handler(BaseHTTPRequestHandler):
        protocol_version = "HTTP/1.1"
        wbufsize = -1

        def do_POST(self) -> None:
            body = json.loads(self.rfile.read(int(self.headers["content-length"])))
            reply = answer(body["instances"])
            if reply is None:
                self.close_connection = True
                return
            status, content, headers = reply
            self.send_response(status)
            for name, value in {"content-type": "application/json", **headers}.items():
                self.send_header(name, value)
            if "content-length" not in headers:
                self.send_header("content-length", str(len(content)))
            self.end_headers()
            self.wfile.write(content)
            self.close_connection = "content-length" in headers

        def log_message(self, format: str, *args: object) -> None:
            pass

    class Server(ThreadingHTTPServer):
        daemon_threads = True
        request_queue_size = 128

        def handle_error(self, request: object, client_address: object) -> None:
            pass  # a caller that gave up

    server = Server(("127.0.0.1", 0), Handler)
    thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.02})
    thread.start()
    try:
        yield f"http://127.0.0.1:{server.server_port}/v1/models/flight-delay:predict"
    finally:
        server.shutdown()
        thread.join()
        server.server_close()


def test_every_flight_is_sent_once_in_requests_of_the_batch_size_and_each_answer_is_kept() -> None:
    got: list[Rows] = []

    def answer(instances: Rows) -> Reply:
        got.append(instances)
        return right(instances)

    with endpoint(answer) as url:
        sent, _ = replay(url, frame := rows(5, 6))
        sent.run()

    assert sorted(len(instances) for instances in got) == [3, 4, 4]
    by_distance = sorted((row for each in got for row in each), key=lambda row: row["distance"])
    assert by_distance == list(flights.asked(frame))
    answers = sorted(sent.answers, key=lambda a: a.first)
    assert [(a.first, a.rows, a.status, a.version) for a in answers] == [
        (100, 4, 200, 3),
        (104, 4, 200, 3),
        (108, 3, 200, 3),
    ]
    assert [score for a in answers for score in a.scores] == [i / 1000 for i in range(11)]
    assert all(a.sent >= 0 and a.seconds > 0 for a in answers)


def test_requests_leave_at_the_pace_and_do_not_wait_for_each_other() -> None:
    together = threading.Barrier(10)

    def answer(instances: Rows) -> Reply:
        together.wait(10)  # nobody is answered before ten are under way
        return right(instances)

    with endpoint(answer) as url:
        sent, _ = replay(url, rows(30), batch=1, pace=30.0)
        sent.run()

    assert [a.status for a in sent.answers] == [200] * 30
    lateness = np.sort([a.sent for a in sent.answers]) - np.arange(30) / 30.0
    assert lateness.min() > -0.01
    assert np.median(lateness) < 0.5


def test_days_are_handed_over_in_order_and_complete_the_last_one_too() -> None:
    frame = rows(5, 6, 3)
    with endpoint(right) as url:
        sent, days = replay(url, frame)
        sent.run()

    assert [day for day, _ in days] == ["2013-02-01", "2013-02-02", "2013-02-03"]
    assert [len(over) for _, over in days] == [5, 6, 3]
    pd.testing.assert_frame_equal(pd.concat([over for _, over in days]), frame)
    assert sent.day == "2013-02-03"


def test_days_that_begin_and_end_within_one_request_are_days_of_their_own() -> None:
    with endpoint(right) as url:
        sent, days = replay(url, rows(6, 1, 1, 5), batch=8)
        sent.run()

    assert [(day, len(over)) for day, over in days] == [
        ("2013-02-01", 6),
        ("2013-02-02", 1),
        ("2013-02-03", 1),
        ("2013-02-04", 5),
    ]


def test_a_day_is_handed_over_when_the_next_one_begins_and_not_before() -> None:
    seen: list[tuple[str, str, int]] = []

    def note(day: str, over: pd.DataFrame) -> None:
        seen.append((day, sent.day, len(over)))

    with endpoint(right) as url:
        sent = Replay(rows(2, 2, 2), url, 1, 1000.0, on_day=note)
        sent.run()

    # `Replay.day` is that of the latest request: none of the next day has left when a day is handed over.
    assert seen == [(day, day, 2) for day in ("2013-02-01", "2013-02-02", "2013-02-03")]


def broken_off(instances: Rows) -> Reply:
    _, content, _ = right(instances)
    return 200, content, {"content-length": str(len(content) + 50)}


def hung_up(instances: Rows) -> None:
    return None


def said(status: int, content: bytes, **headers: str) -> Callable[[Rows], Reply]:
    return lambda _: (status, content, headers)


@pytest.mark.parametrize(
    ("answer", "status"),
    [
        pytest.param(said(500, b'{"error": "KeyError"}'), 500, id="500"),
        pytest.param(said(503, b"no healthy upstream"), 503, id="503"),
        pytest.param(said(400, b"[]"), 400, id="400"),
        pytest.param(said(200, b"<html>"), 0, id="no JSON"),
        pytest.param(said(200, b"\xff\xfe{"), 0, id="no text"),
        pytest.param(said(200, b""), 0, id="nothing"),
        pytest.param(said(200, b"null"), 0, id="null"),
        pytest.param(said(200, b"[1, 2]"), 0, id="a list"),
        pytest.param(said(200, b'{"outputs": []}'), 0, id="no predictions"),
        pytest.param(said(200, b'{"predictions": []}'), 0, id="no prediction"),
        pytest.param(said(200, b'{"predictions": 7}'), 0, id="a number for predictions"),
        pytest.param(said(200, b'{"predictions": [1, 2, 3, 4]}'), 0, id="numbers for predictions"),
        pytest.param(said(200, b'{"predictions": [{"score": 0.5}]}'), 0, id="fewer predictions than rows"),
        pytest.param(said(200, b'{"predictions": [' + b'{"score": null},' * 3 + b'{"score": 1}]}'), 0, id="null score"),
        pytest.param(said(200, b'{"predictions": [' + b'{"score": NaN},' * 3 + b'{"score": 1}]}'), 0, id="NaN score"),
        pytest.param(said(200, b'{"predictions": [' + b'{"label": "0"},' * 3 + b'{"score": 1}]}'), 0, id="no score"),
        pytest.param(broken_off, 0, id="broken off"),
        pytest.param(hung_up, 0, id="hung up"),
    ],
)
def test_a_wrong_answer_is_kept_as_such_and_the_rest_goes_on(
    answer: Callable[[Rows], Reply | None], status: int
) -> None:
    def second_is_wrong(instances: Rows) -> Reply | None:
        return answer(instances) if instances[0]["distance"] == 4 else right(instances)

    with endpoint(second_is_wrong) as url:
        sent, days = replay(url, rows(12))
        sent.run()

    found = {a.first: (a.status, len(a.scores), a.rows) for a in sent.answers}
    assert found == {100: (200, 4, 4), 104: (status, 0, 4), 108: (200, 4, 4)}
    assert len(days) == 1


@pytest.mark.parametrize(("header", "version"), [("17", 17), ("", None), ("abc", None), ("-2", None)])
def test_who_answered_is_told_by_the_header_also_of_an_error(header: str, version: int | None) -> None:
    with endpoint(said(500, b"{}", **{"x-serinus-version": header})) as url:
        sent, _ = replay(url, rows(1))
        sent.run()

    assert [(a.status, a.version) for a in sent.answers] == [(500, version)]


def test_refused_connections_are_answers_too() -> None:
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))  # bound and never listening: whoever connects is refused
        sent, days = replay(f"http://127.0.0.1:{taken.getsockname()[1]}/", rows(8, 4))
        sent.run()

    assert [(a.status, a.version, a.scores) for a in sent.answers] == [(0, None, ())] * 3
    assert sorted(a.first for a in sent.answers) == [100, 104, 108]
    assert [len(over) for _, over in days] == [8, 4]


def test_who_never_answers_is_given_up(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(traffic, "TIMEOUT", aiohttp.ClientTimeout(total=0.3))
    over = threading.Event()

    def answer(instances: Rows) -> Reply:
        if instances[0]["distance"] == 0:
            over.wait(20)
        return right(instances)

    with endpoint(answer) as url:
        sent, _ = replay(url, rows(8))
        sent.run()
        over.set()

    assert {a.first: a.status for a in sent.answers} == {100: 0, 104: 200}
    assert next(a.seconds for a in sent.answers if a.status == 0) >= 0.3


def test_stop_ends_it_soon_with_the_answers_under_way_and_keeps_back_the_day_that_is_not_over() -> None:
    with endpoint(right) as url:
        sent, days = replay(url, rows(5, 100_000), batch=1, pace=200.0)
        thread = threading.Thread(target=sent.run)
        thread.start()
        deadline = time.monotonic() + 30
        while len(sent.answers) < 10:
            assert thread.is_alive()
            assert time.monotonic() < deadline
            time.sleep(0.005)
        sent.stop()
        stopped = time.monotonic()
        thread.join(30)
        took = time.monotonic() - stopped

    assert not thread.is_alive()
    assert took < 5.0
    ids = sorted(a.first for a in sent.answers)
    assert ids == list(range(FIRST_ID, FIRST_ID + len(ids)))  # all that was sent was answered
    assert [a.status for a in sent.answers] == [200] * len(ids)
    assert [(day, len(over)) for day, over in days] == [("2013-02-01", 5)]


def test_a_stop_before_the_first_request_sends_none() -> None:
    sent, days = replay("http://127.0.0.1:9/", rows(3))
    sent.stop()
    sent.run()
    assert (sent.answers, days) == ([], [])
