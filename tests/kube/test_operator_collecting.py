"""What the operator makes for a loop that collects, on a real API server."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest

from serinus.adapters.kube import CRON_JOBS, INFERENCE_SERVICES, MODEL_LOOPS, ROLE_BINDINGS, ROLES, SERVICE_ACCOUNTS
from tests.kube.test_operator_life import World, living
from tests.servers.kubernetes import ApiServer
from tests.servers.mlflow import mlflow_uri  # noqa: F401

TOKEN = "/var/run/secrets/serinus/collector/token"  # noqa: S105 - a file


@pytest.fixture
def world(server: ApiServer, mlflow_uri: str, tmp_path: Path, request: pytest.FixtureRequest) -> Iterator[World]:  # noqa: F811
    """One whose installation has a collector; nobody is there, which is no matter of these tests."""
    with living(server, mlflow_uri, tmp_path, request.node.name, "http://collector:8080", TOKEN) as made:
        yield made


def test_a_loop_that_collects_has_accounts_and_jobs_for_it_for_as_long_as_it_does(
    world: World,
) -> None:
    world.stage.leading()
    labels = {"source": {"files": {"uri": "labels/"}, "id": "id", "value": "v"}}
    world.loop("life-c", collect={}, labels=labels, quality={}, drift={"enabled": False})
    world.stage.until(lambda: {"life-c-quality", "life-c-intake"} <= world.names(CRON_JOBS), "its jobs")
    world.serve("life-c")
    collecting = {"life-c-predictor", "life-c-quality", "life-c-intake"}
    for kind in (SERVICE_ACCOUNTS, ROLES, ROLE_BINDINGS):
        assert collecting <= world.names(kind)
    (serving,) = world.stage.kube.list(INFERENCE_SERVICES, world.namespace)
    pod = serving["spec"]["predictor"]
    assert pod["serviceAccountName"] == "life-c-predictor"
    args = pod["model"]["args"]
    assert args[args.index("--collector") + 1] == "http://collector:8080"
    assert args[args.index("--namespace") + 1] == world.namespace
    gone = {"collect": None, "labels": {"source": None}, "quality": None}
    world.stage.kube.patch(MODEL_LOOPS, world.namespace, "life-c", {"spec": gone})
    for kind in (CRON_JOBS, ROLE_BINDINGS, ROLES, SERVICE_ACCOUNTS):
        world.stage.until(lambda k=kind: not collecting & world.names(k), f"no {kind.plural} of it are left")  # type: ignore[misc]
