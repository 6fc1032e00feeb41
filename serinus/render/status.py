"""What `kubectl get` shows of a loop: the visible fields of ModelLoop.status, from what the loop remembers and sees.

Conditions follow the Kubernetes API conventions: `lastTransitionTime` is when `status` changed last, and nothing that
changes at every look (counts, evidence) stands in them, so that a loop at rest is not written again and again.

| condition | status | reason | when |
| --- | --- | --- | --- |
| Ready | True | Serving | every version that should get traffic is ready |
| | False | NoVersion | no version was let in yet |
| | False | NotServing | a version that should get traffic is not ready, or none gets any |
| | False | InvalidSpec, NameTaken | the spec is not in force; what served before serves on |
| | Unknown | CannotSee | the router cannot be asked |
| Progressing | True | RollingOut | a canary is on trial |
| | True | AwaitingApproval | a validated version waits for a person |
| | True | VersionWaiting | a validated version comes next |
| | True | Running | a pipeline run was asked for or is in flight |
| | True | Watching | a version just promoted is compared with the one before it |
| | False | Settled | none of these |
| | False | InvalidSpec, NameTaken | as above |
| Degraded | True | NotServing | as above |
| | True | PartUnavailable | something cannot be seen or done; the message says what and why |
| | True | RolloutHeld | a step did not convince in time, and `onTimeout` is hold |
| | True | RolledBack | the latest rollout was thrown back, or its champion was; until another one begins |
| | True | RunFailed | the latest run failed, or a gate said no |
| | True | InvalidSpec, NameTaken | as above |
| | False | AsExpected | none of these |

Of several reasons the first in this order is the condition's; its message has a sentence for each.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator, Mapping, Sequence
from datetime import UTC, datetime
from typing import Any  # Kubernetes objects are JSON

from serinus.drift_words import ranked
from serinus.facts import DriftFinding, Event, Rollout, RoutingState, RunRecord, Status, Verdict
from serinus.spec import ModelLoop

Object = dict[str, Any]
_Said = tuple[str, str]  # reason, sentence
_MESSAGE = 2_000  # characters; a reason may quote a whole log
_ADDRESS = re.compile(r" at 0x[0-9a-f]+")  # of a Python object in an error: another one at every look
_WORST = ("fail", "error", "undecided", "pass")
_ENDS = {"RolledBack": True, "BroughtBack": True, "RolloutStarted": False, "Promoted": False}
"""Events that say whether the latest rollout was thrown back."""


def view(
    spec: ModelLoop,
    generation: int,
    status: Status,
    routing: RoutingState | None,
    now: datetime,
    *,
    address: str,
    troubles: Mapping[str, str] | None = None,
    history: Sequence[Event] = (),
    conditions: Sequence[Mapping[str, Any]] = (),
) -> Object:
    """The visible fields, all of them; None for one that there is nothing to say in (a merge patch takes it away).

    generation: of the spec. routing: None when nobody could see it. troubles: what could not be carried out, beside
    what `status.notices` has. history: the loop's latest events, oldest first. conditions: those shown until now.
    """
    troubles = {**status.notices, **(troubles or {})}
    found = {
        "Ready": _ready(status, routing),
        "Progressing": _progressing(spec, status),
        "Degraded": _degraded(spec, status, routing, troubles, history, now),
    }
    return {
        "observedGeneration": generation,
        "champion": status.champion,
        "canary": status.rollout.version if status.rollout is not None else None,
        "weight": _weight(status.rollout, routing),
        "verdict": _verdict(spec, status),
        "drift": _drift(status.drift[-1:]) if spec.spec.drift is not None else "off",
        "quality": _quality(status) if spec.spec.quality is not None else "off",
        "lastRun": _run(status.run or status.last_run),
        "address": address,
        "conditions": _conditions(found, generation, conditions, now),
    }


def refused(
    reason: str, message: str, generation: int, now: datetime, conditions: Sequence[Mapping[str, Any]] = ()
) -> Object:
    """The visible fields that change when a spec is not in force (reason InvalidSpec, NameTaken); the others stay."""
    states = {"Ready": "False", "Progressing": "False", "Degraded": "True"}
    found = {kind: (state, [(reason, message)]) for kind, state in states.items()}
    return {"observedGeneration": generation, "conditions": _conditions(found, generation, conditions, now)}


def _ready(status: Status, routing: RoutingState | None) -> tuple[str, list[_Said]]:
    if routing is None:
        why = status.notices.get("router", "it did not answer")
        return "Unknown", [("CannotSee", f"who serves cannot be seen: {why}")]
    missing = list(_missing(status, routing))
    if missing:
        return "False", missing
    serving = [f"version {v.version}" for v in routing.variants if v.weight]
    return "True", [("Serving", f"{' and '.join(serving)} {'serves' if len(serving) == 1 else 'serve'}")]


def _missing(status: Status, routing: RoutingState) -> Iterator[_Said]:
    """Why somebody is not answered; nothing when everybody is."""
    asked = [variant for variant in routing.variants if variant.weight]
    if not asked:
        if status.champion is not None:
            yield "NotServing", f"version {status.champion} should serve and gets no traffic"
        else:
            yield "NoVersion", "no version was let in yet"
    for variant in asked:
        if not variant.ready:
            why = f": {variant.message}" if variant.message else ""
            yield "NotServing", f"version {variant.version} gets {variant.weight} % and is not ready{why}"


def _progressing(spec: ModelLoop, status: Status) -> tuple[str, list[_Said]]:
    found = list(_moving(spec, status))
    return ("True", found) if found else ("False", [("Settled", "nothing is under way")])


def _moving(spec: ModelLoop, status: Status) -> Iterator[_Said]:
    rollout, run, watch = status.rollout, status.run, status.watch
    if rollout is not None and rollout.step < 0:
        yield "RollingOut", f"version {rollout.version} gets ready"
    elif rollout is not None:
        place = spec.spec.rollout.place(rollout.step, rollout.share)
        yield "RollingOut", f"version {rollout.version} is on trial, {place}"
    if status.waiting is not None:
        if _needs_approval(spec, status):
            yield "AwaitingApproval", f"version {status.waiting} waits for a person's approval"
        else:
            yield "VersionWaiting", f"version {status.waiting} comes next"
    if run is not None:
        why = f": {run.why.reason}" if run.why is not None and run.why.reason else ""
        yield "Running", f"run {run.key} ({run.cause}) is {run.phase}{why}"
    if watch is not None:
        beside = f", beside version {status.previous} with {watch.held} % of the traffic" if watch.held else ""
        yield "Watching", f"version {watch.version} is watched until {_time(watch.until)}{beside}"


def _degraded(
    spec: ModelLoop,
    status: Status,
    routing: RoutingState | None,
    troubles: Mapping[str, str],
    history: Sequence[Event],
    now: datetime,
) -> tuple[str, list[_Said]]:
    found = [said for said in (_missing(status, routing) if routing is not None else ()) if said[0] == "NotServing"]
    found += [("PartUnavailable", f"{subject}: {why}") for subject, why in sorted(troubles.items())]
    rollout, last = status.rollout, status.last_run
    if rollout is not None and rollout.step >= 0 and spec.spec.rollout.on_timeout == "hold":
        due = rollout.step_started + spec.spec.rollout.patience(rollout.step)
        if now > due:
            found.append(
                ("RolloutHeld", f"version {rollout.version} has not convinced since {_time(due)}; weights hold")
            )
    ended = next((event for event in reversed(history) if event.kind in _ENDS), None)
    if ended is not None and _ENDS[ended.kind]:
        found.append(("RolledBack", ended.message))
    if last is not None and last.phase == "failed":
        found.append(("RunFailed", f"run {last.key} failed: {last.reason or 'it did not say why'}"))
    return ("True", found) if found else ("False", [("AsExpected", "nothing is wrong")])


def _weight(rollout: Rollout | None, routing: RoutingState | None) -> int | None:
    """The share that the canary really gets; None without a canary, or when nobody can see it."""
    if rollout is None or routing is None:
        return None
    seen = routing.of(rollout.version)
    return seen.weight if seen is not None else 0


def _verdict(spec: ModelLoop, status: Status) -> str | None:
    if status.rollout is not None:
        return _worst(status.rollout.verdicts) if status.rollout.step >= 0 else "getting ready"
    if status.waiting is not None and _needs_approval(spec, status):
        return f"v{status.waiting} needs approval"
    return f"watching v{status.watch.version}" if status.watch is not None else None


def _worst(verdicts: Sequence[Verdict]) -> str:
    """The guardrails that stand worst and how, `errors: undecided`; without names when all stand alike."""
    outcome = next((o for o in _WORST if any(v.outcome == o for v in verdicts)), None)
    if outcome is None:
        return "undecided"
    gates = [v.gate for v in verdicts if v.outcome == outcome]
    return outcome if len(gates) == len(verdicts) > 1 else f"{', '.join(gates)}: {outcome}"


def _drift(latest: Sequence[DriftFinding]) -> str | None:
    """`fail (temp psi 0.31, mean +0.84 sd)`: the latest window's verdict, and what drifted and matters most."""
    for finding in latest:
        for most in ranked(finding.features)[:1]:
            mean = f", mean {most.shift.sd:+.2f} sd" if most.shift is not None and most.shift.sd is not None else ""
            return f"{finding.verdict.outcome} ({most.name} psi {most.psi:.2f}{mean})"
        return finding.verdict.outcome
    return None


def _quality(status: Status) -> str | None:
    """`fail (roc_auc 0.612, concept)`: the verdict on the champion, the judged figure, and what changed."""
    finding = status.quality
    if finding is None or finding.version != status.champion:
        return None
    judged = next((w.measured for w in finding.windows if w.window == finding.window), None)
    said = [f"{finding.metric} {judged.value:.3f}"] if judged is not None else []
    said += [finding.change.kind] if finding.change is not None else []
    return f"{finding.verdict.outcome} ({', '.join(said)})" if said else finding.verdict.outcome


def _run(run: RunRecord | None) -> str | None:
    """`drift succeeded 2026-03-02T12:00:00Z`: cause, phase, and when it ended or else was asked for."""
    return f"{run.cause} {run.phase} {_time(run.ended or run.requested)}" if run is not None else None


def _needs_approval(spec: ModelLoop, status: Status) -> bool:
    return spec.spec.approval == "required" and status.approved != status.waiting


def _conditions(
    found: Mapping[str, tuple[str, Iterable[_Said]]],
    generation: int,
    before: Sequence[Mapping[str, Any]],
    now: datetime,
) -> list[Object]:
    """One condition each, and those of others; the time of the last transition is kept where the status is."""
    had = {condition["type"]: condition for condition in before}
    made = []
    for kind, (state, said) in found.items():
        reasons, sentences = zip(*said, strict=True)
        message = _ADDRESS.sub("", "; ".join(sentences))
        old = had.get(kind)
        since = old["lastTransitionTime"] if old is not None and old["status"] == state else _time(now)
        made.append(
            {
                "type": kind,
                "status": state,
                "observedGeneration": generation,
                "reason": reasons[0],
                "message": message if len(message) <= _MESSAGE else message[: _MESSAGE - 1] + "…",
                "lastTransitionTime": since,
            }
        )
    return [*made, *(dict(condition) for condition in before if condition["type"] not in found)]


def _time(moment: datetime) -> str:
    return f"{moment.astimezone(UTC):%Y-%m-%dT%H:%M:%SZ}"
