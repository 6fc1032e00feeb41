"""Words that ask something of a loop and wait until it has taken that up: run, approve, reject, rollback."""

from __future__ import annotations

import time

from serinus.errors import Fatal, Unavailable
from serinus.facts import Status
from services.cli import context
from services.cli.context import err
from services.cli.place import Asked, Place


def run(place: Place, wait: bool) -> None:
    """Ask for a run. Raises Fatal when one is in flight already, or, having waited for it, when it failed."""
    before = _status(place)
    if before.run is not None:
        follow = f"`serinus status --watch{place.options}`"
        raise Fatal(f"run {before.run.key} is in flight; ask again when it has ended ({follow})")
    after = _ask(place, "run")
    made = after.run or (after.last_run if after.last_run != before.last_run else None)  # it may have ended already
    if made is None:
        raise Fatal(f"no run was started; `serinus history{place.options}` says why")
    context.say(f"Run {made.key} was asked for; `serinus status --watch{place.options}` follows it.")
    if wait:
        _follow(place, made.key)


def approve(place: Place, version: int, reason: str) -> None:
    """Let the waiting version in. Raises Fatal when it does not wait."""
    before = _status(place)
    if version != before.waiting:
        raise Fatal(f"version {version} does not wait for approval; {_waits(before)}")
    after = _ask(place, "approve", version, reason)
    if version not in (after.approved, _canary(after), after.champion):  # it was superseded while the person decided
        raise Fatal(f"version {version} was not let in; `serinus history{place.options}` says why")
    then = "once the rollout before it has ended" if before.rollout is not None else "now"
    context.say(f"Version {version} was let in; its rollout begins {then}.")


def reject(place: Place, version: int, reason: str) -> None:
    """Refuse the waiting version, or throw the canary back. Raises Fatal when the version is neither."""
    before = _status(place)
    canary = _canary(before)
    if version not in (before.waiting, canary):
        on_its_way = f", and version {canary} is on its way" if canary is not None else ""
        raise Fatal(f"version {version} neither waits nor is on its way; {_waits(before)}{on_its_way}")
    after = _ask(place, "reject", version, reason)
    if version in (after.waiting, _canary(after), after.champion):  # it was promoted while the person decided
        raise Fatal(f"version {version} was not rejected; `serinus history{place.options}` says why")
    context.say(f"Version {version} was rejected; it will not be tried again.")


def rollback(place: Place, reason: str) -> None:
    """Throw the canary back, or the champion. Raises Fatal when there is nothing to go back to."""
    before = _status(place)
    if before.rollout is None and before.previous is None:
        raise Fatal("there is nothing to roll back: no canary is on its way and no earlier champion is kept ready")
    gone = before.rollout.version if before.rollout is not None else before.champion
    after = _ask(place, "rollback", gone, reason)
    if gone in (_canary(after), after.champion):
        raise Fatal(f"version {gone} was not rolled back; `serinus history{place.options}` says why")
    serves = f"version {after.champion} serves" if after.champion is not None else "nobody serves"
    context.say(f"Version {gone} was rolled back; {serves}.")


def _canary(status: Status) -> int | None:
    return status.rollout.version if status.rollout is not None else None


def _waits(status: Status) -> str:
    return f"version {status.waiting} waits" if status.waiting is not None else "no version waits"


def _status(place: Place) -> Status:
    """What the loop remembers now. Raises Fatal when nobody would take a request up."""
    place.driven()
    return place.status()


def _ask(place: Place, kind: Asked, version: int | None = None, reason: str = "") -> Status:
    """Put a request into the inbox and wait until the loop's driver took it up; returns the status after it."""
    asked = place.ask(kind, version, reason)
    deadline = time.monotonic() + place.patience
    with err.status(f"waiting for the loop to take up the {kind}"):
        while time.monotonic() < deadline:
            status = place.status()
            if asked in status.handled:
                return status
            time.sleep(place.pause)
    raise Unavailable(f"the loop did not take the {kind} up within {place.patience:.0f} s; it stays asked for")


def _follow(place: Place, key: str) -> None:
    """Wait until the run has ended, showing its step; the loop's driver ends a run that takes too long."""
    with err.status(f"run {key}") as shown:
        while True:
            try:
                last = place.status().last_run
                if last is not None and last.key == key:
                    break
                place.driven()
                shown.update(f"run {key}: {place.step(key) or 'pending'}")
            except Unavailable as error:  # the run goes on; whoever waits for it for an hour does not mind a minute
                shown.update(f"run {key}: {error}")
            time.sleep(place.pause)
    if last.version is None:
        raise Fatal(f"run {key} registered nothing: {last.reason}")
    context.say(f"Run {key} registered version {last.version}.")
