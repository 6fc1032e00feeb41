"""An experiment: which users get the new version, what ends it, and what is said of it."""

from __future__ import annotations

from dataclasses import replace
from datetime import timedelta

import pytest

from serinus.decide import experiment
from serinus.facts import Arm, Plan, Rollout, Routing, RoutingState, Status, Sticky, Variant, VariantState
from serinus.spec import ModelLoop
from services.platform import Platform
from tests.unit.loop_cases import NOW, SECOND, block, canary, kinds, next_, spec, version, world

SERVING = Status("flights", champion=1, decided=1)
VERSIONS = (version(1, "champion"), version(2, "challenger"))
HALVES = RoutingState((VariantState(1, True, 50), VariantState(2, True, 50)))
ONLY = "errors: {margin: 0.01}, rejections: null, latency: null, slowdown: null, scores: null"


def trial(better: str = "higher", known_by: str = "header: x-user", more: str = "") -> ModelLoop:
    orders = f"{{name: orders, numerator: o_total, denominator: u_total, better: {better}, margin: 0.1}}"
    asked = f"experiment: {{metric: orders, {known_by}, horizon: 14d}}"
    return spec(rollout=f"strategy: experiment, {asked}, {more} guardrails: {{{ONLY}, ratios: [{orders}]}}")


def users(of: int, orders: int, errors: int = 0) -> Arm:
    return Arm(answers=of, errors=errors, ratios=(("orders", of, orders),))


def until(of: ModelLoop, stable: Arm, new: Arm, looks: int = 60, every: timedelta = 2 * SECOND) -> Plan:
    """Looks that each see so much more, until something happens; with nothing happening, the last of them."""
    plan = Plan(replace(SERVING, rollout=canary()))
    for number in range(looks):
        start = NOW + number * every
        seen = world(versions=VERSIONS, routing=HALVES, block=block(stable, new, start=start))
        plan = next_(plan.status, seen, start + 3 * SECOND, of)
        if plan.events or plan.status.rollout is None:
            break
    return plan


def rollout_of(plan: Plan) -> Rollout:
    assert plan.status.rollout is not None
    return plan.status.rollout


@pytest.mark.parametrize(
    ("known_by", "sticky"),
    [("header: x-user", Sticky("header", "x-user")), ("cookie: sid", Sticky("cookie", "sid"))],
)
def test_a_share_of_the_users_gets_the_new_version_once_it_is_ready(known_by: str, sticky: Sticky) -> None:
    of = trial(known_by=known_by)
    seen = world(versions=VERSIONS, routing=RoutingState((VariantState(1, True, 100), VariantState(2, True, 0))))
    begun = next_(SERVING, replace(seen, routing=RoutingState((VariantState(1, True, 100),))), NOW, of)
    assert begun.routing is not None
    assert begun.routing.variants == (Variant(1, 100), Variant(2, 0))
    plan = next_(begun.status, seen, NOW + SECOND, of)
    assert plan.routing == Routing((Variant(1, 50), Variant(2, 50)), sticky)
    assert plan.events[-1].message == "version 2 now gets 50 % of the users: its server is ready"


def test_a_version_that_never_gets_ready_does_not_take_the_whole_horizon() -> None:
    of = trial()
    seen = world(versions=VERSIONS, routing=RoutingState((VariantState(1, True, 100), VariantState(2, False, 0))))
    begun = next_(SERVING, seen, NOW, of)
    assert kinds(next_(begun.status, seen, NOW + 59 * SECOND, of)) == []
    assert kinds(next_(begun.status, seen, NOW + 60 * SECOND, of)) == ["RolledBack"]


def test_better_serves_everybody_and_says_by_how_much() -> None:
    plan = until(trial(), users(1000, 100), users(1000, 150))
    assert kinds(plan) == ["Promoted", "ShareChanged"]
    assert plan.routing is not None
    assert plan.routing.variants == (Variant(1, 20), Variant(2, 80))
    assert plan.routing.sticky is not None  # who is held back stays so
    said = plan.events[0].message
    assert "orders: 15.00 % against 10.00 %, better by" in said
    found = plan.records[0].verdicts[0]
    assert (found.gate, found.outcome) == ("experiment", "pass")
    assert 0 < found.figures["effect_least"] < 0.05 < found.figures["effect_most"]


def test_of_a_metric_of_which_less_is_better_more_is_worse() -> None:
    plan = until(trial("lower"), users(1000, 100), users(1000, 150))
    assert kinds(plan) == ["RolledBack"]
    assert "orders: 15.00 % against 10.00 %, worse by" in plan.events[0].message
    better = until(trial("lower"), users(1000, 150), users(1000, 100))
    assert kinds(better) == ["Promoted", "ShareChanged"]


def test_worse_ends_it_though_it_is_within_the_guardrails_margin() -> None:
    plan = until(trial(), users(1000, 150), users(1000, 100))
    assert kinds(plan) == ["RolledBack"]
    assert "orders: 10.00 % against 15.00 %, worse by" in plan.records[0].reason
    assert plan.routing == Routing((Variant(1, 100),))


def test_a_difference_of_few_answers_is_waited_for() -> None:
    for stable, new in ((users(30, 30), users(30, 0)), (users(30, 0), users(30, 30))):
        plan = until(trial(more="falseRollbackRate: 0.0001,"), stable, new, looks=1)
        assert kinds(plan) == []
        assert rollout_of(plan).verdicts[0].gate == "experiment"


def test_better_is_not_enough_while_something_else_is_not_known_to_be_safe() -> None:
    plan = until(trial(), users(4000, 400), users(4000, 600, errors=38), looks=4)
    assert kinds(plan) == []
    found, errors, *_ = rollout_of(plan).verdicts
    assert (found.outcome, errors.gate, errors.outcome) == ("pass", "errors", "undecided")


def test_where_nothing_is_found_by_the_horizon_everybody_gets_the_old_version_back() -> None:
    of = trial()
    plan = until(of, users(1000, 100), users(1000, 101))
    found = rollout_of(plan).verdicts[0]
    assert found.outcome == "undecided"
    assert found.figures["effect_least"] < 0 < found.figures["effect_most"]
    assert found.reason.startswith("orders: 10.10 % against 10.00 %, a difference between -")
    for seconds, happens in ((-1, []), (0, ["RolledBack"])):
        now = NOW + timedelta(days=14, seconds=seconds)
        late = world(versions=VERSIONS, routing=HALVES, block=block(users(9, 1), users(9, 1), start=now - 3 * SECOND))
        ended = next_(plan.status, late, now, of)
        assert kinds(ended) == happens
    assert "the experiment (50 % of the users) did not convince within 14d: orders: " in ended.events[0].message


def test_nobody_counted_is_nothing_found() -> None:
    plan = until(trial(), users(0, 0), users(0, 0), looks=1)
    assert rollout_of(plan).verdicts[0].reason == "orders: nobody has been counted in both versions yet"


def test_the_pace_of_canaries_is_not_its() -> None:
    plan = until(trial(more="pace: adaptive,"), users(1000, 100), users(1000, 101), looks=20)
    assert rollout_of(plan).share == 0
    assert plan.routing == Routing((Variant(1, 50), Variant(2, 50)), Sticky("header", "x-user"))


def test_an_edit_to_a_canary_draws_every_request_anew() -> None:
    plan = until(trial(), users(1000, 100), users(1000, 101), looks=1)
    seen = world(versions=VERSIONS, routing=HALVES, block=None)
    assert next_(plan.status, seen, NOW + 4 * SECOND, spec()).routing == Routing((Variant(1, 80), Variant(2, 20)))


def test_the_interval_is_the_same_whichever_of_two_outcomes_is_counted() -> None:
    effects = []
    for better, orders in (("higher", (100, 120)), ("lower", (100, 120))):
        plan = until(trial(better), users(1000, orders[0]), users(1000, orders[1]), looks=3)
        figures = rollout_of(plan).verdicts[0].figures
        effects.append((figures["effect_least"], figures["effect_most"]))
    assert effects[0] == pytest.approx(effects[1])


def test_it_is_refused_where_no_router_keeps_users_apart() -> None:
    platform = Platform("http://mlflow", "http://prometheus", "http://kfp")
    (why,) = platform.beyond(trial())
    assert why.startswith("spec.rollout.strategy: expected another one than experiment on Kubernetes")
    assert replace(platform, serving_mode="Knative").beyond(trial()) == (why,)


def test_neither_is_found_of_an_effect_around_nothing() -> None:
    assert [experiment.Effect(a, b, higher=True).found for a, b in ((-1, 1), (0.1, 1), (-1, -0.1))] == [
        "neither", "better", "worse",
    ]  # fmt: skip
