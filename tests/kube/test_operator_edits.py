"""An edit of a ModelLoop on a real API server is told once, with what the object knows of its writer."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest

from serinus import loading
from serinus.adapters.kube import MODEL_LOOPS
from serinus.adapters.kube_ledger import KubeLedger
from serinus.decide.edits import digest
from serinus.facts import Event
from tests.kube.test_operator_life import World, living
from tests.servers.kubernetes import ApiServer
from tests.servers.mlflow import mlflow_uri  # noqa: F401


@pytest.fixture
def world(server: ApiServer, mlflow_uri: str, tmp_path: Path, request: pytest.FixtureRequest) -> Iterator[World]:  # noqa: F811
    with living(server, mlflow_uri, tmp_path, request.node.name) as made:
        yield made


def test_an_edit_is_told_once_with_fields_digests_generations_and_manager_whoever_leads(world: World) -> None:
    stage = world.stage
    ledger = KubeLedger(stage.kube, world.namespace)

    def edits() -> list[Event]:
        return [event for event in ledger.events("edited") if event.kind == "SpecChanged"]

    def now() -> str:
        return digest(loading.held(stage.loop(world.namespace, "edited")).for_run())

    operator = stage.leading()
    world.loop("edited")
    world.run("edited")
    before = now()
    operator.end()
    world.loop("edited", validation={"margin": 0.03})  # while nobody looks
    second = stage.leading()
    stage.until(edits, "the edit is told")
    second.kill()
    stage.leading()
    stage.kube.patch(MODEL_LOOPS, world.namespace, "edited", {"spec": {"approval": "required"}})
    stage.until(lambda: len(edits()) > 1, "the next edit is told")
    first, other = edits()
    assert first.by == "field manager a person"
    assert f"digest {before} to " in first.message
    assert ", generation 1 to 2; by field manager a person, at 20" in first.message
    assert "spec.validation.margin" in first.message
    assert f"to {now()}, generation 2 to 3" in other.message
    assert other.message.endswith('spec.approval the default to "required"')
