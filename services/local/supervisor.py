"""The supervisor behind `serinus up`: keeps the programs alive and drives the loop, one look a second.

It may be killed at any time. What runs goes on without it (Envoy routes, predictors answer, a pipeline run ends), and
the next supervisor on the same state folder adopts it all and continues from the ledger.
"""

from __future__ import annotations

import fcntl
import json
import os
import threading
import time
from collections.abc import Callable
from contextlib import ExitStack, suppress
from dataclasses import asdict, dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import IO

from serinus import loading
from serinus.errors import Fatal, SerinusError, SpecError
from serinus.facts import Event
from serinus.spec import ModelLoop
from services import driver
from services.local import parts, processes
from services.local.addresses import Addresses
from services.metrics import LoopMetrics

LOOK = 1.0  # seconds between two looks

Say = Callable[[Event], None]


@dataclass(frozen=True)
class Card:
    """What a supervisor leaves in its state folder for the commands that talk to it."""

    pid: int
    file: str
    loop: str
    addresses: Addresses


class Running(Fatal):
    """Another supervisor holds the state folder."""


class Supervisor:
    """One loop, one state folder."""

    def __init__(self, file: Path, state: Path, ports: dict[str, int] | None = None, say: Say | None = None) -> None:
        self.file, self.state = file.resolve(), state.resolve()
        self._wanted = ports or {}
        self._say: Say = say or (lambda _: None)
        self._spec = loading.read(self.file)
        self._seen_file = self.file.stat().st_mtime_ns
        self._stopping = threading.Event()
        self._stack = ExitStack()
        self._drift_thread: threading.Thread | None = None
        self._last_error = ""

    @property
    def spec(self) -> ModelLoop:
        """The newest valid spec."""
        return self._spec

    def start(self, progress: Callable[[str], None] = lambda _: None) -> Addresses:
        """Lock the state folder, adopt or start every program, and wait until all answer."""
        self._stack.enter_context(lock(self.state))
        _one_loop_only(self.state, self._spec.name)
        os.environ[processes.STATE] = str(self.state)  # whatever a part starts belongs to this state folder
        self._parts = parts.build(self._spec, self.file.parent, self.state, self._wanted)
        _write_card(self.state, Card(os.getpid(), str(self.file), self._spec.name, self._parts.addresses))
        self._metrics = LoopMetrics(self._spec.name)
        self._stack.callback(parts.serve_metrics(self._metrics.registry, self._parts.addresses))
        self._parts.start(progress)
        self._since = datetime.now(UTC)
        return self._parts.addresses

    def run(self) -> None:
        """Look once a second until `stop`."""
        while not self._stopping.is_set():
            began = time.monotonic()
            self._keep_alive()
            self._look()
            self._drift(datetime.now(UTC))
            self._stopping.wait(max(0.0, LOOK - (time.monotonic() - began)))

    def stop(self) -> None:
        """End `run` after the look that is under way; safe in a signal handler."""
        self._stopping.set()

    def end(self) -> None:
        """End every program in the order in which nobody is left without an answer, and free the state folder."""
        if hasattr(self, "_parts"):
            if self._drift_thread is not None:
                self._drift_thread.join(timeout=30)
            self._parts.end()
            processes.sweep(self.state)
        with suppress(FileNotFoundError):
            (self.state / "supervisor.json").unlink()
        self._stack.close()

    def _keep_alive(self) -> None:
        for name in self._parts.restart_dead():
            self._tell(Event(datetime.now(UTC), "Restarted", f"{name} had died and was started again"))

    def _look(self) -> None:
        try:
            looked = driver.look(self._spec.name, self._reread, self._parts.ports, datetime.now(UTC), self._since)
        except SerinusError as error:
            self._complain(f"this look failed and will be repeated: {error}")
            return
        self._last_error = ""
        for event in looked.plan.events:
            self._tell(event)
        self._metrics.show(looked.plan, looked.world.routing)

    def _reread(self) -> ModelLoop:
        """The spec, following edits of the file; a broken edit is said once, and the last good spec stays."""
        try:
            changed = self.file.stat().st_mtime_ns
            if changed == self._seen_file:
                return self._spec
            self._seen_file = changed
            spec = loading.read(self.file)
            if spec.name != self._spec.name:
                raise SpecError(
                    [f"metadata.name: expected {self._spec.name!r}, got {spec.name!r}; `serinus down` first"]
                )
        except (OSError, SpecError) as error:
            self._complain(f"{self.file.name} was edited but is not valid, the last good one stays: {error}")
            return self._spec
        self._spec = spec
        self._parts.edit(spec)
        self._tell(Event(datetime.now(UTC), "SpecChanged", f"{self.file.name} was read anew"))
        return spec

    def _drift(self, now: datetime) -> None:
        """Start a look of the drift job when it is due and the last one has ended."""
        if self._drift_thread is not None and self._drift_thread.is_alive():
            return
        if self._parts.drift_due(self._spec, now):
            self._drift_thread = threading.Thread(
                target=self._parts.look_for_drift, args=(self._spec, now), name="drift", daemon=True
            )
            self._drift_thread.start()

    def _complain(self, message: str) -> None:
        if message != self._last_error:
            self._last_error = message
            self._tell(Event(datetime.now(UTC), "Trouble", message))

    def _tell(self, event: Event) -> None:
        with suppress(Exception):  # a closed terminal must not stop the loop
            self._say(event)


def lock(state: Path) -> IO[str]:
    """Hold the state folder, until the returned file is closed or the process ends, however it ends."""
    state.mkdir(parents=True, exist_ok=True)
    file = (state / "supervisor.lock").open("w")
    try:
        fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError:
        file.close()
        card = read_card(state)
        who = f" (pid {card.pid}, loop {card.loop})" if card is not None else ""
        raise Running(f"another supervisor{who} holds {state}; stop it with `serinus down --state {state}`") from None
    os.set_inheritable(file.fileno(), False)
    return file


def is_running(state: Path) -> bool:
    """Whether a supervisor holds the state folder now."""
    if not (state / "supervisor.lock").exists():
        return False
    try:
        lock(state).close()
    except Running:
        return True
    return False


def read_card(state: Path) -> Card | None:
    """What the supervisor of this state folder, alive or killed, said of itself."""
    try:
        found = json.loads((state / "supervisor.json").read_text())
    except (FileNotFoundError, json.JSONDecodeError):
        return None
    return Card(found["pid"], found["file"], found["loop"], Addresses(**found["addresses"]))


def _write_card(state: Path, card: Card) -> None:
    temporary = state / "supervisor.json.tmp"
    temporary.write_text(json.dumps(asdict(card), indent=1))
    temporary.replace(state / "supervisor.json")


def _one_loop_only(state: Path, name: str) -> None:
    mine = state / "loop"
    if mine.exists() and mine.read_text() != name:
        raise Fatal(f"{state} belongs to loop {mine.read_text()!r}, got {name!r}; choose another folder with --state")
    mine.write_text(name)
