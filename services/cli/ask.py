"""Words that ask something of a loop and wait until it has taken that up: run, approve, reject, rollback."""

from __future__ import annotations

import time
import uuid
from datetime import UTC, datetime
from pathlib import Path
from typing import Literal

from serinus.adapters import kfp_local_folder
from serinus.errors import Fatal, Unavailable
from serinus.facts import Request, Status
from services.cli import context
from services.cli.context import err

_HANDLED = 30.0  # seconds for a look to take up a request; looks come once a second
_POLL = 0.1


def run(state: Path, wait: bool) -> None:
    """Ask for a run. Raises Fatal when one is in flight already, or, having waited for it, when it failed."""
    before = _status(state)
    if before.run is not None:
        raise Fatal(f"run {before.run.key} is in flight; ask again when it has ended (`serinus status --watch`)")
    after = _ask(state, "run")
    made = after.run or (after.last_run if after.last_run != before.last_run else None)  # it may have ended already
    if made is None:
        raise Fatal("no run was started; `serinus history` says why")
    context.say(f"Run {made.key} was asked for; `serinus status --watch` follows it.")
    if wait:
        _follow(state, made.key)


def approve(state: Path, version: int, reason: str) -> None:
    """Let the waiting version in. Raises Fatal when it does not wait."""
    before = _status(state)
    if version != before.waiting:
        raise Fatal(f"version {version} does not wait for approval; {_waits(before)}")
    _ask(state, "approve", version, reason)
    then = "once the rollout before it has ended" if before.rollout is not None else "now"
    context.say(f"Version {version} was let in; its rollout begins {then}.")


def reject(state: Path, version: int, reason: str) -> None:
    """Refuse the waiting version, or throw the canary back. Raises Fatal when the version is neither."""
    before = _status(state)
    canary = before.rollout.version if before.rollout is not None else None
    if version not in (before.waiting, canary):
        on_its_way = f", and version {canary} is on its way" if canary is not None else ""
        raise Fatal(f"version {version} neither waits nor is on its way; {_waits(before)}{on_its_way}")
    _ask(state, "reject", version, reason)
    context.say(f"Version {version} was rejected; it will not be tried again.")


def rollback(state: Path, reason: str) -> None:
    """Throw the canary back, or the champion. Raises Fatal when there is nothing to go back to."""
    before = _status(state)
    if before.rollout is None and before.previous is None:
        raise Fatal("there is nothing to roll back: no canary is on its way and no earlier champion is kept ready")
    gone = before.rollout.version if before.rollout is not None else before.champion
    after = _ask(state, "rollback", gone, reason)
    serves = f"version {after.champion} serves" if after.champion is not None else "nobody serves"
    context.say(f"Version {gone} was rolled back; {serves}.")


def _waits(status: Status) -> str:
    return f"version {status.waiting} waits" if status.waiting is not None else "no version waits"


def _status(state: Path) -> Status:
    """What the loop remembers now. Raises Fatal when it is not up: nobody would take the request up."""
    ledger, loop = context.ledger(state)
    context.card(state)
    return ledger.read(loop).status


def _ask(
    state: Path, kind: Literal["run", "approve", "reject", "rollback"], version: int | None = None, reason: str = ""
) -> Status:
    """Put a request into the inbox and wait until the supervisor has taken it up; returns the status after it."""
    ledger, loop = context.ledger(state)
    request = Request(uuid.uuid4().hex, kind, datetime.now(UTC), context.person(), version, reason)
    ledger.ask(loop, request)
    deadline = time.monotonic() + _HANDLED
    with err.status(f"waiting for the loop to take up the {kind}"):
        while time.monotonic() < deadline:
            status = ledger.read(loop).status
            if request.id in status.handled:
                return status
            time.sleep(_POLL)
    raise Unavailable(f"the loop did not take the {kind} up within {_HANDLED:.0f} s; it stays asked for")


def _follow(state: Path, key: str) -> None:
    """Wait until the run has ended, showing its step; the supervisor ends a run that takes too long."""
    ledger, loop = context.ledger(state)
    with err.status(f"run {key}") as shown:
        while True:
            last = ledger.read(loop).status.last_run
            if last is not None and last.key == key:
                break
            context.card(state)
            shown.update(f"run {key}: {kfp_local_folder.step(state / 'runs' / key) or 'pending'}")
            time.sleep(_POLL)
    if last.version is None:
        raise Fatal(f"run {key} registered nothing: {last.reason}")
    context.say(f"Run {key} registered version {last.version}.")
