from __future__ import annotations

import gc
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st
from prometheus_client import CollectorRegistry

from serinus.adapters.records_tables import ticks
from serinus.errors import Fatal
from services.local.addresses import free_port
from services.predictor import collecting
from services.predictor.collecting import Collecting, Collector, kept, metrics
from services.predictor.inputs import Rows
from tests.servers.collecting import Taking, taking


@pytest.fixture(autouse=True)
def hasty(monkeypatch: pytest.MonkeyPatch) -> None:
    """Pauses that a test can wait for; their lengths are not what is tested."""
    monkeypatch.setattr(collecting, "PAUSE", 0.02)
    monkeypatch.setattr(collecting, "_PAUSES", (0.02,))


class Counted:
    """The collector's metrics, read back."""

    def __init__(self, registry: CollectorRegistry) -> None:
        self._registry = registry

    def __call__(self, name: str, reason: str = "") -> float:
        labels = {"loop": "parcels", "version": "7"} | ({"reason": reason} if reason else {})
        found = self._registry.get_sample_value(f"serinus_collect_{name}", labels)
        assert found is not None
        return found


@contextmanager
def sending(url: str, seconds: float = 2.0, **settings: Any) -> Iterator[tuple[Collector, Counted]]:
    registry = CollectorRegistry()
    chosen = Collecting(url, "local", "parcels", 7, ("weight", "shop"), **settings)
    collector = Collector(chosen, metrics(chosen, registry))
    collector.start()
    try:
        yield collector, Counted(registry)
    finally:
        collector.close(seconds)


def rows(count: int = 1, keys: tuple[str, ...] = ()) -> Rows:
    return Rows(tuple({"weight": float(n), "shop": None} for n in range(count)), ((0,) * count,) * 2, keys=keys)


def offer(collector: Collector, id: str, count: int = 1, keys: tuple[str, ...] = ()) -> None:
    collector.offer(id, rows(count, keys), [0.25] * count, ["yes"] * count)


def until(what: Callable[[], bool]) -> None:
    end = time.monotonic() + 20
    while not what():
        assert time.monotonic() < end
        time.sleep(0.005)


@contextmanager
def thirty_waiting(taker: Taking) -> Iterator[Collector]:
    """Rows 0 to 29 wait behind a batch of one that is not answered until the block ends."""
    taker.hold = threading.Event()
    with sending(taker.url) as (collector, _):
        offer(collector, "first")
        until(lambda: len(taker.asked) == 1)
        for number in range(30):
            offer(collector, str(number))
        yield collector
        taker.hold.set()


@pytest.fixture
def taker() -> Iterator[Taking]:
    with taking() as running:
        yield running


def test_a_request_of_one_row_is_known_by_its_id_and_the_rows_of_a_batch_by_their_number(taker: Taking) -> None:
    began = datetime.now(UTC)
    with sending(taker.url, hash=("shop",)) as (collector, counted):
        offer(collector, "a", keys=("order-1",))
        offer(collector, "b", 2)
    assert taker.asked[0] == ("/loops/local/parcels/predictions", "", 200)
    assert taker.bodies[0]["hash"] == ["shop"]
    time = taker.rows[0].pop("time")
    assert ticks(began) <= time <= ticks(datetime.now(UTC))
    assert {**taker.rows[0], "time": 0} == {
        "id": "a", "version": 7, "time": 0, "features": {"weight": 0.0, "shop": None}, "score": 0.25, "answer": "yes",
        "key": "order-1",
    }  # fmt: skip
    assert [(r["id"], r["features"]["weight"], r["key"]) for r in taker.rows[1:]] == [("b/0", 0, ""), ("b/1", 1, "")]
    assert (counted("sent_total"), counted("queue")) == (3, 0)
    assert [counted("dropped_total", reason) for reason in collecting.REASONS] == [0, 0, 0]


def test_what_waits_is_nothing_for_the_garbage_collector_to_look_through(taker: Taking) -> None:
    with thirty_waiting(taker) as collector:
        assert len(collector._waiting) == 30
        assert not any(gc.is_tracked(entry) for entry in collector._waiting)


def test_a_short_queue_is_sent_off_when_it_is_half_full(taker: Taking, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(collecting, "PAUSE", 3600.0)
    with sending(taker.url, queue=10) as (collector, counted):
        for number in range(5):
            assert not taker.asked
            offer(collector, str(number))
        until(lambda: counted("queue") == 0)
        assert len(taker.rows) == 5


def test_a_regression_answers_no_class(taker: Taking) -> None:
    with sending(taker.url) as (collector, _):
        collector.offer("a", rows(), [12.5], None)
    assert (taker.rows[0]["score"], taker.rows[0]["answer"]) == (12.5, "")


@pytest.mark.parametrize(
    ("columns", "expected"), [(None, {"weight", "shop"}), (("shop", "gone"), {"shop"}), ((), set[str]())]
)
def test_only_the_columns_that_are_asked_for_leave_the_predictor(
    taker: Taking, columns: tuple[str, ...] | None, expected: set[str]
) -> None:
    with sending(taker.url, columns=columns) as (collector, _):
        offer(collector, "a")
    assert set(taker.rows[0]["features"]) == expected


def test_rows_of_many_requests_travel_together_and_a_large_request_in_batches(taker: Taking) -> None:
    with thirty_waiting(taker) as collector:
        offer(collector, "large", 4500)
    assert [len(body["rows"]) for body in taker.bodies] == [1, 2000, 2000, 530]
    assert [row["id"] for row in taker.rows[1:]] == [*map(str, range(30)), *(f"large/{n}" for n in range(4500))]


@given(st.text(min_size=1), st.floats(0.001, 1), st.floats(0.001, 1))
def test_a_smaller_sample_is_a_part_of_a_larger_one(id: str, one: float, other: float) -> None:
    small, large = sorted((one, other))
    assert kept(id, large) or not kept(id, small)
    assert kept(id, 1)


def test_the_share_that_is_asked_for_is_kept_whichever_way_the_rows_come(taker: Taking) -> None:
    with sending(taker.url, sample=0.25) as (collector, counted):
        offer(collector, "large", 4000)
        for number in range(4000):
            offer(collector, f"single-{number}")
    ids = {row["id"] for row in taker.rows}
    large = [id for id in ids if id.startswith("large")]
    assert abs(len(large) / 4000 - 0.25) < 0.035, "5 standard errors"
    assert abs((len(ids) - len(large)) / 4000 - 0.25) < 0.035
    assert all(kept(id, 0.25) for id in ids)
    assert (counted("sent_total"), counted("queue"), counted("dropped_total", "overflow")) == (len(ids), 0, 0)


def test_what_does_not_fit_is_dropped_and_counted_and_what_fits_arrives(taker: Taking) -> None:
    taker.hold = threading.Event()
    with sending(taker.url, queue=10) as (collector, counted):
        offer(collector, "a", 4)
        until(lambda: len(taker.asked) == 1)
        offer(collector, "b", 8)
        offer(collector, "c")
        assert (counted("queue"), counted("dropped_total", "overflow")) == (10, 3)
        taker.hold.set()
        until(lambda: counted("queue") == 0)
        offer(collector, "d")
    assert [row["id"] for row in taker.rows] == [*(f"a/{n}" for n in range(4)), *(f"b/{n}" for n in range(6)), "d"]


@pytest.mark.parametrize("status", [401, 403, 404, 408, 429, 500, 503])
def test_a_collector_that_cannot_take_rows_now_is_asked_again(taker: Taking, status: int) -> None:
    taker.statuses = [status, status]
    with sending(taker.url) as (collector, counted):
        offer(collector, "a")
        until(lambda: counted("queue") == 0)
    assert ([row["id"] for row in taker.rows], counted("sent_total")) == (["a"], 1)
    assert [asked[2] for asked in taker.asked] == [status, status, 200]


@pytest.mark.parametrize("status", [400, 413, 422])
def test_rows_that_will_never_be_taken_are_dropped_and_do_not_hold_up_others(taker: Taking, status: int) -> None:
    taker.statuses = [status]
    with sending(taker.url) as (collector, counted):
        offer(collector, "a")
        until(lambda: counted("queue") == 0)
        offer(collector, "b")
    assert ([row["id"] for row in taker.rows], counted("dropped_total", "refused")) == (["b"], 1)


def test_rows_that_the_collector_finds_invalid_are_counted_as_refused(taker: Taking) -> None:
    taker.invalid = 2
    with sending(taker.url) as (collector, counted):
        offer(collector, "a", 5)
    assert (counted("sent_total"), counted("dropped_total", "refused")) == (3, 2)


def test_a_body_that_is_too_large_is_halved_until_it_fits(taker: Taking) -> None:
    taker.statuses = [413, 413]
    with sending(taker.url) as (collector, counted):
        offer(collector, "a", 8)
    assert [len(body["rows"]) for body in taker.bodies] == [2, 2, 4]
    assert (counted("sent_total"), counted("queue")) == (8, 0)


def test_a_batch_ends_where_its_body_is_large(taker: Taking, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(collecting, "LARGE", 70)
    with sending(taker.url) as (collector, _):
        offer(collector, "a", 8)
    assert [len(body["rows"]) for body in taker.bodies] == [2, 2, 2, 2]
    assert [asked[2] for asked in taker.asked] == [200] * 4


def test_rows_wait_for_a_collector_that_is_not_there_yet() -> None:
    port = free_port()
    with sending(f"http://127.0.0.1:{port}") as (collector, counted):
        offer(collector, "a")
        until(lambda: collector._failures > 1)
        with taking(port) as taker:
            until(lambda: counted("queue") == 0)
        assert [row["id"] for row in taker.rows] == ["a"]
        offer(collector, "b")  # its connection was closed meanwhile, and it comes back at the same place
        with taking(port) as again:
            until(lambda: counted("queue") == 0)
        assert [row["id"] for row in again.rows] == ["b"]


def test_what_a_dead_collector_did_not_take_is_counted_when_the_process_leaves() -> None:
    with sending(f"http://127.0.0.1:{free_port()}", seconds=0.3) as (collector, counted):
        offer(collector, "a", 700)
    assert (counted("dropped_total", "ended"), counted("queue")) == (700, 0)


def test_leaving_does_not_wait_for_an_answer_that_does_not_come(taker: Taking) -> None:
    taker.hold = threading.Event()
    with sending(taker.url, seconds=0.2) as (collector, counted):
        offer(collector, "a")
        until(lambda: len(taker.asked) == 1)
    assert counted("dropped_total", "ended") == 1


def test_an_estimator_that_answers_no_text_costs_its_rows_only_and_a_line_in_the_log(
    taker: Taking, caplog: pytest.LogCaptureFixture
) -> None:
    with sending(taker.url) as (collector, counted):
        collector.offer("a", rows(), [0.5], [object()])  # type: ignore[list-item]
        offer(collector, "b")
        collector.offer("c", rows(3), [0.5] * 3, ["yes", object(), "no"])  # type: ignore[list-item]
    assert ([row["id"] for row in taker.rows], counted("dropped_total", "refused")) == (["b", "c/0", "c/2"], 2)
    assert [record.message.partition(":")[0] for record in caplog.records if record.levelname == "ERROR"] == [
        "answered rows that are no JSON are not collected"
    ]


def test_the_token_is_read_anew_for_each_batch_and_one_that_is_not_there_yet_is_waited_for(
    taker: Taking, tmp_path: Path
) -> None:
    token = tmp_path / "token"
    with sending(taker.url, token=token) as (collector, counted):
        offer(collector, "a")
        until(lambda: collector._failures > 0)
        token.write_text("first\n")
        until(lambda: counted("queue") == 0)
        token.write_text("second")
        offer(collector, "b")
    assert [authorization for _, authorization, _ in taker.asked] == ["Bearer first", "Bearer second"]


@pytest.mark.parametrize("url", ["collector:8090", "ftp://x", "http://"])
def test_an_address_that_is_none_is_said_at_once(url: str) -> None:
    with pytest.raises(Fatal, match="expected an address"), sending(url):
        raise AssertionError("not reached")
