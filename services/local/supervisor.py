"""The supervisor behind `serinus up`: keeps the programs alive and drives the loop, one look a second.

It may be killed at any time. What runs goes on without it (Envoy routes, predictors answer, a pipeline run ends), and
the next supervisor on the same state folder adopts it all and continues from the ledger.
"""

from __future__ import annotations

import logging
import os
import shutil
import signal
import threading
import time
from collections.abc import Callable, Mapping
from contextlib import ExitStack, suppress
from datetime import UTC, datetime
from pathlib import Path

from prometheus_client import CollectorRegistry, start_http_server

from serinus import loading
from serinus.adapters import kfp_local_folder
from serinus.errors import Fatal, SerinusError, SpecError
from serinus.facts import Event, Writer
from serinus.spec import ModelLoop
from services import driver
from services.local import processes
from services.local.addresses import HOST, Addresses
from services.local.card import Card, Running, hold, is_running, lock, read_card, write_card
from services.local.parts import Parts, PortTaken
from services.metrics import LoopMetrics

__all__ = ["Card", "Running", "Supervisor", "clear", "is_running", "lock", "put_down", "read_card"]

log = logging.getLogger(__name__)

LOOK = 1.0  # seconds between two looks
_TRIES = 3  # to find ports that nobody else takes meanwhile

Say = Callable[[Event], None]


class Supervisor:
    """One loop, one state folder."""

    def __init__(self, file: Path, state: Path, ports: dict[str, int] | None = None, say: Say | None = None) -> None:
        self.file, self.state = file.resolve(), state.resolve()
        self._wanted = ports or {}
        self._say: Say = say or (lambda _: None)
        self._spec = loading.read(self.file)
        self._seen_file = self.file.stat().st_mtime_ns
        self._stopping = threading.Event()
        self._stack = ExitStack()  # what `end` undoes, the latest first
        self._parts: Parts | None = None
        self._failed: Mapping[str, str] = {}  # what the latest look could not carry out
        self._spec_trouble = ""  # why the latest edit of the file does not count
        self._said: dict[str, str] = {}

    @property
    def spec(self) -> ModelLoop:
        """The newest valid spec."""
        return self._spec

    def start(self, progress: Callable[[str], None] = lambda _: None) -> Addresses:
        """Lock the state folder, adopt or start every program, and wait until all answer.

        Raises Fatal when it cannot be done, or when `stop` is called meanwhile; call `end` in any case.
        """
        logging.getLogger("httpx").setLevel(logging.WARNING)  # else each of its questions is a line
        self._stack.enter_context(hold(self.state))
        _one_loop_only(self.state, self._spec.name)
        os.environ[processes.STATE] = str(self.state)  # whatever a part starts belongs to this state folder
        for tries in range(1, _TRIES + 1):
            try:
                self._begin(progress)
                break
            except PortTaken:
                if tries == _TRIES:
                    raise
        self._since = datetime.now(UTC)
        self._look()  # a loop that goes on serves by now
        return self._running.addresses

    def run(self) -> None:
        """Look once a second until `stop`."""
        while not self._stopping.is_set():
            began = time.monotonic()
            self._look()
            self._jobs()
            self._stopping.wait(max(0.0, LOOK - (time.monotonic() - began)))

    def stop(self) -> None:
        """End `start` or `run` soon; safe in a signal handler."""
        self._stopping.set()

    def end(self) -> None:
        """End every program in the order in which nobody is left without an answer, and free the state folder."""
        if self._parts is not None:
            self._parts.end()
            processes.sweep(self.state)
        self._stack.close()

    @property
    def _running(self) -> Parts:
        if self._parts is None:
            raise RuntimeError("start the supervisor first")
        return self._parts

    def _begin(self, progress: Callable[[str], None]) -> None:
        self._parts = Parts(self._spec, self.file, self.state, self._wanted)
        chosen = self._parts.addresses
        write_card(self.state, Card(os.getpid(), str(self.file), self._spec.name, chosen))
        self._metrics = LoopMetrics(self._spec.name)
        end_metrics = _serve_metrics(self._metrics.registry, chosen.metrics)
        try:
            self._parts.start(progress, self._stopping)
        except BaseException:
            end_metrics()
            raise
        self._stack.callback(end_metrics)

    def _look(self) -> None:
        """One look. Nothing that goes wrong in it ends the supervisor; the next look tries again."""
        parts, now = self._running, datetime.now(UTC)
        while parts.restarted:
            self._tell("Restarted", parts.restarted.popleft())
        try:
            troubles = {**self._failed, **parts.troubles()}
            troubles |= {self.file.name: self._spec_trouble} if self._spec_trouble else {}
            looked = driver.look(
                self._spec.name, self._reread, parts.ports, now, self._since, troubles, writer=self._writer
            )
        except Exception as error:
            self._complain("look", error, "this look failed and will be repeated")
            return
        self._failed = looked.failed
        self._said.pop("look", None)
        for event in looked.plan.events:
            self._tell(event.kind, event.message)
        self._metrics.show(looked.plan, looked.world.routing, self._spec, self._since)

    def _jobs(self) -> None:
        for clock in self._running.clocks:
            try:
                clock.tick(self._spec, datetime.now(UTC))
                self._said.pop(clock.name, None)
            except Exception as error:
                self._complain(clock.name, error, f"the {clock.name} could not look and will try again")

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
            self._seen_file = self._seen_file if isinstance(error, SpecError) else 0
            self._spec_trouble = f"it is not valid, the last good one counts: {error}"
            return self._spec
        if spec != self._spec:
            self._running.edit(spec)
        self._spec, self._spec_trouble = spec, ""
        return spec

    def _writer(self) -> Writer:
        """The file's owner; who wrote into it the file system does not keep."""
        try:
            return Writer(
                f"file owner {self.file.owner()}", f"{self.file.name} does not tell who wrote it, only whose it is"
            )
        except (OSError, KeyError):  # it is gone, or its owner has no name
            return Writer()

    def _complain(self, subject: str, error: Exception, what: str) -> None:
        """Say it once, until it is another trouble; errors that nobody raised on purpose with their traceback."""
        message = f"{what}: {error if isinstance(error, SerinusError) else f'{type(error).__name__}: {error}'}"
        if self._said.get(subject) != message:
            self._said[subject] = message
            if not isinstance(error, SerinusError):
                log.error(what, exc_info=error)
            self._tell("Trouble", message)

    def _tell(self, kind: str, message: str) -> None:
        with suppress(Exception):  # a closed terminal must not stop the loop
            self._say(Event(datetime.now(UTC), kind, message))


def put_down(state: Path, seconds: float) -> int:
    """End the supervisor of `state`, if one is up, then `clear`. Raises Fatal when it does not end in `seconds`."""
    card = read_card(state)
    if card is not None and is_running(state):
        with suppress(ProcessLookupError):
            os.kill(card.pid, signal.SIGTERM)
    deadline = time.monotonic() + seconds
    while is_running(state):  # by its lock: a zombie that nobody reaps has ended, too
        if time.monotonic() > deadline:
            who = f"pid {card.pid}" if card is not None else "a process without a card"
            raise Fatal(f"the supervisor ({who}) did not end within {seconds:.0f} s; see {state / 'logs'}")
        time.sleep(0.05)
    return clear(state)


def clear(state: Path) -> int:
    """End what a killed supervisor left behind in `state`; returns how many processes that were.

    A run among them is taken back: the next supervisor asks for it again. Raises Running when one is up.
    """
    with hold(state):
        count = processes.sweep(state)
        for run in (state / "runs").glob("*/run.json"):
            if kfp_local_folder.end(run.parent) is None:
                shutil.rmtree(run.parent)
    return count


def _one_loop_only(state: Path, name: str) -> None:
    mine = state / "loop"
    if mine.exists() and mine.read_text() != name:
        raise Fatal(f"{state} belongs to loop {mine.read_text()!r}, got {name!r}; choose another folder with --state")
    mine.write_text(name)


def _serve_metrics(registry: CollectorRegistry, port: int) -> Callable[[], None]:
    """The supervisor's own /metrics on loopback; returns what ends it."""
    try:
        server, thread = start_http_server(port, addr=HOST, registry=registry)
    except OSError as error:
        raise PortTaken(f"another program took port {port} before the supervisor did ({error.strerror})") from error

    def end() -> None:
        server.shutdown()
        server.server_close()
        thread.join(timeout=5)

    return end
