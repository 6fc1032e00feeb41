"""The collector's life: killed in the middle of batches, its database away and back, told to end, started wrongly."""

from __future__ import annotations

import contextlib
import itertools
import os
import signal
import sqlite3
import threading
import time
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field
from datetime import UTC, datetime
from pathlib import Path

import httpx
import pytest

from serinus.adapters.collector_api import CollectorClient
from serinus.errors import Unavailable
from serinus.facts import Label, Prediction, RowsQuestion, Taken, TallyQuestion, Window
from services.collector.__main__ import main
from tests.servers.collector import Collector, collector
from tests.servers.postgres import Postgres, running
from tests.servers.prometheus import until

NOW = datetime.now(UTC)


@pytest.fixture
def database() -> Iterator[Postgres]:
    """One of its own: it is killed."""
    with running() as server:
        yield server


def prediction(name: str) -> Prediction:
    return Prediction(name, 1, NOW, {"n": 1.0}, 0.5, "no")


def post(server: Collector, loop: str) -> httpx.Response:
    row = {"id": "p", "version": 3, "time": NOW.isoformat(), "features": {}, "score": 0.25, "answer": "no"}
    return httpx.post(f"{server.url}/loops/local/{loop}/predictions", json={"predictions": [row]}, timeout=30)


@dataclass
class Senders:
    """Threads that send batches of predictions and labels, each until it is acknowledged, and note which ones were."""

    server: Collector
    threads: int = 3
    batch: int = 40
    stop: threading.Event = field(default_factory=threading.Event)
    acknowledged: list[str] = field(default_factory=list)
    sent: set[str] = field(default_factory=set)
    failures: int = 0

    def send(self, thread: int) -> None:
        client = self.server.client(timeout=10)
        for number in itertools.count():
            if self.stop.is_set():
                return
            names = [f"{thread}-{number}-{each}" for each in range(self.batch)]
            self.sent |= set(names)
            predictions = [prediction(name) for name in names]
            labels = [Label("yes", NOW, id=name) for name in names]
            self.insist(lambda some=predictions: client.add("a", some), names)  # type: ignore[misc]
            self.insist(lambda some=labels: client.label("a", some), [f"label {name}" for name in names])  # type: ignore[misc]

    def insist(self, give: Callable[[], Taken], names: list[str]) -> None:
        """Again and again, as a predictor does, unless the test ends."""
        while True:
            try:
                taken = give()
            except Unavailable:
                self.failures += 1
                if self.stop.is_set():
                    return
                time.sleep(0.02)
            else:
                assert sum(taken.outcomes.values()) == len(names)
                self.acknowledged += names
                return

    @contextlib.contextmanager
    def at_work(self) -> Iterator[None]:
        with ThreadPoolExecutor(self.threads) as pool:
            done = [pool.submit(self.send, thread) for thread in range(self.threads)]
            try:
                yield
            finally:
                self.stop.set()
            for each in done:
                each.result()

    def more(self, batches: int = 5) -> None:
        """Wait for that many acknowledged batches more."""
        goal = len(self.acknowledged) + batches * self.batch
        until(lambda: len(self.acknowledged) >= goal, "more is acknowledged", 60)

    def check(self) -> None:
        """What was acknowledged is there once; and nothing that nobody sent."""
        window = Window(NOW.replace(year=2020), NOW.replace(year=2030))
        rows = self.server.client().rows("a", RowsQuestion(window, limit=100_000))
        held = [row.prediction.id for row in rows]
        labelled = {row.prediction.id for row in rows if row.truth is not None}
        assert len(held) == len(set(held))
        assert set(held) <= self.sent
        assert {name for name in self.acknowledged if not name.startswith("label ")} <= set(held)
        assert {name.removeprefix("label ") for name in self.acknowledged if name.startswith("label ")} <= labelled
        tallies = self.server.client().tally("a", TallyQuestion(window.start, window.end, 1e9))
        assert sum(tally.rows for tally in tallies) == len(held)
        assert sum(tally.labelled for tally in tallies) == len(labelled)


def test_what_was_acknowledged_is_there_once_though_the_collector_was_killed(
    database: Postgres, tmp_path: Path
) -> None:
    with collector(tmp_path, database.fresh()) as server:
        senders = Senders(server)
        with senders.at_work():
            for _ in range(2):
                senders.more()
                server.kill()
                server.start()
            senders.more()
        assert senders.failures > 0
        senders.check()


def test_what_was_acknowledged_is_there_once_though_the_database_was_killed(database: Postgres, tmp_path: Path) -> None:
    with collector(tmp_path, database.fresh()) as server:
        senders = Senders(server)
        with senders.at_work():
            for _ in range(2):
                senders.more()
                database.kill()
                until(lambda: not server.is_ready(), "the collector sees that the database is away")
                assert server.count("serinus_collector_database_up") == 0
                database.start()
                until(server.is_ready, "the collector sees that the database is back")
            senders.more()
        assert senders.failures > 0
        senders.check()


def test_while_the_database_is_away_it_says_so_and_then_goes_on(database: Postgres, tmp_path: Path) -> None:
    url = database.fresh()
    database.stop()
    with collector(tmp_path, url, ready=False) as server:
        answer = post(server, "a")
        assert (answer.status_code, answer.headers["retry-after"]) == (503, "1")
        assert httpx.get(f"{server.url}/healthz").status_code == 200
        assert not server.is_ready()
        database.start()
        until(server.is_ready, "it is ready")
        assert post(server, "a").json()["outcomes"] == {"new": 1}
        database.stop()
        answer = post(server, "a")
        assert (answer.status_code, "database" in answer.json()["error"]) == (503, True)
        database.start()
        until(lambda: post(server, "a").json().get("outcomes") == {"doubled": 1}, "it goes on")
        assert "s3:cr@t" not in server.log


def test_more_requests_than_it_can_hold_are_told_to_come_again(tmp_path: Path) -> None:
    file = tmp_path / "records.db"
    with (
        collector(tmp_path, f"sqlite:///{file}", "--queue", "4", "--threads", "2") as server,
        contextlib.closing(sqlite3.connect(file, isolation_level=None)) as busy,
        ThreadPoolExecutor(8) as pool,
    ):
        busy.execute("BEGIN IMMEDIATE")  # whoever writes waits for us
        try:
            answers = [pool.submit(post, server, f"busy{n}") for n in range(8)]
            until(lambda: sum(answer.done() for answer in answers) == 4, "four are refused")
            refused = [answer.result() for answer in answers if answer.done()]
            assert {(a.status_code, a.headers["retry-after"]) for a in refused} == {(503, "1")}
            assert httpx.get(f"{server.url}/healthz").status_code == 200
            assert server.count("serinus_collector_in_flight") >= 4
        finally:
            busy.execute("ROLLBACK")
        assert sorted(answer.result().status_code for answer in answers) == [200] * 4 + [503] * 4


def test_sigterm_finishes_what_is_in_work(tmp_path: Path) -> None:
    file = tmp_path / "records.db"
    with collector(tmp_path, f"sqlite:///{file}", "--drain", "1") as server:
        with contextlib.closing(sqlite3.connect(file, isolation_level=None)) as busy, ThreadPoolExecutor(2) as pool:
            busy.execute("BEGIN IMMEDIATE")
            answer = pool.submit(post, server, "a")
            until(lambda: server.count("serinus_collector_in_flight") == 2, "it is in work")
            assert server.process is not None
            server.process.send_signal(signal.SIGTERM)
            until(lambda: httpx.get(f"{server.url}/readyz").status_code == 503, "it is no longer ready")
            late = httpx.get(f"{server.url}/healthz")
            assert (late.status_code, late.headers["connection"]) == (200, "close")
            busy.execute("ROLLBACK")
            assert answer.result().json()["outcomes"] == {"new": 1}
        assert server.wait() == 0
        server.start()
        assert len(server.client().find("a", ["p"])) == 1


@pytest.mark.parametrize(
    ("arguments", "code", "said"),
    [
        (["--host", "0.0.0.0"], 2, "expected a loopback address, or --auth kubernetes"),  # noqa: S104
        (["--retention", "soon"], 2, "expected a duration"),
        ([], 1, "expected the database's URL in SERINUS_DATABASE_URL"),
        (["--database-url-file", "/nowhere"], 1, "/nowhere: expected the database's URL"),
        (["--database-url-file", "FILE:mysql://u:secret@h/d"], 1, "expected the database as sqlite"),
        (["--database-url-file", "FILE:sqlite:////x", "--hash-key-file", "FILE:short"], 1, "16 to 64 bytes, got 5"),
    ],
    ids=["host", "retention", "nothing", "no file", "another database", "short key"],
)
def test_what_it_is_started_wrongly_with_is_said_and_no_secret_with_it(
    tmp_path: Path,
    arguments: list[str],
    code: int,
    said: str,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    def written(number: int, word: str) -> str:
        if not word.startswith("FILE:"):
            return word
        (tmp_path / str(number)).write_text(word.removeprefix("FILE:"))
        return str(tmp_path / str(number))

    for name in [name for name in os.environ if name.startswith("SERINUS_")]:
        monkeypatch.delenv(name)
    ended = 0
    try:
        ended = main(["--port", "0", *(written(number, word) for number, word in enumerate(arguments))])
    except SystemExit as exit:  # argparse's
        ended = int(exit.code or 0)
    told = capsys.readouterr().err
    assert (ended, said in told) == (code, True), told
    assert "secret" not in told
    assert "Traceback" not in told


def test_a_database_that_a_newer_program_made_ends_it(tmp_path: Path) -> None:
    file = tmp_path / "records.db"
    with contextlib.closing(sqlite3.connect(file)) as made:
        made.execute("CREATE TABLE serinus_schema (version_num VARCHAR(32) NOT NULL)")
        made.execute("INSERT INTO serinus_schema VALUES ('9999')")
        made.commit()
    with collector(tmp_path, f"sqlite:///{file}", ready=False) as server:
        assert server.wait() == 1
        assert "update this program" in server.log


def test_nobody_there_is_unavailable(tmp_path: Path) -> None:
    with pytest.raises(Unavailable, match="cannot be asked"):
        CollectorClient("http://127.0.0.1:9", timeout=2).add("a", [prediction("p")])
