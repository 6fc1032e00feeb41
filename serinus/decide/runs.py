"""Pipeline runs: which one is in flight, how it ended, and when a new one is due."""

from __future__ import annotations

import hashlib
from dataclasses import replace
from datetime import datetime

from serinus.decide.draft import Draft
from serinus.decide.keys import run_key
from serinus.decide.retrain import schedule_due
from serinus.facts import Cause, RunRecord, RunRequest, RunState, Why
from serinus.spec import ModelLoop


def recipe(spec: ModelLoop) -> str:
    """A digest of what a run depends on, so that a failed first run is tried again once that has changed."""
    parts = spec.spec.model_dump_json(by_alias=True, include={"task", "data", "training", "validation"})
    return hashlib.sha256(parts.encode()).hexdigest()[:16]


def follow(draft: Draft) -> None:
    """Bring what the loop remembers of its run up to what the runner says of it."""
    if draft.world.runs is None:
        return
    active = next((r for r in draft.world.runs if r.active), None)
    record = draft.status.run
    if record is None:
        if active is not None:
            _adopt(draft, active)
        return
    state = next((r for r in draft.world.runs if r.key == record.key), None)
    if state is None and active is not None:
        _adopt(draft, active)  # the runner let only one in, and it was another
    elif state is None:
        draft.run = _request(draft, record)  # asked for, but the runner has never heard of it: ask again
    elif state.active:
        draft.set(run=replace(record, phase=state.phase))
    elif state.phase == "succeeded":
        _succeeded(draft, record, state)
    else:
        _end(draft, replace(record, phase="failed", ended=state.ended or draft.now, reason=state.reason))
        where = f" in step {state.step}" if state.step else ""
        draft.say("RunFailed", f"{record.key} failed{where}: {state.reason or 'no reason given'}")


def trigger(draft: Draft) -> None:
    """Ask for a run when a loop has no model yet, or when its schedule says so."""
    training = draft.spec.spec.training
    due = schedule_due(training.schedule, draft.status.last_scheduled, draft.now)
    if due is not None or draft.status.last_scheduled is None:
        draft.set(last_scheduled=due or draft.now)
    if draft.status.run is not None or draft.world.runs is None or draft.world.versions is None:
        return
    if _needs_first(draft):
        ask(draft, "initial", draft.now, "the loop has no model yet")
    elif due is not None:
        ask(draft, "schedule", due, f"the schedule {training.schedule} says so")


def ask(draft: Draft, cause: Cause, end: datetime, why: str, by: str = "") -> None:
    """Plan a run and remember that it was asked for; `by` is the person or job that did."""
    key = run_key(draft.spec.name, cause, end)
    record = RunRecord(key, cause, draft.now, recipe=recipe(draft.spec), why=Why(why))
    draft.set(run=record)
    draft.run = _request(draft, record)
    draft.say("RunRequested", f"{key}: {why}", by=by)


def _needs_first(draft: Draft) -> bool:
    status, versions = draft.status, draft.world.versions or ()
    if status.champion is not None or status.rollout is not None:
        return False
    if any(v.number > status.decided for v in versions):
        return False
    # A first run that failed would fail again: it waits for another recipe, or for somebody to ask.
    return status.last_run is None or status.last_run.recipe != recipe(draft.spec)


def _request(draft: Draft, record: RunRecord) -> RunRequest:
    return RunRequest(record.key, draft.spec.name, record.cause, record.requested, draft.spec.for_run(), record.why)


def _adopt(draft: Draft, state: RunState) -> None:
    record = RunRecord(state.key, state.cause, state.created, phase=state.phase, recipe=recipe(draft.spec))
    draft.set(run=record)
    draft.say("RunStarted", f"{state.key} is in flight, asked for by {state.cause}")


def _succeeded(draft: Draft, record: RunRecord, state: RunState) -> None:
    if draft.world.versions is None:
        return  # what it registered cannot be seen yet
    made = next((v for v in draft.world.versions if v.trigger == record.key), None)
    number = made.number if made is not None else None
    reason = "" if made is not None else "it ended well but registered no version"
    _end(draft, replace(record, phase="succeeded", ended=state.ended or draft.now, version=number, reason=reason))
    if made is not None:
        draft.say("RunSucceeded", f"{record.key} registered version {made.number}", made.number, "", **made.metrics)
    else:
        draft.say("RunFailed", f"{record.key}: {reason}")


def _end(draft: Draft, record: RunRecord) -> None:
    draft.set(run=None, last_run=record)
