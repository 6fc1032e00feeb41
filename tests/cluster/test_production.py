"""A loop that learns from what it answered, on a real cluster: labels are pulled, new rows counted, a run reads them
back; and an auditor, with no more than an auditor's rights, asks how that came.
"""

from __future__ import annotations

import json
from datetime import timedelta
from pathlib import Path
from typing import Any

import pytest

from tests.cluster import auditing, images, loops
from tests.cluster.installation import NAMESPACE, RUNNER, Installation, kubectl
from tests.cluster.loops import Loop
from tests.data_sets import END
from tests.servers.callers import Calls

pytestmark = pytest.mark.timeout(900)

LEARNING: dict[str, Any] = {
    "collect": {"key": images.KEY},
    "labels": {
        "delay": "0s", "every": "1m",
        "source": {"files": {"uri": images.LABELS}, "key": images.KEY, "value": images.TRUTH},
    },
    "newData": {"rows": 400, "every": "1m", "cooldown": "1h"},
    "data": {"history": "30m", "holdout": "10s", "checks": {"minRows": 300, "maxDuplicateFraction": 1}},
    "validation": {"metric": "roc_auc", "margin": 0.1},
}  # fmt: skip
"""As quick as a CronJob can look."""


def test_a_loop_learns_from_what_it_answered_and_an_auditor_can_tell_how(serinus: Installation, tmp_path: Path) -> None:
    with loops.loop(serinus, tmp_path, source={"production": {}}, **LEARNING) as loop:
        rows = _parcels(loop)
        loop.register()
        _may_read_production(loop)
        loop.apply()
        loop.serves(1, 120)
        since = loops.now()
        with loop.calls(rows, rate=40) as calls:
            loop.happens("RunRequested", since, 240)
            loop.serves(2, 300)
        assert calls.failed() == []
        assert loop.status.last_run is not None
        assert loop.status.last_run.cause == "data"
        with auditing.auditor(serinus, loop, tmp_path) as auditor:
            _tells_how(auditor, calls)
            _nobody_rewrote(auditor, tmp_path)


def _parcels(loop: Loop) -> list[dict[str, Any]]:
    """Rows with a key, whose truth the labels know. What the first version learns from is squeezed into minutes."""
    keys = images.keyed(loop.frame)[images.KEY].tolist()
    time = loop.spec.spec.data.time
    loop.frame = loop.frame.assign(
        **{time: END - (END - loop.frame[time]) / (timedelta(days=30) / timedelta(minutes=1))}
    )
    return [{**row, images.KEY: key} for row, key in zip(loop.rows(len(keys)), keys, strict=True)]


def _may_read_production(loop: Loop) -> None:
    """As docs/pipeline-runs.md says it."""
    role, about = f"{loop.name}-training", ("-n", loop.namespace, "create")
    resource = ("--resource", "modelloops.serinus.dev/records", "--resource-name", loop.name)
    kubectl(*about, "role", role, "--verb", "get", *resource)
    kubectl(*about, "rolebinding", role, "--role", role, "--serviceaccount", f"{NAMESPACE}:{RUNNER}")


def _tells_how(auditor: auditing.Auditor, calls: Calls) -> None:
    answer = next(answer for answer in reversed(calls.answers) if answer.version == 2)
    (found,) = auditor.knows("which", answer.id)
    assert found["record"]["prediction"]["answer"] == answer.label
    assert found["version"]["number"] == 2
    lineage = auditor.knows("lineage", "2")
    assert lineage["papers"]["contract"]["dataset"]["source"].startswith("production")
    assert lineage["papers"]["origin"]["cause"] == "data"
    # Version 1 keeps a fifth while it is watched, which may be over by now.
    assert [each["share"] for each in lineage["served"]][:3] == [20, 50, 80]
    assert "of which none was changed or removed" in lineage["source"], lineage["source"]
    quality = auditor.knows("quality", "--window", "1m")
    assert quality["champion"] == 2
    assert set(quality["versions"]) >= {"1"}
    again = auditor.knows("reproduce", "2")
    assert again["equal"], again


def _nobody_rewrote(auditor: auditing.Auditor, folder: Path) -> None:
    """The trail, here and where it was exported to; `verify` looks for the loop's own history in it too."""
    trail = folder / "trail.jsonl"

    def has_the_promotion() -> bool:
        trail.write_text(auditor.says("audit", "export"))
        deeds = [json.loads(line)["deed"] for line in trail.read_text().splitlines()]
        mine = (auditor.loop.namespace, auditor.loop.name, "Promoted", 2)
        return any((deed["namespace"], deed["loop"], deed["kind"], deed["version"]) == mine for deed in deeds)

    auditor.loop.until(has_the_promotion, "the promotion is in the trail", 60)
    assert auditor.knows("audit", "verify")["problem"] == ""
    assert auditor.knows("audit", "verify", str(trail))["entries"] == len(trail.read_text().splitlines())
