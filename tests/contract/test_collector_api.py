"""The ports Recorder, Records and Audit over HTTP: in front of SQLite and Postgres they keep the same promises."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from itertools import groupby
from pathlib import Path

import orjson
import pytest

from serinus.adapters.collector_api import CollectorClient
from serinus.adapters.records_tables import ticks
from serinus.decide.audit import verify
from serinus.facts import Prediction, Taken
from tests.contract.audit_suite import AuditPromises, deed
from tests.contract.records_cases import Both, Open
from tests.contract.records_suite import RecordsPromises
from tests.servers.collector import Collector, collector, threaded
from tests.servers.mlflow import free_port
from tests.servers.postgres import Postgres, postgres

__all__ = ["postgres"]  # a fixture


@pytest.fixture(scope="module", params=["sqlite", "postgres"])
def server(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Collector]:
    """A collector that the tests share; each has a namespace of its own."""
    database: Postgres | None = request.getfixturevalue("postgres") if request.param == "postgres" else None
    folder = tmp_path_factory.mktemp("collector")
    with collector(folder, database.fresh() if database else f"sqlite:///{folder}/records.db") as running:
        yield running


@pytest.fixture
def nobody() -> CollectorClient:
    return CollectorClient(f"http://127.0.0.1:{free_port()}", timeout=5)


class TestRecords(RecordsPromises):
    @pytest.fixture
    def open(self, server: Collector) -> Open:
        return server.client

    @pytest.fixture
    def away(self, nobody: CollectorClient) -> Both:
        return nobody


class _ByColumns(CollectorClient):
    """Posts predictions as predictors do."""

    def add(self, loop: str, predictions: Sequence[Prediction]) -> Taken:
        outcomes, problems = Counter[str](), tuple[str, ...]()
        for (version, names), some in groupby(predictions, lambda p: (p.version, list(p.features))):
            rows = [[p.id, ticks(p.time), p.score, p.answer, p.key, *p.features.values()] for p in some]
            body = orjson.dumps({"version": version, "features": names, "rows": rows})
            answer = orjson.loads(self._send("POST", f"{self._place(loop)}/predictions", body))
            outcomes.update(answer["outcomes"])
            problems += tuple(answer["problems"])
        return Taken(dict(outcomes), problems)


class TestRecordsByColumns(RecordsPromises):
    """In front of SQLite: what is written is the same, and Postgres gets it by the same functions."""

    @pytest.fixture(scope="class")
    def server(self, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Collector]:
        folder = tmp_path_factory.mktemp("columns")
        with collector(folder, f"sqlite:///{folder}/records.db") as running:
            yield running

    @pytest.fixture
    def open(self, server: Collector) -> Open:
        return lambda namespace: _ByColumns(server.url, namespace, by="ann")

    @pytest.fixture
    def away(self, nobody: CollectorClient) -> Both:
        return nobody


class TestAudit(AuditPromises):
    @pytest.fixture(params=["sqlite", "postgres", "file"])
    def backend(self, request: pytest.FixtureRequest) -> str:
        return str(request.param)

    @pytest.fixture
    def audit(self, request: pytest.FixtureRequest, backend: str, tmp_path: Path) -> Iterator[CollectorClient]:
        database = f"sqlite:///{tmp_path}/records.db"
        if backend == "postgres":
            database = request.getfixturevalue("postgres").fresh()
        with threaded(tmp_path, database, audit_file=tmp_path / "audit.jsonl" if backend == "file" else None) as url:
            yield CollectorClient(url)

    @pytest.fixture
    def away(self, nobody: CollectorClient) -> CollectorClient:
        return nobody

    def test_callers_at_once_leave_one_chain(self, audit: CollectorClient) -> None:
        with ThreadPoolExecutor(6) as pool:
            made = list(pool.map(lambda n: (audit.append([deed(n), deed(n + 1)]), audit.entries(n)), range(24)))
        assert sum(count for count, _ in made) == 25
        entries = audit.entries()
        assert len(entries) == 25
        assert verify(entries) is None
