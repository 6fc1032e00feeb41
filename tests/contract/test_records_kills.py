"""kill -9 in the middle of batches: what was acknowledged is there, once, with its truth."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import threading
from pathlib import Path

from serinus.adapters import migrations, sql_engine
from serinus.adapters.records_sql import SqlRecords
from serinus.errors import Unavailable
from serinus.facts import RowsQuestion, TallyQuestion
from tests.contract.records_cases import ALWAYS, label, prediction
from tests.servers.postgres import running
from tests.servers.prometheus import until

BATCH = 50


class Writer(threading.Thread):
    """Adds batches and their labels, each until it is acknowledged; asks again for what was not."""

    def __init__(self, records: SqlRecords) -> None:
        super().__init__(daemon=True)
        self.records, self.enough = records, threading.Event()
        self.acknowledged, self.refused = 0, 0
        self.wrong: list[BaseException] = []

    def run(self) -> None:
        try:
            while not self.enough.is_set():
                ids = [f"{self.acknowledged}/{n}" for n in range(BATCH)]
                try:
                    self.records.add("a", [prediction(name) for name in ids])
                    self.records.label("a", [label(id=name) for name in ids])
                    self.acknowledged += 1
                except Unavailable:
                    self.refused += 1
                    self.enough.wait(0.02)
        except BaseException as error:
            self.wrong.append(error)


def test_a_postgres_that_is_killed_has_what_was_acknowledged_once() -> None:
    with running(durable=True) as server:
        engine = sql_engine.connect(server.fresh())
        writer = Writer(SqlRecords(engine, "ns"))
        writer.start()
        for _ in range(2):
            before = writer.acknowledged
            until(lambda: writer.wrong or writer.acknowledged >= before + 3, "three batches more", 60)  # noqa: B023
            server.kill()
            refused = writer.refused
            until(lambda: writer.wrong or writer.refused > refused, "a batch is not acknowledged", 60)  # noqa: B023
            server.start()
        last = writer.acknowledged
        until(lambda: writer.wrong or writer.acknowledged > last, "it goes on", 60)
        writer.enough.set()
        writer.join(60)
        assert writer.wrong == []
        _all_there(SqlRecords(engine, "ns"), writer.acknowledged)
        engine.dispose()


PROGRAM = """
import sys
from serinus.adapters import sql_engine
from serinus.adapters.records_sql import SqlRecords
from tests.contract.records_cases import label, prediction
records, number = SqlRecords(sql_engine.connect(sys.argv[1]), "ns"), int(sys.argv[2])
while True:
    ids = [f"{number}/{n}" for n in range(50)]
    records.add("a", [prediction(name) for name in ids])
    records.label("a", [label(id=name) for name in ids])
    print(number, flush=True)
    number += 1
"""


def test_a_program_that_is_killed_leaves_what_it_acknowledged_once(tmp_path: Path) -> None:
    url = f"sqlite:///{tmp_path}/records.db"
    engine = sql_engine.connect(url)
    migrations.up(engine)
    acknowledged = 0
    for _ in range(2):
        program = subprocess.Popen([sys.executable, "-c", PROGRAM, url, str(acknowledged)], stdout=subprocess.PIPE)
        assert program.stdout is not None
        for _ in range(5):
            assert program.stdout.readline(), "it ended by itself"
        os.kill(program.pid, signal.SIGKILL)
        acknowledged += 5 + program.communicate(timeout=30)[0].count(b"\n")
    _all_there(SqlRecords(engine, "ns"), acknowledged)
    engine.dispose()


def _all_there(records: SqlRecords, batches: int) -> None:
    """All of the acknowledged batches, and at most one that nobody was told of."""
    rows = records.rows("a", RowsQuestion(ALWAYS, limit=10**6))
    ids = [record.prediction.id for record in rows]
    assert len(ids) == len(set(ids))
    unlabelled = [record.prediction.id for record in rows if record.truth is None]
    assert {f"{batch}/{n}" for batch in range(batches) for n in range(BATCH)} <= set(ids) - set(unlabelled)
    assert {name.split("/")[0] for name in unlabelled} <= {str(batches)}
    assert len(ids) in (batches * BATCH, (batches + 1) * BATCH)
    (tally,) = records.tally("a", TallyQuestion(ALWAYS.start, ALWAYS.end, 1e9))
    assert (tally.rows, tally.labelled) == (len(ids), len(ids) - len(unlabelled))
