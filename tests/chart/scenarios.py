"""The chart rendered once for each scenario of charts/serinus/ci, and ways to find things in it."""

from __future__ import annotations

from collections.abc import Iterator
from functools import cache
from typing import Any

from tools import chart

Object = dict[str, Any]
FILES = {f.name.removesuffix("-values.yaml"): f for f in sorted((chart.CHART / "ci").glob("*-values.yaml"))}
NAMES = sorted(FILES)
POD_KINDS = ("Deployment", "Pod", "Job")


@cache
def objects(scenario: str) -> tuple[Object, ...]:
    """Everything that Helm would install."""
    return tuple(chart.rendered("--values", str(FILES[scenario])))


def only(scenario: str, kind: str, name: str = "") -> Object:
    """The one object of this kind (and this end of its name)."""
    found = [o for o in objects(scenario) if o["kind"] == kind and o["metadata"]["name"].endswith(name)]
    assert len(found) == 1, f"{scenario}: expected one {kind} ...{name}, got {[o['metadata']['name'] for o in found]}"
    return found[0]


def kinds(scenario: str) -> set[str]:
    """The kinds that are there."""
    return {o["kind"] for o in objects(scenario)}


def pods(scenario: str) -> Iterator[tuple[str, Object]]:
    """The pods' specs, each with the name of what makes it."""
    for thing in objects(scenario):
        if thing["kind"] in POD_KINDS:
            spec = thing["spec"]
            yield thing["metadata"]["name"], spec if thing["kind"] == "Pod" else spec["template"]["spec"]


def containers(scenario: str) -> Iterator[tuple[str, Object]]:
    """Every container of ours, KServe's included, each with the name of what has it."""
    for name, spec in pods(scenario):
        for container in (*spec.get("initContainers", ()), *spec["containers"]):
            yield f"{name}/{container['name']}", container
    for thing in objects(scenario):
        if thing["kind"] in ("ClusterServingRuntime", "ServingRuntime"):
            yield from ((f"{thing['kind']}/{c['name']}", c) for c in thing["spec"]["containers"])
        if thing["kind"] == "ClusterStorageContainer":
            yield thing["kind"], thing["spec"]["container"]
