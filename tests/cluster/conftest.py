"""One installation for the session."""

from __future__ import annotations

from collections.abc import Iterator

import pytest

from tests.cluster import installation
from tests.cluster.installation import Installation


@pytest.fixture(scope="session")
def serinus(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Installation]:
    """The chart, installed on the cluster of KUBECONFIG."""
    with installation.installed(tmp_path_factory.mktemp("values")) as made:
        yield made
