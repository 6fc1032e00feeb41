"""The drift job beside a local loop: from a state folder and two addresses to the ports it needs."""

from __future__ import annotations

import contextlib
from datetime import datetime
from pathlib import Path

from serinus import loading
from serinus.adapters.file_ledger import FileLedger
from serinus.adapters.kfp_local import LocalRunner
from serinus.adapters.prometheus import PrometheusMetrics
from serinus.errors import Fatal
from services import jobs
from services.drift import job
from services.local import addresses

TIMEOUT = 30.0  # seconds for a question about a whole window; nobody waits for it
_PIPELINE = Path(__file__).resolve().parents[2] / "pipelines" / "compiled" / "training.yaml"


def check(file: Path, state: Path, now: datetime, prometheus: str = "", mlflow: str = "") -> job.Look:
    """One look for the loop in `file`, whose state is in the folder `state`.

    prometheus, mlflow: their URLs; "" for those that the loop's supervisor chose. Raises what `job.check` does.
    """
    from serinus.adapters.mlflow import MlflowRegistry

    spec = loading.read(file)
    known = addresses.load(state / "ports.json")
    if known is None and not (prometheus and mlflow):
        raise Fatal(f"{state} has no loop yet; start one with `serinus up {file}`, or name both addresses")
    mlflow_uri = mlflow or (known.url("mlflow") if known is not None else "")
    collector = known.url("collector") if known is not None else ""
    folder = file.resolve().parent
    with contextlib.closing(
        PrometheusMetrics(prometheus or (known.url("prometheus") if known is not None else ""), TIMEOUT)
    ) as metrics:
        return job.check(
            spec,
            FileLedger(state / "ledger"),
            MlflowRegistry(mlflow_uri),
            metrics,
            LocalRunner(
                state / "runs",
                _PIPELINE,
                mlflow_uri,
                folder,
                spec.spec.training.deadline,
                environment={jobs.URL: collector} if collector else {},
            ),
            now,
            models=state / "models",
            records=lambda: jobs.collector(collector, "local"),
        )
