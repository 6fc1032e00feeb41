"""A loop on the cluster, in a namespace of its own, as a user has it: applied by kubectl, asked by the gateway."""

from __future__ import annotations

import contextlib
import json
import time
import uuid
from collections.abc import Iterator
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import pandas as pd

from serinus.adapters.kube import MODEL_LOOPS, PODS, Kube, Object
from serinus.adapters.kube_ledger import KubeLedger
from serinus.adapters.mlflow import MlflowRegistry
from serinus.facts import Event, Status
from serinus.render import names
from serinus.spec import ModelLoop
from tests import data_sets
from tests.cluster import images, installation
from tests.cluster.installation import NAMESPACES, Installation, kubectl
from tests.servers.callers import Calls, Door, calls_at
from tests.servers.loops import document, register, rows_of
from tests.servers.watched import Watched

FAST: dict[str, Any] = {
    "source": {"files": {"uri": images.ROWS}},
    "training": {"estimator": "logistic-regression", "image": images.PIPELINE},
    "rollout": {
        "steps": [20, 50],
        "minRequests": 40,
        "stepTimeout": "180s",
        "watch": "10s",
        "guardrails": {"errors": {"margin": 0.05}, "rejections": None, "latency": None, "slowdown": None},
    },
    "drift": None,
}
"""Parts of a spec under which a rollout takes half a minute with scrapes every 5 s."""


class Loop(Watched):
    """One ModelLoop in a namespace of its own."""

    pause = 0.25

    def __init__(self, installation: Installation, folder: Path, **spec: Any) -> None:
        made, self.frame = data_sets.binary(1200, **{**FAST, **spec})
        name = f"parcels-{uuid.uuid4().hex[:5]}"
        self.spec = made.model_copy(update={"metadata": made.metadata.model_copy(update={"name": name})})
        self.name, self.namespace = name, f"loop-{name}"
        self.installation, self.kube, self.folder = installation, installation.kube, folder
        self.ledger = KubeLedger(self.kube, self.namespace)
        self.applied = 0.0  # monotonic

    # --- what it does --------------------------------------------------------------------------------------------

    @property
    def object(self) -> Object:
        found = self.kube.get(MODEL_LOOPS, self.namespace, self.name)
        assert found is not None, f"ModelLoop {self.namespace}/{self.name} is gone"
        return found

    @property
    def status(self) -> Status:
        return self.ledger.read(self.name).status

    def events(self, *kinds: str) -> list[Event]:
        """What happened, oldest first; of these kinds."""
        return [event for event in self.ledger.events(self.name, 10_000) if not kinds or event.kind in kinds]

    def details(self) -> list[str]:
        """What Kubernetes has to say."""
        with contextlib.suppress(AssertionError):
            return [
                kubectl("-n", self.namespace, "get", "loop,isvc,httproute,pods,cronjobs,jobs", "-o", "wide"),
                kubectl("-n", self.namespace, "get", "events", "--sort-by", ".lastTimestamp")[-6000:],
                kubectl(
                    "-n", installation.NAMESPACE, "logs", "-l", "app.kubernetes.io/component=operator", "--tail", "40"
                ),
            ]
        return []

    def condition(self, kind: str) -> dict[str, Any]:
        """One of the conditions, empty while there is none."""
        conditions = self.object.get("status", {}).get("conditions", [])
        return next((c for c in conditions if c["type"] == kind), {})

    def pods(self, version: int) -> list[Object]:
        """The predictor's pods of a version that are not on their way out."""
        found = self.kube.list(PODS, self.namespace, {names.LOOP: self.name, names.VERSION_LABEL: str(version)})
        return [pod for pod in found if "deletionTimestamp" not in pod["metadata"]]

    # --- what people, callers and pipelines do -------------------------------------------------------------------

    def apply(self, **parts: Any) -> None:
        """`kubectl apply`, after `spec`'s parts were replaced."""
        edited = document(self.spec)
        edited["spec"].update(parts)
        self.spec = ModelLoop.model_validate(edited)
        text = json.dumps(document(self.spec))
        kubectl("-n", self.namespace, "apply", "--server-side", "-f", "-", stdin=text)
        self.applied = time.monotonic()

    def register(self, **training: Any) -> int:
        """A new version, as a pipeline's last step makes it, without the pipeline."""
        edited = document(self.spec)
        edited["spec"]["training"] = training or {"estimator": "logistic-regression"}
        edited["spec"]["data"]["source"] = {"files": {"uri": "data/"}}
        code = self.folder / "code"
        (code / "data").mkdir(parents=True, exist_ok=True)
        self.frame.to_parquet(code / "data" / "rows.parquet")
        (code / "faulty.py").write_text((images.ROOT / "examples" / "flights" / "faulty.py").read_text())
        with installation.forwarded(installation.NAMESPACE, "svc/serinus-mlflow", 5000) as url:
            number = register(ModelLoop.model_validate(edited), code, MlflowRegistry(url)).number
        if self.applied:  # nobody told the operator of a version that no run of its own made
            look = f"{names.LOOK}={number}"
            kubectl("-n", self.namespace, "annotate", "--overwrite", "modelloop", self.name, look)
        return number

    def rows(self, count: int = 64) -> list[dict[str, Any]]:
        """Rows that the loop's model can answer."""
        return rows_of(self.spec, self.frame, count)

    def calls(
        self, rows: list[dict[str, Any]] | None = None, rate: float = 50.0
    ) -> contextlib.AbstractContextManager[Calls]:
        """Callers through the gateway."""
        host, port = self.installation.gateway
        door = Door(self.name, host, port, self.installation.host(self.name, self.namespace))
        return calls_at(door, rows or self.rows(), rate)

    def shifted(self, count: int = 64) -> list[dict[str, Any]]:
        """Rows from another world."""
        frame = self.frame.assign(weight=self.frame["weight"] * 3, price=self.frame["price"] * 4)
        return rows_of(self.spec, pd.DataFrame(frame), count)


@contextlib.contextmanager
def loop(installation: Installation, folder: Path, **spec: Any) -> Iterator[Loop]:
    """A loop that is not applied yet; its namespace is gone afterwards."""
    made = Loop(installation, folder, **spec)
    _namespace(made.kube, made.namespace)
    try:
        yield made
    finally:
        made.kube.delete(MODEL_LOOPS, made.namespace, made.name)
        kubectl("-n", made.namespace, "wait", "--for=delete", f"modelloop/{made.name}", "--timeout", "90s")
        made.kube.delete(NAMESPACES, None, made.namespace)


@contextlib.contextmanager
def serving(installation: Installation, folder: Path, **spec: Any) -> Iterator[Loop]:
    """A loop whose first version serves everyone; it came without a pipeline run."""
    with loop(installation, folder, **spec) as made:
        made.register()
        made.apply()
        made.serves(1, 120)
        yield made


def now() -> datetime:
    """For `happens(since=...)`."""
    return datetime.now(UTC)


def _namespace(kube: Kube, name: str) -> None:
    """Pods that are not as careful as the namespace wants are refused."""
    labels = {"pod-security.kubernetes.io/enforce": "restricted", installation.LEFT: "true"}
    body = {"apiVersion": "v1", "kind": "Namespace", "metadata": {"name": name, "labels": labels}}
    kube.apply(NAMESPACES, None, body)
