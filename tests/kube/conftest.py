"""One API server for all tests of a worker; each test module takes namespaces of its own."""

from __future__ import annotations

from collections.abc import Iterator

import pytest

from tests.servers.kubernetes import ApiServer, api_server


@pytest.fixture(scope="session")
def server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[ApiServer]:
    with api_server(tmp_path_factory.mktemp("kubernetes")) as started:
        yield started
