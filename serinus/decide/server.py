"""What a canary's server did, beside what it answered: it crashed, or it is away."""

from __future__ import annotations

from datetime import datetime, timedelta

from serinus.facts import Rollout, VariantState, Verdict

AWAY = timedelta(seconds=60)
"""So long a canary's server may be away without a crash: as long as a pod takes to start on another node."""


def crashed(rollout: Rollout, state: VariantState | None) -> tuple[Verdict, ...]:
    """A verdict when the canary's server ended by itself while it had traffic."""
    if state is None or state.restarts <= rollout.restarts:
        return ()
    times = state.restarts - rollout.restarts
    reason = f"the canary's server crashed: {times} restarts since it got traffic{_said(state)}"
    return (Verdict("server", "fail", reason, {"restarts": float(times)}),)


def gone(rollout: Rollout, state: VariantState | None, now: datetime) -> tuple[Verdict, ...]:
    """A verdict while the canary's server is not ready: its share is with stable, so that nobody is hurt meanwhile.

    A node that is drained says nothing about a model; one that does not come back in a minute cannot be kept.
    """
    if rollout.away is None:
        return ()
    what = "gone" if state is None else "no longer ready"
    longer = now - rollout.away >= AWAY
    reason = f"the canary's server is {what} since {rollout.away:%H:%M:%S}{_said(state)}"
    return (Verdict("server", "fail" if longer else "undecided", reason),)


def _said(state: VariantState | None) -> str:
    return f" ({state.message})" if state is not None and state.message else ""
