"""The port Ledger on a real API server keeps the promises that files keep."""

from __future__ import annotations

import pytest

from serinus.adapters.kube_ledger import KubeLedger
from serinus.ports import Ledger
from tests.contract.ledger_suite import LedgerPromises
from tests.servers.kube_ledgers import allow, loops, nowhere
from tests.servers.kubernetes import ApiServer


class TestKubeLedger(LedgerPromises):
    @pytest.fixture
    def ledger(self, server: ApiServer) -> Ledger:
        namespace = loops(server, "a", "b")
        return KubeLedger(allow(server, namespace, "ann"), namespace)

    @pytest.fixture
    def away(self) -> Ledger:
        return KubeLedger(nowhere(), "default")
