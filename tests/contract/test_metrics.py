"""The port Metrics, over a real Prometheus that scrapes a real exporter, and over the fake."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from itertools import pairwise
from typing import Protocol

import httpx
import pytest

from serinus.adapters.fakes.metrics import FakeMetrics
from serinus.adapters.prometheus import PrometheusMetrics
from serinus.errors import Unavailable
from serinus.facts import Series
from serinus.ports import Metrics
from tests.servers.prometheus import Exporter, Prometheus, exporter, prometheus, until

TOTAL = "serinus_predictions_total"
LOOKBACK = timedelta(milliseconds=400)  # short, so that a gap in the scrapes is soon longer
BACKENDS = ["prometheus", "prometheus, few samples at once", "fake"]


class Rig(Protocol):
    """Metrics, and the hands that play the process which is scraped."""

    @property
    def metrics(self) -> Metrics: ...

    def put(self, metric: str, labels: Mapping[str, str], value: float) -> None:
        """Let a series have this value from now on."""

    def forget(self, metric: str, labels: Mapping[str, str]) -> None:
        """Let a series be told no more, as when its process died."""

    def settle(self) -> datetime:
        """A moment by which all that was put has been scraped, and nothing that will be put later."""

    def unplug(self) -> None:
        """Let the system behind the metrics be gone."""


@dataclass
class RealRig:
    server: Prometheus
    told: Exporter
    metrics: Metrics

    def put(self, metric: str, labels: Mapping[str, str], value: float) -> None:
        self.told.set(metric, labels, value)

    def forget(self, metric: str, labels: Mapping[str, str]) -> None:
        self.told.forget(metric, labels)

    def settle(self) -> datetime:
        generation = self.told.values.get("rig_generation{}", 0) + 1
        self.told.set("rig_generation", {}, generation)

        def scraped() -> float | None:
            answer = httpx.get(f"{self.server.url}/api/v1/query", params={"query": "rig_generation[10s]"}).json()
            samples = [pair for row in answer["data"]["result"] for pair in row["values"]]
            # A sample's own time, so that what is scraped next is later than it.
            return next((at for at, value in samples if float(value) == generation), None)

        return datetime.fromtimestamp(until(scraped, "the next scrape"), UTC)

    def unplug(self) -> None:
        self.metrics = PrometheusMetrics("http://127.0.0.1:1", timeout=2)


@dataclass
class FakeRig:
    metrics: FakeMetrics
    now: datetime = datetime(2026, 1, 1, tzinfo=UTC)
    values: dict[tuple[str, tuple[tuple[str, str], ...]], float] = field(default_factory=dict)

    def put(self, metric: str, labels: Mapping[str, str], value: float) -> None:
        self.values[metric, tuple(labels.items())] = value

    def forget(self, metric: str, labels: Mapping[str, str]) -> None:
        del self.values[metric, tuple(labels.items())]

    def settle(self) -> datetime:
        for _ in range(2):
            self.now += timedelta(milliseconds=100)
            for (metric, labels), value in self.values.items():
                self.metrics.scrape(metric, dict(labels), self.now, value)
        return self.now

    def unplug(self) -> None:
        self.metrics.away = "connection refused"


@pytest.fixture(scope="module")
def server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[tuple[Prometheus, Exporter]]:
    with prometheus(tmp_path_factory.mktemp("prometheus"), scrape="100ms") as running, exporter() as told:
        running.watch(told.address)
        until(lambda: told.scrapes, "the first scrape")
        yield running, told


@pytest.fixture(params=BACKENDS)
def rig(request: pytest.FixtureRequest) -> Rig:
    if request.param == "fake":
        return FakeRig(FakeMetrics(lookback=LOOKBACK))
    running, told = request.getfixturevalue("server")
    few = 1 if "few" in request.param else 200_000
    return RealRig(running, told, PrometheusMetrics(running.url, lookback=LOOKBACK, max_samples=few))


@pytest.fixture
def loop(request: pytest.FixtureRequest) -> str:
    """A loop of this test alone."""
    return str(request.node.name)


def ask(rig: Rig, loop: str, start: datetime, end: datetime, **labels: str) -> dict[str, float]:
    """Outcome -> what its series gained."""
    return {s.labels["outcome"]: s.increase for s in asked(rig, loop, start, end, **labels)}


def asked(rig: Rig, loop: str, start: datetime, end: datetime, **labels: str) -> tuple[Series, ...]:
    return rig.metrics.increases(TOTAL, {"loop": loop, **labels}, start, end)


def test_an_increase_is_the_exact_difference_of_what_was_scraped(rig: Rig, loop: str) -> None:
    rig.put(TOTAL, {"loop": loop, "outcome": "ok"}, 1_000_003)
    rig.put(TOTAL, {"loop": loop, "outcome": "error"}, 0)
    start = rig.settle()
    rig.put(TOTAL, {"loop": loop, "outcome": "ok"}, 1_000_010)
    rig.put(TOTAL, {"loop": loop, "outcome": "error"}, 2)
    middle = rig.settle()
    rig.put(TOTAL, {"loop": loop, "outcome": "ok"}, 1_000_110)
    end = rig.settle()
    assert ask(rig, loop, start, middle) == {"ok": 7, "error": 2}
    assert ask(rig, loop, middle, end) == {"ok": 100, "error": 0}
    assert ask(rig, loop, start, end) == {"ok": 107, "error": 2}


def test_the_samples_inside_are_counted(rig: Rig, loop: str) -> None:
    rig.put(TOTAL, {"loop": loop, "outcome": "ok"}, 5)
    moments = [rig.settle() for _ in range(4)]
    (inside,) = asked(rig, loop, moments[0], moments[-1])
    assert inside.samples >= 3
    assert inside.increase == 0


def test_a_series_born_inside_counts_from_zero(rig: Rig, loop: str) -> None:
    start = rig.settle()
    rig.put(TOTAL, {"loop": loop, "outcome": "ok"}, 40)
    rig.settle()
    rig.put(TOTAL, {"loop": loop, "outcome": "ok"}, 42)
    assert ask(rig, loop, start, rig.settle()) == {"ok": 42}


def test_a_series_that_is_born_later_is_not_there(rig: Rig, loop: str) -> None:
    start, end = rig.settle(), rig.settle()
    rig.put(TOTAL, {"loop": loop, "outcome": "ok"}, 40)
    rig.settle()
    assert asked(rig, loop, start, end) == ()


def test_a_reset_counts_from_zero(rig: Rig, loop: str) -> None:
    rig.put(TOTAL, {"loop": loop, "outcome": "ok"}, 100)
    rig.put(TOTAL, {"loop": loop, "outcome": "error"}, 7)
    start = rig.settle()
    for value in (110, 3, 5, 1, 20):
        rig.put(TOTAL, {"loop": loop, "outcome": "ok"}, value)
        rig.put(TOTAL, {"loop": loop, "outcome": "error"}, 7)
        end = rig.settle()
    assert ask(rig, loop, start, end) == {"ok": 10 + 3 + 2 + 1 + 19, "error": 0}


def test_a_reset_before_the_start_does_not_matter(rig: Rig, loop: str) -> None:
    rig.put(TOTAL, {"loop": loop, "outcome": "ok"}, 100)
    rig.settle()
    rig.put(TOTAL, {"loop": loop, "outcome": "ok"}, 4)
    start = rig.settle()
    rig.put(TOTAL, {"loop": loop, "outcome": "ok"}, 6)
    assert ask(rig, loop, start, rig.settle()) == {"ok": 2}


def test_a_reset_of_a_series_born_inside_counts_all_of_it(rig: Rig, loop: str) -> None:
    start = rig.settle()
    for value in (9, 2):
        rig.put(TOTAL, {"loop": loop, "outcome": "ok"}, value)
        end = rig.settle()
    assert ask(rig, loop, start, end) == {"ok": 11}


def test_the_series_of_a_dead_process_keeps_what_it_gained_and_gains_no_more(rig: Rig, loop: str) -> None:
    labels = {"loop": loop, "outcome": "ok"}
    rig.put(TOTAL, labels, 10)
    start = rig.settle()
    rig.put(TOTAL, labels, 25)
    middle = rig.settle()
    rig.forget(TOTAL, labels)
    end = rig.settle()
    assert ask(rig, loop, start, end) == {"ok": 15}
    assert [s.increase for s in asked(rig, loop, end, rig.settle())] in ([0], [])
    assert middle < end


def test_a_series_that_stopped_is_told_with_no_samples_until_the_lookback_is_over(rig: Rig, loop: str) -> None:
    labels = {"loop": loop, "outcome": "ok"}
    rig.put(TOTAL, labels, 10)
    known = rig.settle()
    rig.forget(TOTAL, labels)
    start = rig.settle()
    while start <= known + LOOKBACK / 2:
        start = rig.settle()
    end = rig.settle()
    for series in asked(rig, loop, start, end):
        assert (series.increase, series.samples) == (0, 0)
    while start <= known + 2 * LOOKBACK:
        start = rig.settle()
    assert asked(rig, loop, start, rig.settle()) == ()


def test_a_gap_in_the_scrapes_is_no_birth(rig: Rig, loop: str) -> None:
    labels = {"loop": loop, "outcome": "ok"}
    rig.put(TOTAL, labels, 1000)
    known = rig.settle()
    rig.forget(TOTAL, labels)
    start = rig.settle()
    while start <= known + 2 * LOOKBACK:
        start = rig.settle()
    rig.put(TOTAL, labels, 1003)
    assert ask(rig, loop, start, rig.settle()) == {"ok": 3}


def test_consecutive_windows_add_up_to_the_whole(rig: Rig, loop: str) -> None:
    moments = [rig.settle()]
    for value in (4, 9, 2, 2, 30, 1):
        rig.put(TOTAL, {"loop": loop, "outcome": "ok"}, value)
        moments.append(rig.settle())
    parts = [ask(rig, loop, start, end).get("ok", 0) for start, end in pairwise(moments)]
    assert parts == [4, 5, 2, 0, 28, 1]
    assert ask(rig, loop, moments[0], moments[-1]) == {"ok": 40}


def test_only_series_with_the_labels_count(rig: Rig, loop: str) -> None:
    start = rig.settle()
    for version, value in (("1", 5), ("2", 8)):
        rig.put(TOTAL, {"loop": loop, "version": version, "outcome": "ok"}, value)
    rig.put(TOTAL, {"loop": loop + "-other", "version": "1", "outcome": "ok"}, 99)
    rig.put("serinus_other_total", {"loop": loop, "version": "1", "outcome": "ok"}, 99)
    end = rig.settle()
    assert ask(rig, loop, start, end, version="1") == {"ok": 5}
    assert sorted(s.increase for s in asked(rig, loop, start, end)) == [5, 8]


def test_series_keep_all_their_labels_and_stay_apart(rig: Rig, loop: str) -> None:
    start = rig.settle()
    buckets = {"0.1": 3, "0.25": 5, "+Inf": 6}
    for le, value in buckets.items():
        rig.put("serinus_prediction_seconds_bucket", {"loop": loop, "version": "1", "le": le}, value)
    found = rig.metrics.increases("serinus_prediction_seconds_bucket", {"loop": loop}, start, rig.settle())
    assert {s.labels["le"]: s.increase for s in found} == buckets
    assert all({"loop": loop, "version": "1"}.items() <= s.labels.items() for s in found)
    assert all("__name__" not in s.labels for s in found)


@pytest.mark.parametrize(
    "value", ['say "hi"', "back\\slash", "new\nline", "tab\tstop", "größe ✓ 🐤", "a}b{c", ".*", "'", ""]
)
def test_any_text_is_a_label_value(rig: Rig, loop: str, value: str) -> None:
    start = rig.settle()
    rig.put(TOTAL, {"loop": "any text", "carrier": value, "outcome": "ok"}, 3)
    rig.put(TOTAL, {"loop": "any text", "carrier": value + "x", "outcome": "ok"}, 5)
    end = rig.settle()
    found = rig.metrics.increases(TOTAL, {"loop": "any text", "carrier": value}, start - LOOKBACK * 9, end)
    assert [s.labels.get("carrier", "") for s in found] == [value]


def test_no_such_series_is_empty(rig: Rig) -> None:
    assert rig.metrics.increases("serinus_nobody_total", {}, rig.settle(), rig.settle()) == ()


def test_a_window_that_ends_before_it_starts_is_refused(rig: Rig, loop: str) -> None:
    moment = rig.settle()
    with pytest.raises(ValueError, match="start before end"):
        asked(rig, loop, moment, moment)


def test_a_system_that_is_away_is_unavailable_and_not_empty(rig: Rig, loop: str) -> None:
    start, end = rig.settle(), rig.settle()
    rig.unplug()
    with pytest.raises(Unavailable, match="refused"):
        asked(rig, loop, start, end)


def test_what_all_series_must_carry_is_asked_for_beside_every_questions_labels(
    server: tuple[Prometheus, Exporter], loop: str
) -> None:
    running, told = server
    here = PrometheusMetrics(running.url, lookback=LOOKBACK, where={"namespace": "here"})
    rig = RealRig(running, told, here)
    start = rig.settle()
    for namespace, count in (("here", 3), ("there", 50)):
        rig.put(TOTAL, {"loop": loop, "outcome": "ok", "namespace": namespace}, count)
    end = rig.settle()
    assert ask(rig, loop, start, end) == {"ok": 3}
    assert [dict(s.labels)["namespace"] for s in asked(rig, loop, start, end)] == ["here"]


def test_what_one_process_counts_for_many_namespaces_is_asked_for_by_its_own_label(
    server: tuple[Prometheus, Exporter], loop: str
) -> None:
    running, told = server
    here = PrometheusMetrics(
        running.url, lookback=LOOKBACK, where={"namespace": "here"}, instead={TOTAL: {"loop_namespace": "here"}}
    )
    rig = RealRig(running, told, here)
    start = rig.settle()
    for namespace, count in (("here", 3), ("there", 50)):
        rig.put(TOTAL, {"loop": loop, "outcome": "ok", "namespace": "serinus", "loop_namespace": namespace}, count)
    end = rig.settle()
    assert ask(rig, loop, start, end) == {"ok": 3}
