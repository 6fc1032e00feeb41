"""Strategies of a rollout: who gets what, and how it ends."""

from __future__ import annotations

from dataclasses import replace
from datetime import timedelta

import numpy as np
import pytest

from serinus.facts import Arm, Plan, Rollout, Routing, RoutingState, Status, Variant, VariantState
from serinus.spec import ModelLoop
from services.platform import Platform
from tests.unit.loop_cases import NOW, SECOND, arm, block, canary, kinds, next_, spec, version, world

CHAMPION, CHALLENGER = version(1, "champion"), version(2, "challenger")
SERVING = Status("flights", champion=1, decided=1)
OF_TWO = "guardrails: {errors: {margin: 0.01}, latency: {threshold: 250ms, margin: 0.02}}"
SHADOW = spec(rollout=f"strategy: shadow, shadow: {{percent: 40}}, {OF_TWO}")
BLUE_GREEN = spec(rollout=f"strategy: blueGreen, {OF_TWO}")
SHADOWED = RoutingState((VariantState(1, True, 100), VariantState(2, True, 0, mirror=40)))


def looked(of: ModelLoop, stable: Arm, new: Arm, seconds: int = 10, at: Rollout | None = None) -> Plan:
    """One look, `seconds` after version 2 began to be tried beside version 1."""
    counted = block(stable, new, start=NOW, seconds=seconds - 1)
    seen = world(versions=(CHAMPION, CHALLENGER), routing=SHADOWED, block=counted)
    return next_(replace(SERVING, rollout=at or canary()), seen, NOW + seconds * SECOND, of)


def until(of: ModelLoop, stable: Arm, new: Arm, looks: int = 25) -> Plan:
    """Looks every two seconds that each see so much more, until something happens."""
    rollout, plan = canary(), None
    for number in range(looks):
        start = NOW + 2 * number * SECOND
        seen = world(versions=(CHAMPION, CHALLENGER), routing=SHADOWED, block=block(stable, new, start=start))
        plan = next_(replace(SERVING, rollout=rollout), seen, start + 3 * SECOND, of)
        if plan.events or plan.status.rollout is None:
            return plan
        rollout = plan.status.rollout
    raise AssertionError(f"nothing happened in {looks} looks: {rollout.verdicts}")


def test_a_shadow_gets_copies_once_it_is_ready_and_stable_keeps_everybody() -> None:
    seen = world(versions=(CHAMPION, CHALLENGER), routing=RoutingState((VariantState(1, True, 100),)))
    begun = next_(SERVING, seen, NOW, SHADOW)
    assert begun.routing == Routing((Variant(1, 100), Variant(2, 0)))
    ready = replace(seen, routing=RoutingState((VariantState(1, True, 100), VariantState(2, True, 0))))
    plan = next_(begun.status, ready, NOW + SECOND, SHADOW)
    assert plan.routing == Routing((Variant(1, 100), Variant(2, 0, 40)))
    assert kinds(plan) == ["RolloutStarted"]
    assert plan.events[-1].message == "version 2 now gets a copy of 40 % of the requests: its server is ready"
    assert plan.events[-1].figures == {"weight": 0}


def test_a_shadow_that_is_found_safe_serves_everybody_and_is_watched() -> None:
    plan = until(SHADOW, arm(1000), arm(400))
    assert kinds(plan) == ["Promoted", "ShareChanged"]
    assert plan.routing == Routing((Variant(1, 20), Variant(2, 80)))
    assert plan.status.watch is not None
    assert [record.outcome for record in plan.records] == ["promoted"]


def test_a_shadow_not_yet_found_safe_gets_as_many_copies_on_whatever_the_pace_of_canaries() -> None:
    for of in (SHADOW, spec(rollout=f"strategy: shadow, shadow: {{percent: 40}}, pace: adaptive, {OF_TWO}")):
        plan = looked(of, arm(300), arm(120))
        assert kinds(plan) == []
        assert plan.status.rollout is not None
        assert plan.status.rollout.share == 0
        assert plan.routing == Routing((Variant(1, 100), Variant(2, 0, 40)))


def test_a_shadow_that_fails_is_rolled_back_and_gets_nothing_any_more() -> None:
    plan = until(SHADOW, arm(100), arm(40, errors=20))
    assert kinds(plan) == ["RolledBack"]
    assert plan.routing == Routing((Variant(1, 100),))
    assert "(50.0 %) against stable 0 of" in plan.records[0].reason


@pytest.mark.parametrize(("on_timeout", "happens"), [("rollback", ["RolledBack"]), ("hold", [])])
def test_a_shadow_that_nobody_asks_anything_is_never_good_and_its_timeout_speaks(
    on_timeout: str, happens: list[str]
) -> None:
    quiet = spec(rollout=f"strategy: shadow, onTimeout: {on_timeout}, {OF_TWO}")
    assert kinds(looked(quiet, arm(0), arm(0), seconds=59)) == []
    plan = looked(quiet, arm(0), arm(0), seconds=60)
    assert kinds(plan) == happens
    if happens:
        assert "step 1 of 1 (100 %) did not convince within 1m" in plan.events[-1].message


def test_blue_green_by_its_name_is_blue_green_by_its_steps() -> None:
    rollout = spec(rollout=OF_TWO).spec.rollout.model_copy(update={"steps": (0, 100)})
    by_steps = BLUE_GREEN.model_copy(update={"spec": BLUE_GREEN.spec.model_copy(update={"rollout": rollout})})
    for answers, happens in ((50, []), (5_000, ["Promoted"])):
        named, stepped = (looked(of, arm(answers), arm(0)) for of in (BLUE_GREEN, by_steps))
        assert (named.routing, named.events) == (stepped.routing, stepped.events)
        assert kinds(named) == happens


def test_an_edit_from_shadow_to_canary_goes_on_with_what_is_known() -> None:
    shadowed = looked(SHADOW, arm(300), arm(120)).status.rollout
    assert shadowed is not None
    plan = looked(spec(rollout=OF_TWO), arm(0), arm(0), at=shadowed, seconds=11)
    assert plan.routing == Routing((Variant(1, 80), Variant(2, 20)))
    assert plan.status.rollout is not None
    assert plan.status.rollout.evidence["errors"].canary_trials == 120


def test_the_first_version_of_a_loop_has_nobody_to_shadow() -> None:
    seen = world(versions=(version(1, "challenger"),))
    begun = next_(Status("flights"), seen, NOW, SHADOW)
    assert begun.routing == Routing((Variant(1, 100),))
    serves = replace(seen, routing=RoutingState((VariantState(1, True, 100),)))
    assert kinds(next_(begun.status, serves, NOW + timedelta(seconds=1), SHADOW)) == ["Promoted"]


def test_a_shadow_is_refused_where_the_router_copies_no_requests() -> None:
    standard = Platform("http://mlflow", "http://prometheus", "http://kfp")
    knative = replace(standard, serving_mode="Knative")
    assert knative.beyond(SHADOW) == (
        "spec.rollout.strategy: expected canary or blueGreen on Knative, which copies no requests; got shadow",
    )
    assert (standard.beyond(SHADOW), knative.beyond(BLUE_GREEN)) == ((), ())


def outcome(seed: int, worse: float) -> str:
    """How a shadow ends that gets copies of 40 % of 200 requests a look, of which 2 % fail whoever is asked: the same
    requests in both arms, clumped now and then. It fails on so much more by itself."""
    rng, status = np.random.default_rng(seed), replace(SERVING, rollout=canary())
    for number in range(29):
        bad = rng.random(200) < (0.02 if rng.random() < 0.9 else 0.1)
        copied = rng.random(200) < 0.4
        own = rng.random(200) < worse
        stable, new = arm(200, int(bad.sum())), arm(int(copied.sum()), int(((bad | own) & copied).sum()))
        start = NOW + 2 * number * SECOND
        seen = world(versions=(CHAMPION, CHALLENGER), routing=SHADOWED, block=block(stable, new, start=start))
        plan = next_(status, seen, start + 3 * SECOND, SHADOW)
        if plan.status.rollout is None:
            return plan.records[0].reason if "did not convince" in plan.records[0].reason else kinds(plan)[0]
        status = plan.status
    return "undecided"


def test_copies_that_fail_on_the_same_requests_are_no_harm_and_those_that_fail_on_more_are() -> None:
    alike = [outcome(seed, 0.0) for seed in range(20)]
    assert alike.count("RolledBack") == 0
    worse = [outcome(seed, 0.15) for seed in range(20)]
    assert worse.count("RolledBack") >= 19
    assert "Promoted" not in worse
