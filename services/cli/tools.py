"""Words that need no running loop: render and schema."""

from __future__ import annotations

import json
from pathlib import Path

import typer

from serinus import loading
from serinus.decide import strategy
from serinus.errors import SpecError
from serinus.facts import Routing, Variant
from serinus.render import envoy, gateway, kserve, names
from serinus.render.shares import copies, shares
from serinus.spec import ModelLoop
from services.cli import context
from services.cli.context import Target
from services.local.addresses import DEFAULTS
from services.platform import Platform

EXAMPLE = """\
apiVersion: serinus.dev/v1alpha1
kind: ModelLoop
metadata: {name: my-model}
spec:
  task: binary-classification
  data:
    source: {files: {uri: data/}}        # Parquet or CSV, relative to this file
    time: time                           # the column that orders the rows
    label: churned
    features: {numeric: [age, spend], categorical: [country]}
    history: 60d
    holdout: 7d
  training: {estimator: hist-gradient-boosting}
  validation: {metric: roc_auc, minimum: 0.6}
"""


def render(file: Path, target: Target, namespace: str) -> None:
    """Print what version 1 and, as a canary at its first step, version 2 lead to."""
    loop = loading.read(file)
    percent = loop.spec.rollout.course[0]
    new = Variant(2, 0, percent) if loop.spec.rollout.strategy == "shadow" else Variant(2, percent)
    routing = Routing((Variant(1, 100 - new.weight), new), strategy.sticky(loop.spec.rollout))
    shown = _envoy(loop, routing) if target == Target.envoy else _kubernetes(loop, routing, namespace)
    context.answer(json.dumps(shown).encode())


def _envoy(loop: ModelLoop, routing: Routing) -> dict[str, object]:
    """Bootstrap, clusters and routes."""
    weights, mirrors = shares(routing, (1, 2)), copies(routing, (1, 2))
    return {
        "bootstrap": envoy.bootstrap(".serinus/envoy", DEFAULTS["envoy"], DEFAULTS["admin"]),
        "clusters": envoy.clusters(".serinus/envoy", loop.name, (1, 2)),
        "routes": envoy.routes(loop.name, weights, loop.spec.serving.timeout, mirrors, routing.sticky),
    }


def _kubernetes(loop: ModelLoop, routing: Routing, namespace: str) -> dict[str, object]:
    """The InferenceServices and the HTTPRoute of Standard mode, as one List that kubectl takes."""
    platform = Platform(mlflow_url="", prometheus_url="", kfp_url="")  # gateway and domain as they are by default
    if problems := platform.beyond(loop):
        raise SpecError(list(problems))
    host = names.host(loop.name, namespace, platform.domain)
    weights, mirrors = {v.version: v.weight for v in routing.variants}, copies(routing, (1, 2))
    timeout = loop.spec.serving.timeout
    items = [
        *(kserve.inference_service(loop, version, namespace) for version in weights),
        gateway.http_route(loop.name, namespace, host, platform.gateway, weights, timeout, mirrors=mirrors),
    ]
    return {"apiVersion": "v1", "kind": "List", "items": items}


def schema(example: bool) -> None:
    """Print the JSON schema of the file, or an example of it."""
    if example:
        typer.echo(EXAMPLE, nl=False)
    else:
        context.answer(json.dumps(json_schema()).encode())


def json_schema() -> dict[str, object]:
    """The schema of the file as people write it; apiVersion and kind are required of files, though not of programs."""
    return {
        "$schema": "https://json-schema.org/draft/2020-12/schema",
        **ModelLoop.model_json_schema(by_alias=True, mode="validation"),
        "required": ["apiVersion", "kind", "metadata", "spec"],
    }
