"""The drift job on a cluster: from a ModelLoop's name and the installation's addresses to the ports it needs."""

from __future__ import annotations

import contextlib
import tempfile
from datetime import datetime
from pathlib import Path

from serinus.adapters.kube import Kube
from serinus.adapters.kube_ledger import KubeLedger
from serinus.adapters.prometheus import PrometheusMetrics
from services import jobs, runs
from services.drift import job
from services.platform import Platform

TIMEOUT = 30.0  # seconds for a question about a whole window; nobody waits for it


def check(platform: Platform, namespace: str, loop: str, now: datetime) -> job.Look:
    """One look for the ModelLoop `loop` in `namespace`. Raises what `job.check` does, and Fatal when there is none."""
    from serinus.adapters.mlflow import MlflowRegistry

    kube = Kube.connect()
    spec = jobs.held(kube, namespace, loop)
    registry = MlflowRegistry(platform.mlflow_url)
    metrics = PrometheusMetrics(platform.prometheus_url, TIMEOUT, where={"namespace": namespace})
    with contextlib.closing(metrics), tempfile.TemporaryDirectory(prefix="models-") as models:
        runner = runs.runner(platform, spec, registry)
        return job.check(
            spec, KubeLedger(kube, namespace), registry, metrics, runner, now, models=Path(models),
            records=lambda: jobs.collector(platform.collector_url, namespace, platform.collector_token_path),
        )  # fmt: skip
