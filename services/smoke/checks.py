"""The questions, one function each: a sentence when all is well, SerinusError with the reason when not."""

from __future__ import annotations

import math
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from datetime import datetime, timedelta
from pathlib import Path
from typing import Any

import httpx

from serinus import artifact, wire
from serinus.adapters.kube import LEASES, MODEL_LOOPS, Kube, Object
from serinus.errors import Fatal, SerinusError, Unavailable
from serinus.facts import Contract
from serinus.ports import ModelStore
from serinus.render import names
from services.driver import Ports
from services.operator.election import NAME as LEASE
from services.platform import Platform

NOBODY = "serinus-smoke"
"""A loop that nobody has: asking for it shows that a system answers, and what it answers is nothing."""
SILENT = timedelta(minutes=1)  # since its last renewal a lease counts as given up
TOLERANCE = 1e-6  # relative; the predictor's own, on its examples
_PATIENCE = 30.0  # seconds for a prediction

Check = Callable[[], str]


@dataclass(frozen=True)
class Installation:
    """What the questions are asked of. gateway: address for predictions; "": the loops' own. folder: for models."""

    platform: Platform
    kube: Kube
    ports: Ports
    models: ModelStore
    folder: Path
    gateway: str = ""


def of_parts(installed: Installation, now: datetime) -> Mapping[str, Check]:
    """What the operator needs, by name."""
    platform, ports = installed.platform, installed.ports
    collector = {f"collector at {platform.collector_url}": lambda: _ready(platform)} if platform.collector else {}
    return {
        "operator": lambda: _operator(installed, now),
        "ModelLoops": lambda: f"{len(loops(installed))} there",
        f"MLflow at {platform.mlflow_url}": lambda: _answers(ports.registry.versions(NOBODY)),
        f"Prometheus at {platform.prometheus_url}": lambda: _answers(
            ports.metrics.increases("serinus_predictions_total", {"loop": NOBODY}, now - timedelta(minutes=1), now)
        ),
        f"Kubeflow Pipelines at {platform.kfp_url}": lambda: _answers(ports.runner.active(NOBODY)),
        **collector,
    }


def of_loops(installed: Installation, wanted: str) -> Iterator[tuple[str, Check]]:
    """A prediction of each loop that serves, or of `wanted` (`namespace/name`) whether it does or not."""
    for loop in loops(installed):
        about, champion = loop["metadata"], loop.get("status", {}).get("champion")
        name = f"{about['namespace']}/{about['name']}"
        if name == wanted or (not wanted and champion is not None):
            yield f"loop {name}", lambda loop=loop: predict(installed, loop)  # type: ignore[misc]


def loops(installed: Installation) -> tuple[Object, ...]:
    """Every ModelLoop that the operator drives."""
    return installed.kube.list(MODEL_LOOPS, installed.platform.watch_namespace or None)


def predict(installed: Installation, loop: Object) -> str:
    """Ask the loop its champion's own examples, as a caller would. Raises Fatal when they are answered otherwise."""
    name, namespace = loop["metadata"]["name"], loop["metadata"]["namespace"]
    champion = loop.get("status", {}).get("champion")
    if champion is None:
        raise Unavailable(f"expected a champion that serves, got none yet; kubectl -n {namespace} get modelloop {name}")
    into = installed.models.fetch(name, champion, installed.folder / namespace / name / str(champion))
    contract = wire.load(Contract, (into / artifact.CONTRACT).read_bytes())
    host = names.host(name, namespace, installed.platform.domain)
    url = f"{installed.gateway.rstrip('/') or f'http://{host}'}/v1/models/{name}:predict"
    try:
        answer = httpx.post(
            url, json={"instances": [dict(row) for row in contract.examples]}, headers={"host": host},
            timeout=_PATIENCE, trust_env=False,
        )  # fmt: skip
    except httpx.TransportError as error:
        raise Unavailable(
            f"{url} (Host: {host}) did not answer: {error}; test.gatewayUrl says where the gateway is"
        ) from error
    if answer.status_code != httpx.codes.OK:
        raise Unavailable(f"{url} (Host: {host}): expected 200, got {answer.status_code}: {answer.text[:200]}")
    return _compared(contract, champion, answer.json())


def _compared(contract: Contract, champion: int, answer: Any) -> str:
    version, predictions = str(answer.get("model_version")), answer["predictions"]
    if len(predictions) != len(contract.examples):
        raise Fatal(f"expected {len(contract.examples)} predictions, got {len(predictions)}")
    if version != str(champion):  # a canary has its share
        return f"version {version} answers, beside champion {champion}"
    for prediction, expected in zip(predictions, contract.expected, strict=True):
        got = float(prediction.get("score", prediction.get("value", math.nan)))
        if not math.isclose(got, expected, rel_tol=TOLERANCE, abs_tol=1e-9):
            raise Fatal(f"version {version}: expected {expected:.9g} for its own example, got {got:.9g}")
    return f"version {version} answers its {len(predictions)} examples as when it was made"


def _operator(installed: Installation, now: datetime) -> str:
    platform = installed.platform
    lease = installed.kube.get(LEASES, platform.pod_namespace, LEASE)
    holder = (lease or {}).get("spec", {}).get("holderIdentity")
    if lease is None or not holder:
        raise Unavailable(f"expected an operator to hold the lease {platform.pod_namespace}/{LEASE}, nobody does")
    renewed = datetime.fromisoformat(lease["spec"]["renewTime"])
    if now - renewed > SILENT:
        raise Unavailable(f"{holder} held the lease last {(now - renewed).total_seconds():.0f} s ago; no operator runs")
    return f"{holder} drives"


def _ready(platform: Platform) -> str:
    try:
        answer = httpx.get(f"{platform.collector_url.rstrip('/')}/readyz", timeout=_PATIENCE, trust_env=False)
    except httpx.TransportError as error:
        raise Unavailable(f"no answer: {error}") from error
    if answer.status_code != httpx.codes.OK:
        raise Unavailable(f"expected 200, got {answer.status_code}: {answer.text[:200]}")
    return "takes predictions and labels"


def _answers(_: object) -> str:
    return "answers"


def told(name: str, check: Check) -> tuple[bool, str]:
    """Whether the check is content, and the line that says so."""
    try:
        return True, f"ok      {name}: {check()}"
    except SerinusError as error:
        return False, f"failed  {name}: {error}"
