"""The drift CronJob on a real cluster: killed, late, twice at once."""

from __future__ import annotations

import time
from pathlib import Path

import pytest

from serinus.adapters.kube import JOBS, PODS
from serinus.render import names
from tests.cluster import loops
from tests.cluster.installation import Installation, kubectl

pytestmark = pytest.mark.timeout(600)

DRIFT = {
    "every": "1h", "window": "1m", "minRows": 200, "detector": "scipy",
    "retrain": {"violations": 1, "of": 1}, "cooldown": "0s",
}  # fmt: skip


def test_jobs_that_are_killed_or_overlap_leave_one_run_at_most(serinus: Installation, tmp_path: Path) -> None:
    with loops.serving(serinus, tmp_path, drift=DRIFT) as loop:
        cron = names.job(loop.name, "drift")
        loop.until(lambda: bool(kubectl("-n", loop.namespace, "get", "cronjob", "-o", "name")), "the CronJob", 60)
        with loop.calls(loop.shifted()) as calls:
            loop.until(lambda: len(calls.answers) > 1500, "a minute's traffic", 60)
            kubectl("-n", loop.namespace, "create", "job", "killed", "--from", f"cronjob/{cron}")
            loop.until(lambda: bool(_pods(loop, "killed")), "the job's pod", 60)
            pod = _pods(loop, "killed")[0]
            kubectl("-n", loop.namespace, "delete", "pod", pod, "--grace-period", "0", "--force")
            for name in ("twin-a", "twin-b"):
                kubectl("-n", loop.namespace, "create", "job", name, "--from", f"cronjob/{cron}")
            for name in ("twin-a", "twin-b"):
                _ends(loop, name)
            loop.until(lambda: bool(loop.status.drift), "a finding", 60)
            assert loop.status.drift[-1].verdict.outcome == "fail", loop.status.drift[-1].verdict
            loop.serves(2, 300)
        assert calls.failed() == []
        assert len(loop.events("RunRequested")) == 1
        assert len(loop.events("RunSucceeded")) == 1


def _pods(loop: loops.Loop, job: str) -> list[str]:
    return [p["metadata"]["name"] for p in loop.kube.list(PODS, loop.namespace, {"job-name": job})]


def _ends(loop: loops.Loop, job: str) -> None:
    deadline = time.monotonic() + 120
    while True:
        found = loop.kube.get(JOBS, loop.namespace, job)
        if found is None or found.get("status", {}).get("succeeded"):  # the CronJob's history is short
            return
        assert time.monotonic() < deadline, kubectl("-n", loop.namespace, "describe", "job", job)
        time.sleep(0.5)
