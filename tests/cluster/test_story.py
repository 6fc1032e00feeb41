"""The whole loop on a real cluster: applied, trained, served, drifted, retrained, released by canary."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import pytest

from tests.cluster import loops
from tests.cluster.installation import Installation
from tests.servers.callers import Calls

pytestmark = pytest.mark.timeout(900)

DRIFT = {
    "every": "1m", "window": "1m", "minRows": 300, "detector": "scipy",
    "retrain": {"violations": 1, "of": 1}, "cooldown": "0s",
}  # fmt: skip


def test_a_loop_trains_serves_drifts_retrains_and_promotes_without_a_failed_request(
    serinus: Installation, tmp_path: Path, record_property: Callable[[str, object], None]
) -> None:
    with loops.loop(serinus, tmp_path, drift=DRIFT) as loop:
        loop.apply()
        loop.serves(1, 240)
        first = _first_answer(loop)
        with loop.calls(loop.rows(), rate=20) as usual:
            loop.until(lambda: len(usual.answers) > 400, "everyday traffic")
        since = loops.now()
        with loop.calls(loop.shifted(), rate=50) as shifted:
            drift = loop.happens("DriftFound", since, 240)
            loop.happens("RunSucceeded", drift.at, 180)
            canary = loop.happens("RolloutStarted", drift.at, 120)
            loop.serves(2, 240)
        failed = [*usual.failed(), *shifted.failed()]
        asked = len(usual.answers) + len(shifted.answers)
        figures = {
            "helm install to ready, s": serinus.took,
            "applied to first answer, s": first - loop.applied,
            "drift found to canary traffic, s": (canary.at - drift.at).total_seconds(),
            "requests": asked,
            "failed": len(failed),
        }
        for name, value in figures.items():
            record_property(name, value)
        print(figures)  # noqa: T201
        assert failed == []
        assert _answered(shifted) >= {1, 2}
        assert loop.condition("Ready")["status"] == "True"


def _first_answer(loop: loops.Loop) -> float:
    """When the gateway first gave a prediction (monotonic)."""
    with loop.calls(rate=20) as asked:
        loop.until(lambda: any(a.status == 200 for a in asked.answers), "a first answer", 60)
        return next(a.done for a in asked.answers if a.status == 200)


def _answered(calls: Calls) -> set[int]:
    return set(calls.by_version())
