"""Words that need no running loop: render and schema."""

from __future__ import annotations

import json
from pathlib import Path

import typer

from serinus import loading
from serinus.facts import Routing, Variant
from serinus.render import envoy
from serinus.render.shares import shares
from serinus.spec import ModelLoop
from services.cli import context
from services.local.addresses import DEFAULTS

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


def render(file: Path) -> None:
    """Print Envoy's bootstrap, clusters and routes for versions 1 and 2, the latter a canary at its first step."""
    loop = loading.read(file)
    share = loop.spec.rollout.steps[0]
    weights = shares(Routing((Variant(1, 100 - share), Variant(2, share))), ready=(1, 2))
    shown = {
        "bootstrap": envoy.bootstrap(".serinus/envoy", DEFAULTS["envoy"], DEFAULTS["admin"]),
        "clusters": envoy.clusters(".serinus/envoy", loop.name, (1, 2)),
        "routes": envoy.routes(loop.name, weights, loop.spec.serving.timeout),
    }
    context.answer(json.dumps(shown).encode())


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
