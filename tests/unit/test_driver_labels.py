"""The driver hands on to the judge what labels said, where the loop asks for it."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import datetime

from serinus.adapters.fakes.metrics import FakeMetrics
from serinus.decide import counts
from serinus.facts import Series
from serinus.spec import ModelLoop
from services.driver import Looked, look
from tests.unit.loop_cases import NOW, SPEC, spec
from tests.unit.test_driver import LOOP, Bench

LABELLED = spec("collect: {}\n  labels: {delay: 5s}", rollout="guardrails: {quality: {}}")
WRONG = 40  # of a hundred answers, once there is a second version: it, and it alone


@dataclass
class Noted(FakeMetrics):
    """Counters that know what they were asked for."""

    asked: set[str] = field(default_factory=set)

    def increases(self, metric: str, labels: Mapping[str, str], start: datetime, end: datetime) -> tuple[Series, ...]:
        self.asked.add(metric)
        return super().increases(metric, labels, start, end)


@dataclass
class Labelled(Bench):
    """The bench, where every answer has its label a second later."""

    of: ModelLoop = LABELLED

    def look(self, troubles: dict[str, str] | None = None) -> Looked:
        return look(LOOP, lambda: self.of, self.ports(), self.now, NOW, troubles)

    def second(self) -> None:
        before = dict(self.answers)
        super().second()
        for version, answers in before.items():
            wrong = answers * (WRONG if version == 2 else 10) // 100
            labels = {"loop": LOOP, "version": str(version), "truth": "yes"}
            for predicted, value in (("yes", answers - wrong), ("no", wrong)):
                self.metrics.scrape(counts.LABELLED, {**labels, "predicted": predicted}, self.now, value)


def life(bench: Bench) -> list[str]:
    bench.live(15)
    bench.ask("more", kind="run")
    bench.live(60)
    return bench.kinds()


def test_a_version_that_labels_show_to_be_wrong_is_thrown_back() -> None:
    bench = Labelled()
    assert life(bench)[-1] == "RolledBack"
    assert bench.status.champion == 1
    assert bench.registry.records[LOOP, 2].reason.startswith("quality: canary ")


def test_a_loop_that_does_not_ask_for_it_asks_for_no_labels() -> None:
    noted = Noted()
    assert life(Labelled(of=SPEC, metrics=noted))[-2:] == ["Promoted", "ShareChanged"]
    assert noted.asked == {counts.PREDICTIONS, counts.SECONDS, counts.SCORES}
