"""Commands that ask something of a loop: run, approve, reject, rollback, predict."""

from __future__ import annotations

import json
import sys
import time
import uuid
from datetime import UTC, datetime
from pathlib import Path
from typing import Annotated, Literal

import httpx
import orjson
import typer

from serinus.errors import Fatal, Unavailable
from serinus.facts import Request, Status
from services.cli import context
from services.cli.context import err, out

_HANDLED = 30.0  # seconds for a look to take up a request; looks come once a second
VersionArgument = Annotated[int, typer.Argument(help="The version's number.")]


def run(
    state: context.StateOption = context.STATE,
    wait: Annotated[bool, typer.Option(help="Wait until the run has ended; exit 1 when it failed.")] = False,
) -> None:
    """Ask for a pipeline run now."""
    with context.errors():
        status = _ask(state, "run", None, "")
        if status.run is None:
            raise Fatal("a run was not started; `serinus history` says why")
        out.print(f"Run {status.run.key} was asked for; `serinus status --watch` follows it.")
        if wait:
            _follow(state, status.run.key)


def approve(
    version: VersionArgument, state: context.StateOption = context.STATE, reason: context.ReasonOption = ""
) -> None:
    """Let a waiting version in."""
    with context.errors():
        _must_wait(state, version)
        _ask(state, "approve", version, reason)
        out.print(f"Version {version} was let in; its rollout begins.")


def reject(
    version: VersionArgument, state: context.StateOption = context.STATE, reason: context.ReasonOption = ""
) -> None:
    """Refuse a waiting version, or throw back the one on its way."""
    with context.errors():
        _must_wait(state, version)
        _ask(state, "reject", version, reason)
        out.print(f"Version {version} was rejected; it will not be tried again.")


def rollback(state: context.StateOption = context.STATE, reason: context.ReasonOption = "") -> None:
    """Throw the canary back, or bring the last champion back when there is no canary."""
    with context.errors():
        ledger, loop = context.ledger(state)
        before = ledger.read(loop).status
        if before.rollout is None and before.previous is None:
            raise Fatal("there is nothing to roll back: no canary is on its way and no earlier champion is kept ready")
        after = _ask(state, "rollback", None, reason)
        out.print(f"Rolled back; version {after.champion} serves.")


def predict(
    rows: Annotated[str, typer.Argument(help="JSON rows: a file, `-` for standard input, or the JSON itself.")],
    state: context.StateOption = context.STATE,
) -> None:
    """Send rows to the loop's endpoint and print its answer."""
    with context.errors():
        card = context.card(state)
        body = _rows(rows)
        url = f"{card.addresses.url('envoy')}/v1/models/{card.loop}:predict"
        try:
            answer = httpx.post(
                url, content=body, headers={"content-type": "application/json"}, timeout=30, trust_env=False
            )
        except httpx.TransportError as error:
            raise Unavailable(f"{url} did not answer ({type(error).__name__})") from error
        if answer.status_code != httpx.codes.OK:
            raise Fatal(f"status {answer.status_code}: {answer.text}")
        out.print_json(answer.text)


def _rows(text: str) -> bytes:
    if text == "-":
        raw = sys.stdin.read()
    elif text.lstrip()[:1] in ("{", "["):
        raw = text
    else:
        try:
            raw = Path(text).read_text(encoding="utf-8")
        except OSError as error:
            raise Fatal(f"{text}: expected a file, `-` or JSON rows; {error.strerror}") from None
    try:
        found = json.loads(raw)
    except json.JSONDecodeError as error:
        raise Fatal(f'expected JSON rows such as [{{"distance": 500}}]: {error}') from None
    if isinstance(found, dict):
        found = found.get("instances", [found])
    return orjson.dumps({"instances": found})


def _must_wait(state: Path, version: int) -> None:
    ledger, loop = context.ledger(state)
    status = ledger.read(loop).status
    on_its_way = status.rollout.version if status.rollout is not None else None
    if version not in (status.waiting, on_its_way):
        waits = f"version {status.waiting} waits" if status.waiting is not None else "no version waits"
        raise Fatal(f"version {version} does not wait for a decision; {waits}")


def _ask(
    state: Path, kind: Literal["run", "approve", "reject", "rollback"], version: int | None, reason: str
) -> Status:
    """Put a request into the inbox and wait until the supervisor has taken it up; returns the status after it."""
    context.card(state)
    ledger, loop = context.ledger(state)
    request = Request(uuid.uuid4().hex, kind, datetime.now(UTC), context.person(), version, reason)
    ledger.ask(loop, request)
    deadline = time.monotonic() + _HANDLED
    with err.status(f"waiting for the loop to take up the {kind}"):
        while time.monotonic() < deadline:
            status = ledger.read(loop).status
            if request.id in status.handled:
                return status
            time.sleep(0.1)
    raise Unavailable(f"the loop did not take the {kind} up within {_HANDLED:.0f} s; it stays asked for")


def _follow(state: Path, key: str) -> None:
    ledger, loop = context.ledger(state)
    with err.status(f"run {key}") as shown:
        while True:
            status = ledger.read(loop).status
            last = status.last_run
            if last is not None and last.key == key:
                break
            context.card(state)
            step = _step(state, key)
            shown.update(f"run {key}: {step or 'pending'}")
            time.sleep(0.5)
    if last.phase == "failed" or last.version is None:
        raise Fatal(f"run {key} registered nothing: {last.reason}")
    out.print(f"Run {key} registered version {last.version}.")


def _step(state: Path, key: str) -> str:
    from serinus.adapters import kfp_local_folder

    return kfp_local_folder.step(state / "runs" / key)
