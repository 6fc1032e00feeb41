"""`serinus up` and `serinus down`: the loop's life on this machine."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import time
from pathlib import Path
from types import FrameType
from typing import Annotated

import psutil
import typer
from rich.table import Table

from serinus import loading
from serinus.errors import Fatal
from serinus.facts import Event
from services.cli import context
from services.cli.context import err, out
from services.local import processes, supervisor
from services.local.addresses import Addresses
from services.local.supervisor import Supervisor

_START = 180.0  # seconds for a detached supervisor to be ready
_END = 120.0  # seconds for a supervisor to end everything
_COLOURS = {"Promoted": "green", "RolledBack": "red", "RunFailed": "red", "Trouble": "red", "DriftFound": "yellow"}


def up(
    file: Annotated[Path, typer.Argument(help="The ModelLoop file.")],
    state: context.StateOption = context.STATE,
    port: Annotated[
        int | None, typer.Option(help="Port to serve predictions on [default: 8080, else a free one].")
    ] = None,
    detach: Annotated[
        bool, typer.Option("--detach", "-d", help="Return once it is up; `serinus down` ends it.")
    ] = False,
) -> None:
    """Run a loop on this machine: train, serve, watch, retrain, until Ctrl-C."""
    with context.errors():
        if detach:
            _detached(file, state, port)
        else:
            _foreground(file, state, port)


def down(state: context.StateOption = context.STATE) -> None:
    """End the loop and everything it started; its state stays for the next `up`."""
    with context.errors():
        found = supervisor.read_card(state)
        if found is not None and supervisor.is_running(state):
            with err.status("ending the loop"):
                _end(found.pid, state)
            out.print(f"The loop {found.loop} is down; `serinus up {found.file}` goes on where it was.")
            return
        left = processes.sweep(state) if state.exists() else 0
        out.print(f"No supervisor was up in {state}; {left} processes that one had left behind were ended.")


def _foreground(file: Path, state: Path, port: int | None) -> None:
    boss = Supervisor(file, state, ports={"envoy": port} if port is not None else None, say=_say)
    for warning in loading.warnings(boss.spec):
        err.print(f"[yellow]![/yellow] {warning}", highlight=False)

    def stop(_signum: int, _frame: FrameType | None) -> None:
        boss.stop()

    try:
        signal.signal(signal.SIGTERM, stop)
        signal.signal(signal.SIGINT, stop)
        with err.status("starting") as status:
            addresses = boss.start(progress=lambda step: status.update(f"starting: {step}"))
        (state / "ready").write_text(str(os.getpid()))
        show_addresses(boss.spec.name, addresses)
        boss.run()
    finally:
        with err.status("ending the loop"):
            boss.end()


def _detached(file: Path, state: Path, port: int | None) -> None:
    loading.read(file)  # mistakes are shown here, not in a log
    if supervisor.is_running(state):
        supervisor.lock(state).close()
    state.mkdir(parents=True, exist_ok=True)
    ready = state / "ready"
    ready.unlink(missing_ok=True)
    log = state / "logs" / "supervisor.log"
    log.parent.mkdir(parents=True, exist_ok=True)
    argv = [sys.executable, "-m", "services.cli.main", "up", str(file), "--state", str(state)]
    argv += ["--port", str(port)] if port is not None else []
    with log.open("ab") as to:
        child = subprocess.Popen(argv, stdin=subprocess.DEVNULL, stdout=to, stderr=to, start_new_session=True)
    deadline = time.monotonic() + _START
    with err.status("starting"):
        while not (ready.exists() and ready.read_text() == str(child.pid)):
            if child.poll() is not None:
                raise Fatal(f"the supervisor ended while it started; see {log}:\n{_tail(log)}")
            if time.monotonic() > deadline:
                raise Fatal(f"the supervisor was not ready within {_START:.0f} s; see {log}")
            time.sleep(0.1)
    card = context.card(state)
    show_addresses(card.loop, card.addresses)


def show_addresses(loop: str, addresses: Addresses) -> None:
    """Where everything answers, and what to do next."""
    table = Table(box=None, show_header=False, padding=(0, 2))
    table.add_row("predictions", f"{addresses.url('envoy')}/v1/models/{loop}:predict")
    table.add_row("MLflow", addresses.url("mlflow"))
    table.add_row("Prometheus", addresses.url("prometheus"))
    out.print(f"[bold]{loop}[/bold] is up. `serinus status --watch` shows what it does.")
    out.print(table)


def _say(event: Event) -> None:
    colour = _COLOURS.get(event.kind, "cyan")
    out.print(
        f"{event.at.astimezone():%H:%M:%S} [{colour}]{event.kind:<17}[/{colour}] {event.message}",
        highlight=False, soft_wrap=True,
    )  # fmt: skip


def _end(pid: int, state: Path) -> None:
    try:
        boss = psutil.Process(pid)
        boss.terminate()
        boss.wait(timeout=_END)
    except psutil.NoSuchProcess:
        pass
    except psutil.TimeoutExpired:
        raise Fatal(f"the supervisor (pid {pid}) did not end within {_END:.0f} s; see {state / 'logs'}") from None
    processes.sweep(state)


def _tail(log: Path) -> str:
    return "\n".join(log.read_text(errors="replace").splitlines()[-15:])
