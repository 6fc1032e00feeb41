"""The demo's course: bring the loop up, send traffic, bring the faults in, watch, sum up."""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
import threading
import time
from collections.abc import Callable
from dataclasses import dataclass, replace
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pandas as pd
import yaml
from rich.console import Console
from rich.markup import escape

from serinus import loading
from serinus.adapters import kfp_local_folder
from serinus.adapters.collector_api import CollectorClient
from serinus.adapters.file_ledger import FileLedger
from serinus.errors import Fatal, Unavailable
from serinus.facts import Status
from services.demo import flights, labels, summary
from services.demo.record import Record
from services.demo.traffic import Replay
from services.demo.watching import Watching
from services.local import supervisor

EXAMPLE = Path(__file__).resolve().parents[2] / "examples" / "flights"
LOOP = "flight-delay"
SHARE = 0.25  # of the year's flights: some 7,000 a month
BATCH = 4  # flights a request
_FIRST = 240.0  # seconds for the first version to serve
_END = "2013-11-01"  # the replay's last day is the one before
_SETTLE = 90.0  # seconds more for what is on its way then


@dataclass(frozen=True)
class Fault:
    """A candidate that the demo breaks: brought in once `after` of the replay is over."""

    name: str
    function: str
    after: float


FAULTS = (Fault("errors", "faulty:fit_failing", 0.45), Fault("slow", "faulty:fit_slow", 0.70))


def due(fault: Fault, over: float, status: Status) -> bool:
    """Whether to bring a fault in once the share `over` of the replay is over.

    Not while another version is on its way: that may take long enough for drift to ask for a third one, which the
    broken one would be passed over for.
    """
    return over >= fault.after and _idle(status)


def _idle(status: Status) -> bool:
    """Whether nothing is under way."""
    return status.run is None and status.rollout is None and status.waiting is None


def loop_state(folder: Path) -> Path:
    """The state folder of the demo's loop."""
    return folder / "state"


def tell(folder: Path, seconds: float, *, keep: bool) -> Record:
    """The whole demo. Raises Fatal when the loop cannot even be brought up."""
    console = Console(stderr=True)
    story = _Story(folder.resolve(), seconds, console)
    try:
        with console.status("reading the flights of 2013"):
            story.prepare()
        with console.status("starting MLflow, Prometheus, Envoy, and training the first model on January"):
            story.bring_up()
        with console.status("") as status:
            story.replay(status.update)
        with console.status("summing up"):
            return story.sum_up()
    finally:
        if not keep:
            with console.status("ending the loop"):
                story.end()


class _Story:
    def __init__(self, folder: Path, seconds: float, console: Console) -> None:
        self.folder, self.seconds, self.console = folder, seconds, console
        self.work, self.state = folder / "work", loop_state(folder)
        self.file = self.work / "loop.yaml"
        self.ledger = FileLedger(self.state / "ledger")
        self.told = 0

    def prepare(self) -> None:
        """A folder as a user would have it: the ModelLoop, the training code, January's flights."""
        if supervisor.is_running(self.state):
            raise Fatal(f"a demo's loop is still up in {self.state}; end it with `serinus down --state {self.state}`")
        shutil.rmtree(self.folder, ignore_errors=True)
        shutil.copytree(EXAMPLE, self.work, ignore=shutil.ignore_patterns("__pycache__", "data"))
        self.year = flights.read(SHARE, seed=0)
        january = self.year["time_hour"] < pd.Timestamp("2013-02-01", tz="UTC")
        self.january = self.year[january]
        flights.append(self.january, self.work / "data", "2013-01")
        self.rows = self.year[~january]

    def bring_up(self) -> None:
        """`serinus up`, and wait until the first version serves."""
        self._serinus("up", str(self.file), "--detach")
        card = supervisor.read_card(self.state)
        if card is None:
            raise Fatal(f"the loop did not come up; see {self.state / 'logs'}")
        self.addresses = card.addresses
        self.collector = CollectorClient(self.addresses.url("collector"))
        deadline = time.monotonic() + _FIRST
        while self._status().champion is None:
            self._tell_new_events()
            if time.monotonic() > deadline or not supervisor.is_running(self.state):
                raise Fatal(f"no first version after {_FIRST:.0f} s; see `serinus history --state {self.state}`")
            time.sleep(0.2)
        self._tell_new_events()

    def replay(self, show: Callable[[str], None]) -> None:
        """Send the flights while the loop lives its life; bring the faults in when it is their time."""
        requests = int((self.rows["time_hour"] < pd.Timestamp(_END, tz="UTC")).sum()) / BATCH
        self.traffic = Replay(
            self.rows, f"{self.addresses.url('envoy')}/v1/models/{LOOP}:predict", BATCH, requests / self.seconds,
            on_day=self._day_over,
        )  # fmt: skip
        self.watching = Watching(self.ledger, LOOP, self.traffic)
        caller = threading.Thread(target=self.traffic.run, name="callers", daemon=True)
        caller.start()
        while caller.is_alive():
            status = self.watching.look()
            self._tell_new_events()
            show(self._line(status))
            faults = self._not_brought_in()
            if faults and due(faults[0], self.watching.seconds / self.seconds, status):
                self._bring_in(faults[0])
            # What is on its way when the year's end is reached is seen through, on the flights that follow.
            late = self.watching.seconds - self.seconds
            if late > _SETTLE or (late > 0 and not faults and _idle(status)):
                self.traffic.stop()
            time.sleep(max(0.0, 1.0 - time.monotonic() % 1.0))

    def sum_up(self) -> Record:
        """Everything that was seen, and which promises were kept."""
        spec = loading.read(self.file)
        began = datetime.now(UTC) - timedelta(seconds=self.watching.seconds)
        judged = labels.judged(self.collector, spec, began, datetime.now(UTC))
        record = summary.make(self.watching, self.traffic, spec, self.january, self._broken(), judged)
        urls = {"predictions": self.traffic.url}
        urls |= {"MLflow": self.addresses.url("mlflow"), "Prometheus": self.addresses.url("prometheus")}
        return replace(record, addresses=urls)

    def end(self) -> None:
        """`serinus down`."""
        if self.state.exists():
            self._serinus("down")

    def _day_over(self, day: str, rows: pd.DataFrame) -> None:
        """The flights have landed: their truth is known, to the training data and to the collector."""
        flights.append(rows, self.work / "data", day)
        try:
            self.collector.label(LOOP, labels.of(rows, datetime.now(UTC)))
        except Unavailable as error:  # a label that is lost is a figure less; the summary says when all are
            self._say(escape(f"the labels of {day} could not be handed over: {error}"))

    def _broken(self) -> dict[str, str]:
        """Which fault each run trained, by the run's key; what a run was asked to do is in its folder."""
        found = {}
        for key in self.watching.runs:
            job = kfp_local_folder.job(self.state / "runs" / key)
            fault = next((f for f in FAULTS if job is not None and f.function in job.request.spec), None)
            if fault is not None:
                found[key] = fault.name
        return found

    def _not_brought_in(self) -> list[Fault]:
        """The faults that no run has trained yet; one that lost to the champion on the holdout is tried again."""
        brought = {name for key, name in self._broken().items() if self.watching.runs[key].phase != "failed"}
        return [fault for fault in FAULTS if fault.name not in brought]

    def _bring_in(self, fault: Fault) -> None:
        """A colleague edits the training function and asks for a run; the edit is taken back once the run is made."""
        sound = self.file.read_text()
        document = yaml.safe_load(sound)
        training = document["spec"]["training"]
        del training["estimator"]
        training["python"] = fault.function
        self._say(f"[magenta]a colleague brings in a model that is broken: {fault.name}[/magenta]")
        self._write(yaml.safe_dump(document, sort_keys=False))
        try:
            self._serinus("run")
        except Fatal as error:  # drift asked in the same second; the colleague tries again when that run is over
            self._say(escape(str(error)))
        finally:
            self._write(sound)

    def _write(self, text: str) -> None:
        temporary = self.file.with_suffix(".tmp")
        temporary.write_text(text)
        temporary.replace(self.file)

    def _status(self) -> Status:
        return self.ledger.read(LOOP).status

    def _serinus(self, *words: str) -> None:
        command = [sys.executable, "-m", "services.cli.main", *words, "--state", str(self.state)]
        environment = {**os.environ, "USER": "a colleague"}
        done = subprocess.run(command, capture_output=True, text=True, check=False, env=environment)
        if done.returncode != 0:
            raise Fatal(f"`serinus {' '.join(words)}` failed: {done.stderr.strip() or done.stdout.strip()}")

    def _tell_new_events(self) -> None:
        for event in self.ledger.events(LOOP, 10_000)[self.told :]:
            self.told += 1
            self._say(f"[cyan]{event.kind:<16}[/cyan] {escape(event.message)}")

    def _say(self, text: str) -> None:
        self.console.print(f"{datetime.now(UTC).astimezone():%H:%M:%S} {text}", highlight=False, soft_wrap=True)

    def _line(self, status: Status) -> str:
        seen = self.watching
        canary = f", canary version {status.rollout.version}" if status.rollout is not None else ""
        run = f", {status.run.cause} run" if status.run is not None else ""
        requests = f"{seen.requests} requests, {seen.failed} failed"
        return f"{self.traffic.day}: version {status.champion} serves{canary}{run}; {requests}"
