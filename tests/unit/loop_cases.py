"""A loop at a moment of its life, for tests of `loop.next`: everything has a default, each test says what differs."""

from __future__ import annotations

from dataclasses import replace
from datetime import UTC, datetime, timedelta
from typing import Any

from serinus import loading
from serinus.decide import loop
from serinus.facts import (
    Arm,
    Block,
    Plan,
    Rollout,
    RoutingState,
    RunState,
    Status,
    VariantState,
    Version,
    World,
)
from serinus.spec import ModelLoop

NOW = datetime(2026, 3, 2, 12, 0, tzinfo=UTC)
SECOND = timedelta(seconds=1)
EMPTY = Status("flights")


def spec(text: str = "", rollout: str = "", training: str = "") -> ModelLoop:
    """A valid loop named flights; `text` adds lines under spec."""
    return loading.parse(f"""
apiVersion: serinus.dev/v1alpha1
kind: ModelLoop
metadata: {{name: flights}}
spec:
  task: binary-classification
  data:
    source: {{files: {{uri: data/}}}}
    time: t
    label: late
    features: {{numeric: [distance]}}
  training: {{estimator: hist-gradient-boosting, {training}}}
  validation: {{metric: roc_auc}}
  rollout: {{steps: [20, 50], minRequests: 100, stepTimeout: 60s, warmUp: 0s, watch: 60s, {rollout}}}
  {text}
""")


SPEC = spec()


def version(number: int, *aliases: str, trigger: str = "") -> Version:
    return Version("flights", number, trigger or f"flights-manual-{number}", NOW, aliases=frozenset(aliases))


def run(key: str, phase: str = "running", **changes: Any) -> RunState:
    return RunState(key, "flights", "manual", phase, NOW, **changes)  # type: ignore[arg-type]


def routing(*variants: tuple[int, int], unready: tuple[int, ...] = ()) -> RoutingState:
    return RoutingState(tuple(VariantState(v, v not in unready, w) for v, w in variants))


def world(**changes: Any) -> World:
    return replace(World(versions=(), runs=(), routing=RoutingState()), **changes)


def canary(**changes: Any) -> Rollout:
    """Version 2 at its first step beside version 1."""
    return replace(Rollout(2, 1, NOW, 0, NOW, NOW), **changes)


def block(stable: Arm, canary: Arm, seconds: float = 2, start: datetime = NOW) -> Block:
    return Block(start, start + timedelta(seconds=seconds), stable, canary)


def arm(answers: int, errors: int = 0) -> Arm:
    return Arm(answers=answers, errors=errors, timed=answers)


def kinds(plan: Plan) -> list[str]:
    return [event.kind for event in plan.events]


def next_(status: Status, seen: World, now: datetime = NOW, of: ModelLoop = SPEC) -> Plan:
    return loop.next(of, status, seen, now)


SERVING = replace(EMPTY, champion=1, decided=1, last_scheduled=NOW)
CHAMPION = version(1, "champion")
CHALLENGER = version(2, "challenger")
