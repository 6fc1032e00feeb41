"""The port Router, kept by KServe's Standard mode on a real cluster."""

from __future__ import annotations

from collections.abc import Iterator

import pytest

from serinus.adapters.kube import Kube
from tests.cluster.serving import Serving, serving
from tests.contract.router_suite import Backend, RouterPromises


@pytest.fixture(scope="module")
def place() -> Iterator[Serving]:
    with serving() as made:
        yield made


class TestKServeRouter(RouterPromises):
    @pytest.fixture
    def backend(self, place: Serving) -> Backend:
        place.clear()
        kube = Kube.connect()

        def leaves() -> None:
            kube._client.configuration.host = "https://127.0.0.1:1"

        return Backend(place.router(kube=kube), place.breaks, place.heals, place.dies, leaves, patience=90.0)
