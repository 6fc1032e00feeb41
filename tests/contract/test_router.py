"""The port Router: Envoy and the fake keep the same promises. KServe's are held to them in tests/cluster."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from datetime import timedelta
from pathlib import Path

import pytest

from serinus.adapters.envoy import EnvoyRouter
from serinus.adapters.fakes.router import FakeRouter
from tests.contract.router_suite import LOOP, Backend, RouterPromises
from tests.servers.envoy import envoy, predictors


def real(tmp_path: Path) -> Iterator[Backend]:
    with predictors() as servers, envoy(tmp_path / "envoy") as running:

        def dies(version: int) -> None:
            servers.kill(version)
            servers.start(version)

        router = EnvoyRouter(running.folder, running.admin, servers, timedelta(seconds=5))
        yield Backend(router, servers.broken.add, servers.broken.discard, dies, running.stop)


def fake(tmp_path: Path) -> Iterator[Backend]:
    router = FakeRouter()

    def breaks(version: int) -> None:
        router.broken[version] = "the model does not load"

    def heals(version: int) -> None:
        del router.broken[version]

    def dies(version: int) -> None:
        router.kill(LOOP, version)

    def leaves() -> None:
        router.away = True

    yield Backend(router, breaks, heals, dies, leaves)


@pytest.mark.parametrize("made", [real, fake], ids=["envoy", "fake"])
class TestRouter(RouterPromises):
    @pytest.fixture
    def backend(self, made: Callable[[Path], Iterator[Backend]], tmp_path: Path) -> Iterator[Backend]:
        yield from made(tmp_path)
