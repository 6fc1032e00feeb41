"""Labels in a file beside a local loop: pulled by the intake, joined, judged by the quality job, and a retrain for new
data; on a data set that no code here knows.
"""

from __future__ import annotations

import subprocess
import sys
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import pandas as pd
import pytest

from serinus.facts import FeatureDrift
from tests import data_sets
from tests.servers import loops
from tests.servers.loops import Loop

pytestmark = [pytest.mark.xdist_group("supervisor-quality"), pytest.mark.timeout(400)]


LABELS_TOO: dict[str, Any] = {
    "every": "2s", "window": "1m", "minRows": 50, "labels": True, "falseAlarms": "1 per 1d", "detector": "scipy",
    "retrain": {"violations": 100, "of": 100},
}  # fmt: skip


def compared(loop: Loop) -> Mapping[str, FeatureDrift]:
    """The distributions of the latest look for drift, by name."""
    found = loop.status.drift
    return {one.name: one for one in found[-1].features} if found else {}


def test_truths_that_come_later_are_judged_and_new_rows_ask_for_a_run(tmp_path: Path) -> None:
    spec, frame = data_sets.binary(
        training={"estimator": "logistic-regression"},
        rollout=loops.FAST["rollout"],
        drift=None,
        collect={},
        labels={
            "delay": "1s",
            "every": "5s",
            "source": {"files": {"uri": "truth.csv"}, "id": "request", "value": "fate"},
        },
        quality={"metric": "accuracy", "window": "5s", "every": "1s", "minLabelled": 30, "margin": 0.2},
        newData={"rows": 50, "every": "5s", "cooldown": "0s"},
    )
    with loops.bare(tmp_path / "loop", spec, frame) as loop:

        def tell(truths: Sequence[str]) -> None:
            (loop.code / "truth.tmp").write_text("\n".join(["request,fate", *truths]) + "\n")
            (loop.code / "truth.tmp").replace(loop.code / "truth.csv")

        tell([])
        loop.up()
        loop.serves(1, 180)
        answered = loop.predict(loop.rows(100))
        name = answered.headers["x-prediction-id"]
        lines = [f"{name}/{n},{fate}" for n, fate in enumerate(frame["fate"].head(100))]
        tell(lines)

        def judged() -> bool:
            found = loop.status.quality
            return found is not None and found.verdict.outcome == "pass"

        loop.until(judged, "the answers' window is judged by its labels", 60)
        found = loop.status.quality
        assert found is not None
        assert sum(window.labelled for window in found.windows) == 100, found
        assert loop.status.pulled is not None
        assert loop.status.run is None

        words = [sys.executable, "-m", "services.quality", "--loop-file", str(loop.file), "--state", str(loop.state)]
        asked = subprocess.run(words, capture_output=True, text=True, timeout=120, check=False)
        assert (asked.returncode, asked.stdout.partition(":")[0]) == (0, "pass"), asked.stderr

        loop.edit(drift=LABELS_TOO, quality=None)
        loop.until(lambda: "fate" in compared(loop), "labels are one more distribution", 30)
        assert not compared(loop)["fate"].drifted
        name = loop.predict(loop.rows(200)).headers["x-prediction-id"]
        tell([*lines, *(f"{name}/{n},returned" for n in range(200))])
        loop.until(lambda: compared(loop)["fate"].drifted, "everything comes back", 30)

        newer = frame.assign(**{"sold at": frame["sold at"] + pd.Timedelta(days=30)}).iloc[1:61]
        newer.to_parquet(loop.code / "data" / "newer.parquet")
        loop.until(lambda: bool(loop.events("DataGrown")), "the intake counts the new rows", 30)
        (grown,) = loop.events("DataGrown")
        assert grown.figures == {"rows": 60.0, "learned": 1200.0}
        loop.until(lambda: any(e.message.startswith("parcels-data-") for e in loop.events("RunRequested")), "a run", 10)
