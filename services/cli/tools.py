"""Commands that need no running loop: render and schema."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Annotated

import typer

from serinus import loading
from serinus.facts import Routing, Variant
from serinus.render import envoy
from serinus.spec import ModelLoop
from services.cli import context
from services.cli.context import out
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


def render(file: Annotated[Path, typer.Argument(help="The ModelLoop file.")]) -> None:
    """Print the Envoy configuration that the file leads to, with a canary at its first step."""
    with context.errors():
        loop = loading.read(file)
        share = loop.spec.rollout.steps[0]
        weights = envoy.shares(Routing((Variant(1, 100 - share), Variant(2, share))), ready=(1, 2))
        shown = {
            "bootstrap": envoy.bootstrap(".serinus/envoy", DEFAULTS["envoy"], DEFAULTS["admin"]),
            "clusters": envoy.clusters(".serinus/envoy", loop.name, (1, 2)),
            "routes": envoy.routes(loop.name, weights, loop.spec.serving.timeout),
        }
        out.print_json(json.dumps(shown))


def schema(
    example: Annotated[bool, typer.Option("--example", help="Print a file to start from instead.")] = False,
) -> None:
    """Print the JSON schema of the ModelLoop file."""
    if example:
        out.print(EXAMPLE, markup=False, highlight=False, end="")
    else:
        out.print_json(json.dumps(json_schema()))


def json_schema() -> dict[str, object]:
    """The schema of the file as people write it."""
    return {
        "$schema": "https://json-schema.org/draft/2020-12/schema",
        **ModelLoop.model_json_schema(by_alias=True, mode="validation"),
    }
