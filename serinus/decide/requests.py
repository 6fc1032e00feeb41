"""What people and jobs ask of a loop, folded into the plan exactly once each."""

from __future__ import annotations

from collections.abc import Callable, Mapping

from serinus.decide import reports, rollouts, runs
from serinus.decide.draft import Draft
from serinus.facts import Request

_REMEMBERED = 200  # ids of handled requests; far more than can be open at once


def fold(draft: Draft) -> None:
    """Handle every open request that was not handled before, oldest first.

    At one look no more than can be remembered: the ledger drops those that are, the others would come back.
    """
    folded = 0
    for request in sorted(draft.world.requests, key=lambda r: (r.at, r.id)):
        if folded == _REMEMBERED:
            break
        if request.id not in draft.status.handled and _HANDLERS[request.kind](draft, request):
            draft.set(handled=(*draft.status.handled, request.id)[-_REMEMBERED:])
            folded += 1


def _run(draft: Draft, request: Request) -> bool:
    if draft.world.runs is None:
        return False  # the runner cannot be asked: the request stays open until it can
    running = draft.status.run or next((r for r in draft.world.runs if r.active), None)
    if running is not None:
        draft.say("RequestIgnored", f"{request.by} asked for a run while {running.key} is in flight", by=request.by)
    else:
        runs.ask(draft, "manual", request.at, f"{request.by} asked for it", request.by)
    return True


def _approve(draft: Draft, request: Request) -> bool:
    if request.version is not None and request.version == draft.status.waiting:
        draft.set(approved=request.version, approved_by=request.by)
        said = f"{request.by} let version {request.version} in{_because(request)}"
        draft.say("Approved", said, request.version, request.by)
    else:
        _ignore_decision(draft, request)
    return True


def _reject(draft: Draft, request: Request) -> bool:
    rollout, version = draft.status.rollout, request.version
    if version is not None and rollout is not None and rollout.version == version:
        rollouts.roll_back(draft, rollout, f"{request.by} rejected it{_because(request)}", request.by)
    elif version is not None and version == draft.status.waiting:
        rollouts.refuse(draft, version, f"{request.by} rejected it{_because(request)}", request.by)
    else:
        _ignore_decision(draft, request)
    return True


def _roll_back(draft: Draft, request: Request) -> bool:
    status = draft.status
    serving = status.rollout.version if status.rollout is not None else status.champion
    if request.version is not None and request.version != serving:
        # It ended while the person decided. Whoever wanted the canary gone must not lose the champion instead.
        said = f"{request.by} wanted version {request.version} rolled back, which is over already"
        draft.say("RequestIgnored", said, by=request.by)
    elif status.rollout is not None:
        rollouts.roll_back(draft, status.rollout, f"{request.by} asked for it{_because(request)}", request.by)
    elif status.champion is not None and status.previous is not None:
        reason = f"{request.by} asked for it{_because(request)}"
        rollouts.bring_back(draft, status.champion, status.previous, reason, request.by)
    else:
        said = f"{request.by} asked to roll back, but no earlier version is kept ready"
        draft.say("RequestIgnored", said, by=request.by)
    return True


def _ignore_decision(draft: Draft, request: Request) -> None:
    waiting = draft.status.waiting
    what = f"version {waiting} is the one that waits" if waiting is not None else "no version waits for a decision"
    said = f"{request.by} wanted to {request.kind} version {request.version}, but {what}"
    draft.say("RequestIgnored", said, by=request.by)


def _because(request: Request) -> str:
    return f": {request.reason}" if request.reason else ""


_HANDLERS: Mapping[str, Callable[[Draft, Request], bool]] = {
    "run": _run,
    "approve": _approve,
    "reject": _reject,
    "rollback": _roll_back,
    "drift": reports.drift,
    "quality": reports.quality,
    "data": reports.data,
}
