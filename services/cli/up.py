"""`serinus up` and `serinus down`: the loop's life on this machine."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import time
from pathlib import Path
from types import FrameType

from rich.text import Text

from serinus import loading
from serinus.errors import Fatal
from serinus.facts import Event
from services.cli import context, page
from services.cli.context import err, out
from services.local import supervisor
from services.local.addresses import Addresses
from services.local.supervisor import Supervisor

_START = 180.0  # seconds for a detached supervisor to be ready
_END = 120.0  # seconds for a supervisor to end everything


def down(state: Path) -> None:
    """End the loop, or what a killed supervisor left of it."""
    found = supervisor.read_card(state) if supervisor.is_running(state) else None
    left = 0
    if state.exists():
        with err.status("ending the loop"):
            left = supervisor.put_down(state, _END)
    if found is not None:
        context.say(f"The loop {found.loop} is down; `serinus up {found.file}` goes on where it was.")
        return
    ended = f"; {left} processes that one had left behind were ended" if left else ""
    context.say(f"No supervisor was up in {state}{ended}.")


def foreground(file: Path, state: Path, port: int | None) -> None:
    """Be the supervisor until SIGTERM or Ctrl-C."""
    boss = Supervisor(file, state, ports={"envoy": port} if port is not None else None, say=_say)
    for warning in loading.warnings(boss.spec):
        context.complain(warning, "!", "yellow")

    def stop(_signum: int, _frame: FrameType | None) -> None:
        boss.stop()

    try:
        signal.signal(signal.SIGTERM, stop)
        signal.signal(signal.SIGINT, stop)
        with err.status("starting") as status:
            addresses = boss.start(progress=lambda step: status.update(f"starting: {step}"))
        (state / "ready").write_text(str(os.getpid()))
        show_addresses(boss.spec.name, addresses, "Ctrl-C", context.collects(state))
        boss.run()
    finally:
        with err.status("ending the loop"):
            boss.end()


def detached(file: Path, state: Path, port: int | None) -> None:
    """Start a supervisor of its own session, and return once it is ready."""
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
    show_addresses(card.loop, card.addresses, "`serinus down`", context.collects(state))


def show_addresses(loop: str, addresses: Addresses, end: str, collects: bool) -> None:
    """Where everything answers, and what to do next."""
    url = addresses.url
    context.say(f"{loop} is up; `serinus status --watch` shows what it does, {end} ends it.")
    for name, address in (
        ("predict", f"{url('envoy')}/v1/models/{loop}:predict"),
        *((("labels", f"{url('collector')}/loops/local/{loop}/labels"),) if collects else ()),
        ("MLflow", url("mlflow")),
        ("Prometheus", url("prometheus")),
    ):
        context.say(f"  {name:<12}{address}")


def _say(event: Event) -> None:
    out.print(Text(" ").join(page.event_cells(event)), soft_wrap=True)


def _tail(log: Path) -> str:
    return "\n".join(log.read_text(errors="replace").splitlines()[-15:])
