"""One installation for the session, whatever the number of pytest's workers."""

from __future__ import annotations

import os
from collections.abc import Iterator

import pytest

from tests.cluster import installation
from tests.cluster.installation import Installation


@pytest.fixture(scope="session")
def serinus(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Installation]:
    """The chart, installed on the cluster of KUBECONFIG."""
    mine = tmp_path_factory.getbasetemp()
    with installation.installed(mine.parent if "PYTEST_XDIST_WORKER" in os.environ else mine) as made:
        yield made
