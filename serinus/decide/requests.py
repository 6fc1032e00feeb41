"""What people and jobs ask of a loop, folded into the plan exactly once each."""

from __future__ import annotations

from serinus.decide import rollouts, runs
from serinus.decide.draft import Draft
from serinus.facts import DriftFinding, Request, RunRecord

_REMEMBERED = 200  # ids of handled requests; far more than can be open at once
_WINDOWS = 20  # drift findings that are kept at least, for people to look at


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
        draft.say("RequestIgnored", f"{request.by} asked for a run while {running.key} is in flight")
    else:
        runs.ask(draft, "manual", request.at, f"{request.by} asked for it")
    return True


def _approve(draft: Draft, request: Request) -> bool:
    if request.version is not None and request.version == draft.status.waiting:
        draft.set(approved=request.version, approved_by=request.by)
        draft.say("Approved", f"{request.by} let version {request.version} in{_because(request)}", request.version)
    else:
        _ignore_decision(draft, request)
    return True


def _reject(draft: Draft, request: Request) -> bool:
    rollout, version = draft.status.rollout, request.version
    if version is not None and rollout is not None and rollout.version == version:
        rollouts.roll_back(draft, rollout, f"{request.by} rejected it{_because(request)}")
    elif version is not None and version == draft.status.waiting:
        rollouts.refuse(draft, version, f"{request.by} rejected it{_because(request)}")
    else:
        _ignore_decision(draft, request)
    return True


def _roll_back(draft: Draft, request: Request) -> bool:
    status = draft.status
    serving = status.rollout.version if status.rollout is not None else status.champion
    if request.version is not None and request.version != serving:
        # It ended while the person decided. Whoever wanted the canary gone must not lose the champion instead.
        draft.say("RequestIgnored", f"{request.by} wanted version {request.version} rolled back, which is over already")
    elif status.rollout is not None:
        rollouts.roll_back(draft, status.rollout, f"{request.by} asked for it{_because(request)}")
    elif status.champion is not None and status.previous is not None:
        rollouts.bring_back(draft, status.champion, status.previous, f"{request.by} asked for it{_because(request)}")
    else:
        draft.say("RequestIgnored", f"{request.by} asked to roll back, but no earlier version is kept ready")
    return True


def _drift(draft: Draft, request: Request) -> bool:
    finding = request.finding
    if finding is None:
        draft.say("RequestIgnored", f"{request.by} reported drift without a finding")
        return True
    _say_drift(draft, finding)
    drift = draft.spec.spec.drift
    draft.set(drift=_kept((*draft.status.drift, finding), drift.retrain.of if drift is not None else 0))
    if request.run and draft.status.run is None and _unknown(draft, request.run):
        recipe = runs.recipe(draft.spec)
        draft.set(run=RunRecord(request.run, "drift", request.at, recipe=recipe))
        draft.say("RunRequested", f"{request.run}: {finding.verdict.reason}")
    return True


def _kept(findings: tuple[DriftFinding, ...], of: int) -> tuple[DriftFinding, ...]:
    """The latest findings; where one has to go, a window that was not decided goes before one that was."""
    if len(findings) <= max(of, _WINDOWS):
        return findings
    quiet = (i for i, f in enumerate(findings[:-1]) if f.verdict.outcome not in ("pass", "fail"))
    gone = next(quiet, 0)
    return (*findings[:gone], *findings[gone + 1 :])


def _unknown(draft: Draft, key: str) -> bool:
    return draft.status.last_run is None or draft.status.last_run.key != key


def _say_drift(draft: Draft, finding: DriftFinding) -> None:
    """An event when drift begins and when it is over, not for every window of it."""
    before = draft.status.drift[-1].verdict.outcome if draft.status.drift else "pass"
    outcome = finding.verdict.outcome
    if outcome == "fail" and before != "fail":
        draft.say("DriftFound", finding.verdict.reason, finding.version, **finding.verdict.figures)
    elif outcome == "pass" and before == "fail":
        draft.say("DriftGone", finding.verdict.reason, finding.version, **finding.verdict.figures)


def _ignore_decision(draft: Draft, request: Request) -> None:
    waiting = draft.status.waiting
    what = f"version {waiting} is the one that waits" if waiting is not None else "no version waits for a decision"
    draft.say("RequestIgnored", f"{request.by} wanted to {request.kind} version {request.version}, but {what}")


def _because(request: Request) -> str:
    return f": {request.reason}" if request.reason else ""


_HANDLERS = {"run": _run, "approve": _approve, "reject": _reject, "rollback": _roll_back, "drift": _drift}
