"""The collector as a process: what it takes, what it refuses, and what it says while it cannot."""

from __future__ import annotations

import contextlib
import http.client
import json
import socket
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import httpx
import pytest

from serinus.adapters.collector_api import CollectorClient
from serinus.adapters.records_tables import ticks
from serinus.decide.audit import pseudonym, verify
from serinus.errors import Fatal
from serinus.facts import Label, Prediction, RowsQuestion, Taken, TallyQuestion, Window
from tests.servers.collector import KEY, Collector, collector
from tests.servers.prometheus import until

NOW = datetime.now(UTC)
JSON, CSV = {"content-type": "application/json"}, {"content-type": "text/csv"}


@pytest.fixture(scope="module")
def server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Collector]:
    """One that the tests share; each has a loop of its own. Its limits are small."""
    folder = tmp_path_factory.mktemp("collector")
    small = ("--max-body", "100000", "--upload", "1", "--queue", "4", "--threads", "2")
    with collector(folder, f"sqlite:///{folder}/records.db", *small) as running:
        yield running


def post(server: Collector, path: str, body: object, headers: dict[str, str] | None = None) -> httpx.Response:
    content = body if isinstance(body, bytes) else json.dumps(body).encode()
    return httpx.post(server.url + path, content=content, headers=headers or JSON, timeout=30)


def row(name: str, **more: Any) -> dict[str, Any]:
    basic = {"id": name, "version": 3, "time": NOW.isoformat(), "features": {"n": 1, "city": "Zürich"}, "score": 0.25}
    return {**basic, "answer": "no", **more}


def prediction(name: str, **more: Any) -> Prediction:
    return Prediction(**{"id": name, "version": 1, "time": NOW, "features": {}, "score": 0.5, "answer": "no", **more})


# --- what it takes ---------------------------------------------------------------------------------------------------


def test_of_a_batch_the_good_rows_are_kept_and_the_others_are_named(server: Collector) -> None:
    wrong = [17, row("x", version="3"), row("x", features=[]), row("x", time="yesterday"), row("x", score="much")]
    rows = [row("a"), *wrong, row("x", features={"n": [1]}), row("a"), row("b")]
    answer = post(server, "/loops/team/batch/predictions", {"predictions": rows})
    assert answer.status_code == 200
    assert answer.json()["outcomes"] == {"new": 2, "doubled": 1, "invalid": 6}
    problems = answer.json()["problems"]
    assert problems[0] == "predictions[1]: expected an object, got 17"
    assert "predictions[2]: version: expected a whole number, got '3'" in problems
    found = server.client("team").find("batch", ["a", "b", "x"])
    assert [record.prediction.id for record in found] == ["a", "b"]
    assert found[0].prediction.features == {"n": 1.0, "city": "Zürich"}


def test_of_rows_by_columns_the_good_ones_are_kept_and_the_others_are_named(server: Collector) -> None:
    def cells(name: object, time: object = ticks(NOW), score: object = 0.25, number: object = 1.5) -> list[object]:
        return [name, time, score, "no", "", number, "Zürich"]

    wrong = [17, ["x"], cells(1), cells("x", "today"), cells("x", 2**62), cells("x", score="much"), cells("x", score=2),
             cells("x", number=[1])]  # fmt: skip
    body = {"version": 3, "features": ["n", "city"], "rows": [cells("a"), *wrong, cells("a"), cells("b")]}
    answer = post(server, "/loops/team/columns/predictions", body)
    assert answer.status_code == 200
    assert answer.json()["outcomes"] == {"new": 2, "doubled": 1, "invalid": 8}
    assert answer.json()["problems"] == [
        "rows[1]: expected a list of 7: id, time, score, answer, key and 2 features, got 17",
        "rows[2]: expected a list of 7: id, time, score, answer, key and 2 features, got a list of 1",
        "rows[3]: id: expected a text, got 1",
        "rows[4]: time: expected microseconds since 1970, got 'today'",
        "rows[5]: time: expected microseconds since 1970, got 4611686018427387904",
        "rows[6]: score: expected a finite number, got 'much'",
        "prediction 'x': expected a score from 0 to 1, got 2",
        "prediction 'x': expected numbers and text as score and features:"
        " float() argument must be a string or a real number, not 'list'",
    ]
    found = server.client("team").find("columns", ["a", "b", "x"])
    assert [record.prediction.id for record in found] == ["a", "b"]
    assert found[0].prediction == prediction("a", version=3, score=0.25, features={"n": 1.5, "city": "Zürich"})
    assert post(server, "/loops/team/columns/predictions", {**body, "rows": []}).json()["outcomes"] == {}


def test_labels_come_as_json_and_as_csv(server: Collector) -> None:
    client = server.client()
    client.add("labels", [prediction(name, key=f"k{name}") for name in "abcdef"])
    said = post(server, "/loops/local/labels/labels", {"labels": [
        {"id": "a", "truth": "no"}, {"key": "kb", "truth": 1, "at": NOW.isoformat()}, {"id": "c", "truth": True},
        {"id": "d"}, {"truth": "no"}, {"id": "d", "truth": "no", "ad": "a typing mistake"},
        {"id": "later", "truth": "no"}, {"key": 7, "truth": "no"},
    ]})  # fmt: skip
    assert said.json()["outcomes"] == {"joined": 3, "invalid": 3, "waiting": 2}
    rows = '\ufefftruth,id,key,at\r\nyes,d,,2026-01-02T03:04:05Z\r\n\r\n"a, b",,ke,\r\nno,f\r\n,f,,\r\nno,f,,soon\r\n'
    said = post(server, "/loops/local/labels/labels", rows.encode(), CSV)
    assert said.json()["outcomes"] == {"joined": 2, "invalid": 3}
    assert said.json()["problems"][0] == "row 5: expected 4 cells, got 2"
    truths = {record.prediction.id: record.truth for record in client.find("labels", list("abcdef"))}
    assert truths == {"a": "no", "b": "1", "c": "True", "d": "yes", "e": "a, b", "f": None}


@pytest.mark.parametrize(
    ("path", "headers", "body", "status", "said"),
    [
        ("predictions", JSON, b"{", 400, "expected JSON"),
        ("predictions", JSON, b"[]", 400, "expected a JSON object"),
        ("predictions", JSON, b"{}", 400, "predictions: expected a list"),
        ("predictions", JSON, b'{"predictions": [], "hash": "a"}', 400, "hash: expected a list"),
        ("predictions", JSON, b'{"rows": 7, "version": 1, "features": []}', 400, "rows: expected a list, got 7"),
        ("predictions", JSON, b'{"rows": [], "version": "1"}', 400, "version: expected a whole number, got '1'"),
        ("predictions", JSON, b'{"rows": [], "version": 1, "features": "n"}', 400, "features: expected a list"),
        ("predictions", JSON, b'{"rows": [], "version": 1, "features": [1]}', 400, "features: expected a list"),
        ("predictions", JSON, b'{"rows": [], "version": 1, "features": ["n", "n"]}', 400, "each once"),
        ("predictions", JSON, b'{"rows": [], "predictions": []}', 400, "either predictions or rows"),
        ("predictions", {"content-type": "text/plain"}, b'{"predictions": []}', 415, "content type application/json"),
        ("predictions", {**JSON, "content-encoding": "gzip"}, b"", 415, "not compressed"),
        ("predictions", JSON, b'{"predictions": [' + b" " * 100_000, 413, "at most 100000 bytes"),
        ("labels", JSON, b'{"label": []}', 400, "got an object with label"),
        ("labels", JSON, b'{"labels": [{"truth": 1e999}]}', 400, "expected JSON"),
        ("labels", CSV, b"", 400, "expected a header"),
        ("labels", CSV, b"id,value\n", 400, "got the column 'value'"),
        ("labels", CSV, b"id,id,truth\n", 400, "a column twice"),
        ("labels", CSV, b"truth\nyes\n", 400, "expected a header"),
        ("labels", CSV, b"id,truth\n\xff,yes\n", 400, "UTF-8"),
        ("labels", CSV, b'id,truth\n"a,yes\n', 400, "expected CSV"),
        ("tally", JSON, b"{}", 400, "expected TallyQuestion"),
        ("tally", JSON, b'{"start":"2026-01-01T00:00:00Z","end":"2026-12-01T00:00:00Z","every":1}', 400, "windows"),
        ("tally", JSON, b'{"start":"2026-01-01T00:00:00Z","end":"2026-12-01T00:00:00Z","every":0}', 400, "windows"),
        ("tally", JSON, b'{"start":"2026-01-01T00:00:00","end":"2026-12-01T00:00:00","every":1e9}', 400, "offset"),
        ("rows", JSON, b'{"window":{"start":"2026-01-01T00:00:00Z","end":"2026-12-01T00:00:00Z"},"limit":100001}',
         400, "at most 100000"),
        ("find", JSON, b'{"ids": [1]}', 400, "ids: expected a list"),
        ("erase", JSON, b'{"ids": ["a"], "by": 7}', 400, "by: expected a name"),
        ("expire", JSON, b'{"before": "yesterday"}', 400, "before: expected a time"),
        ("nothing", JSON, b"{}", 404, "nothing is at"),
    ],
    ids=lambda value: value[:30].decode(errors="replace") if isinstance(value, bytes) else None,
)  # fmt: skip
def test_what_cannot_be_taken_is_refused_with_what_was_expected(
    server: Collector, path: str, headers: dict[str, str], body: bytes, status: int, said: str
) -> None:
    answer = post(server, f"/loops/local/refused/{path}", body, headers)
    assert (answer.status_code, said in answer.json()["error"]) == (status, True), answer.text
    assert "Traceback" not in answer.text


@pytest.mark.parametrize("place", ["UPPER/a", "a/..%2fb", "a/" + "x" * 64, "-a/b", "a/b/c", "%00/a"])
def test_names_that_no_loop_has_are_nowhere(server: Collector, place: str) -> None:
    assert post(server, f"/loops/{place}/predictions", {"predictions": []}).status_code == 404


def test_another_method_is_told_which_one_is_right(server: Collector) -> None:
    answer = httpx.get(f"{server.url}/loops/local/a/predictions")
    assert (answer.status_code, "expected POST, got GET" in answer.json()["error"]) == (405, True)


def test_a_connection_outlives_what_was_refused_on_it(server: Collector) -> None:
    connection = http.client.HTTPConnection("127.0.0.1", server.port, timeout=10)
    with contextlib.closing(connection):
        connection.connect()
        mine = connection.sock
        for body, status in ((b"{", 400), (b" " * 200_000, 413), (b'{"predictions": []}', 200)):
            connection.request("POST", "/loops/local/a/predictions", body, JSON)
            answer = connection.getresponse()
            answer.read()
            assert (answer.status, connection.sock) == (status, mine)


def test_a_body_of_unknown_length_is_bounded_as_well(server: Collector) -> None:
    answer = httpx.post(
        f"{server.url}/loops/local/a/predictions", content=iter([b" " * 60_000] * 3), headers=JSON, timeout=30
    )
    assert answer.status_code == 413


def test_a_body_that_never_ends_is_given_up(server: Collector) -> None:
    with socket.create_connection(("127.0.0.1", server.port), timeout=20) as slow:
        slow.sendall(
            b"POST /loops/local/a/predictions HTTP/1.1\r\nhost: x\r\ncontent-type: application/json\r\n"
            b"content-length: 100\r\n\r\n{"
        )
        answer = slow.recv(10_000)
        assert b" 408 " in answer.split(b"\r\n")[0]
        assert b"within 1 s, got 1 bytes" in answer + slow.recv(10_000)
        assert slow.recv(1) == b"", "the connection is closed"


def test_a_body_too_large_to_be_read_to_its_end_closes_the_connection(server: Collector) -> None:
    with socket.create_connection(("127.0.0.1", server.port), timeout=20) as large:
        large.sendall(
            b"POST /loops/local/a/predictions HTTP/1.1\r\nhost: x\r\ncontent-type: application/json\r\n"
            b"content-length: 100000000\r\n\r\n"
        )
        answer = b""
        while piece := large.recv(10_000):
            answer += piece
        assert b" 413 " in answer.split(b"\r\n")[0]


def test_hashed_columns_are_kept_as_hashes_under_the_key(server: Collector, tmp_path: Path) -> None:
    rows = [
        row(name, features={"city": city, "n": n}) for name, city, n in (("a", "x", 1), ("b", "x", 2), ("c", "y", 1))
    ]
    answer = post(server, "/loops/local/hashed/predictions", {"hash": ["city"], "predictions": rows})
    assert answer.json()["outcomes"] == {"new": 3}
    a, b, c = (record.prediction.features for record in server.client().find("hashed", list("abc")))
    assert a["city"] == b["city"] != c["city"]
    assert a["city"] not in ("x", "y")
    assert (a["n"], b["n"]) == (1, 2)


def test_without_a_key_nothing_is_hashed_and_nothing_is_kept(tmp_path: Path) -> None:
    database = f"sqlite:///{tmp_path}/records.db"
    with collector(tmp_path, database, "--hash-key-file", "") as keyless:
        client = CollectorClient(keyless.url, hash=["city"])
        with pytest.raises(Fatal, match="409: this collector has no key"):
            client.add("a", [prediction("p", features={"city": "x"})])
        assert client.find("a", ["p"]) == ()


# --- counted ---------------------------------------------------------------------------------------------------------


def test_what_came_and_what_it_showed_is_counted(server: Collector) -> None:
    client, loop = server.client("team"), "counted"
    client.label(loop, [Label("yes", NOW, id="early")])
    client.add(loop, [prediction(name) for name in ("a", "b", "early")])
    client.label(loop, [Label("no", NOW, id="a"), Label("yes", NOW, id="b"), Label("no", NOW, id="foreign")])
    client.label(loop, [Label("no", NOW, id="a"), Label("no", NOW + timedelta(seconds=1), id="b")])
    of = {"loop_namespace": "team", "loop": loop}
    assert server.count("serinus_collected_total", **of, outcome="new") == 3
    assert {
        outcome: server.count("serinus_labels_total", **of, outcome=outcome)
        for outcome in ("joined", "waiting", "same", "changed", "older", "erased")
    } == {"joined": 2, "waiting": 2, "same": 1, "changed": 1, "older": 0, "erased": 0}
    cells = {
        truth: server.count("serinus_labelled_total", **of, version="1", truth=truth, predicted="no")
        for truth in ("no", "yes")
    }
    assert cells == {"no": 1, "yes": 2}, "of each row its first truth"
    assert server.count("serinus_collector_database_up") == 1


def test_of_a_regression_errors_are_summed(server: Collector) -> None:
    client = server.client()
    client.add("sums", [prediction(name, answer="", score=value) for name, value in (("a", 1.0), ("b", 5.0))])
    client.label("sums", [Label(3.0, NOW, id="a"), Label("4", NOW, id="b")])
    of = {"loop": "sums", "version": "1"}
    assert server.count("serinus_labelled_total", **of, truth="", predicted="") == 2
    assert server.count("serinus_labelled_absolute_error_total", **of) == 3
    assert server.count("serinus_labelled_squared_error_total", **of) == 5


def test_what_is_asked_comes_back(server: Collector) -> None:
    client = server.client()
    client.add("asked", [prediction(f"p{n}", time=NOW - timedelta(minutes=n)) for n in range(5)])
    client.label("asked", [Label("yes", NOW, id="p1")])
    window = Window(NOW - timedelta(minutes=2), NOW + timedelta(minutes=1))
    assert [r.prediction.id for r in client.rows("asked", RowsQuestion(window))] == ["p2", "p1", "p0"]
    (tally,) = client.tally("asked", TallyQuestion(window.start, window.end, 180))
    assert (tally.rows, tally.labelled) == (3, 1)


# --- forgotten -------------------------------------------------------------------------------------------------------


def test_an_erasure_and_changed_labels_are_in_the_audit_trail_without_names(server: Collector) -> None:
    client = server.client("team")
    client.add("erased", [prediction("p", key="customer-7"), prediction("q")])
    client.label("erased", [Label("yes", NOW, id="q"), Label("no", NOW, id="q")])
    assert client.erase("erased", keys=["customer-7"]) == 1
    assert client.erase("erased") == 0
    entries = [entry for entry in client.entries() if entry.deed.loop == "erased"]
    assert [(e.deed.kind, e.deed.namespace) for e in entries] == [("LabelsChanged", "team"), ("Erased", "team")]
    assert entries[1].deed.by == "ann"
    assert pseudonym("customer-7", KEY.encode()) in entries[1].deed.message
    assert "customer-7" not in str(entries)
    assert verify(client.entries()) is None


def test_what_is_older_than_its_retention_is_forgotten(tmp_path: Path) -> None:
    old, new = prediction("old", time=NOW - timedelta(hours=2)), prediction("new")
    arguments = ("--retention", "1h", "--forget-every", "500ms")
    with collector(tmp_path, f"sqlite:///{tmp_path}/records.db", *arguments) as server:
        client = server.client()
        for loop in ("a", "b"):
            assert client.add(loop, [old, new]) == Taken({"new": 2})
        until(lambda: server.count("serinus_collector_expired_total") == 2, "old rows are gone")
        assert [r.prediction.id for loop in "ab" for r in client.find(loop, ["old", "new"])] == ["new", "new"]
