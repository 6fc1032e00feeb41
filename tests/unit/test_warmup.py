"""A fresh server's first answers: their times are nobody's harm and nobody's proof, all else of them counts."""

from __future__ import annotations

from dataclasses import replace
from datetime import UTC, datetime, timedelta

import pytest

from serinus.decide import canary, warmup, watch
from serinus.facts import Arm, Block, Plan, Rollout, VariantState, Verdict, Watch
from serinus.spec import BLUE_GREEN, Guardrails, RolloutSpec
from tests.unit import loop_cases

NOW = datetime(2026, 1, 1, 12, tzinfo=UTC)
SECOND = timedelta(seconds=1)
SPEC = RolloutSpec(guardrails=Guardrails(slowdown=None), warm_up=timedelta(seconds=30))
WELL = VariantState(2, ready=True, weight=25)
AWAY = replace(WELL, ready=False)
GOOD = Arm(100, 0, 0, 100, 0, times=((0.25, 100), (float("inf"), 0)))
SLOW = Arm(100, 0, 0, 100, 100, times=((0.25, 0), (float("inf"), 100)))


def block(tried: Arm, seconds: int, stable: Arm = GOOD) -> Block:
    return Block(NOW + seconds * SECOND, NOW + (seconds + 2) * SECOND, stable, tried)


def looks(spec: RolloutSpec, begun: Rollout, tried: Arm, first: int, last: int) -> canary.Look:
    """A look every other second over `first` to `last`, until something other than hold or a next step follows."""
    seen = canary.Look(begun, "hold", (), "")
    for second in range(first, last, 2):
        news = block(tried, second)
        seen = canary.look(spec, seen.rollout, news, WELL, news.end)
        if seen.action in ("promote", "rollback"):
            break
    return seen


def on_trial(**more: object) -> Rollout:
    begun = Rollout(2, 1, NOW, 2, NOW, looked_until=NOW, served_since=NOW)
    return replace(begun, **more)  # type: ignore[arg-type]


def test_a_canary_that_is_slow_while_it_warms_up_is_not_thrown_back_and_not_promoted_before() -> None:
    warming = looks(SPEC, on_trial(), SLOW, 0, 30)
    assert warming.action == "hold"
    assert warming.rollout.evidence["latency"].canary_trials == 0
    assert warming.rollout.evidence["errors"].canary_trials == 1500
    after = looks(SPEC, warming.rollout, GOOD, 30, 90)
    assert after.action == "promote"
    assert "(its first 30s were warm-up and do not count)" in after.reason


def test_one_that_is_slow_afterwards_is_thrown_back() -> None:
    seen = looks(SPEC, on_trial(), SLOW, 0, 60)
    assert (seen.action, seen.rollout.looked_until) == ("rollback", NOW + 42 * SECOND)
    assert seen.reason.startswith("latency: canary 600 of 600")


def test_one_that_fails_while_it_warms_up_is_thrown_back_at_once() -> None:
    seen = looks(SPEC, on_trial(), Arm(100, 100, 0, 100, 0), 0, 30)
    assert (seen.action, seen.rollout.looked_until) == ("rollback", NOW + 18 * SECOND)


def test_the_reason_says_until_when_it_warms_up() -> None:
    seen = looks(SPEC, on_trial(), GOOD, 0, 28)
    assert seen.action == "hold"
    assert seen.reason == (
        "latency: the canary has had no requests to judge by "
        "(the canary warms up until 12:00:30; how fast it answers counts from then on)"
    )


def test_steps_go_on_while_it_warms_up() -> None:
    seen = looks(SPEC, on_trial(step=0), GOOD, 0, 10)
    assert seen.rollout.step == 2


@pytest.mark.parametrize(
    ("spec", "begins"),
    [
        (SPEC, 30),
        (RolloutSpec(warm_up=timedelta(0)), 0),
        (RolloutSpec(warm_up=timedelta(seconds=8)), 8),
        (RolloutSpec(), 5),
        (RolloutSpec(warm_up=timedelta(seconds=30), step_timeout=timedelta(seconds=20)), 10),
    ],
)
def test_warm_up_lasts_as_long_as_the_spec_says_and_at_most_half_of_a_step(spec: RolloutSpec, begins: int) -> None:
    for second in (begins - 1, begins):
        heard = warmup.heard(block(SLOW, second), NOW, warmup.lasts(spec))
        assert (heard.canary.timed == 100) == (second == begins)
        assert heard.stable == GOOD  # how fast stable answers is learned all the while
        assert heard.canary.answers == 100


def test_without_warm_up_nothing_is_said_of_it() -> None:
    seen = looks(RolloutSpec(warm_up=timedelta(0)), on_trial(), GOOD, 0, 60)
    assert "warm" not in seen.reason


def test_a_server_that_was_away_warms_up_again() -> None:
    begun = on_trial(served_since=NOW - 600 * SECOND)
    gone = canary.look(SPEC, begun, block(SLOW, 0), AWAY, NOW + 2 * SECOND)
    assert gone.rollout.evidence["latency"].canary_trials == 100
    back = canary.look(SPEC, gone.rollout, block(SLOW, 2), WELL, NOW + 4 * SECOND)
    assert back.rollout.served_since == NOW + 2 * SECOND
    assert back.rollout.evidence["latency"].canary_trials == 100
    later = canary.look(SPEC, back.rollout, block(SLOW, 32), WELL, NOW + 34 * SECOND)
    assert later.rollout.evidence["latency"].canary_trials == 200


def test_of_a_rollout_that_began_under_an_older_version_all_counts() -> None:
    seen = canary.look(SPEC, on_trial(served_since=None), block(SLOW, 0), WELL, NOW + 2 * SECOND)
    assert seen.rollout.evidence["latency"].canary_trials == 100
    assert "warm" not in seen.verdicts[2].reason


def test_in_a_watch_a_server_that_is_new_to_traffic_warms_up_for_half_of_it_at_most() -> None:
    switch = SPEC.model_copy(update={"steps": BLUE_GREEN, "watch": timedelta(seconds=20)})
    learned = canary.look(switch, on_trial(step=0), block(Arm(), 0), WELL, NOW + 2 * SECOND).rollout
    begun = watch.start(switch, learned, NOW, restarts=0)
    early, _ = watch.look(switch, begun, block(SLOW, 8, Arm()))
    assert early.evidence["latency"].canary_trials == 0
    late, _ = watch.look(switch, early, block(SLOW, 10, Arm()))
    assert late.evidence["latency"].canary_trials == 100


def watch_of(plan: Plan) -> Watch:
    assert plan.status.watch is not None
    return plan.status.watch


def test_what_was_promoted_without_traffic_warms_up_in_the_watch() -> None:
    blue = loop_cases.SPEC.spec.rollout.model_copy(update={"steps": BLUE_GREEN})
    switch = loop_cases.SPEC.model_copy(update={"spec": loop_cases.SPEC.spec.model_copy(update={"rollout": blue})})
    now, seconds = loop_cases.NOW, timedelta(seconds=60)
    begun = loop_cases.canary(served_since=now, step_answers=0)
    seen = loop_cases.world(
        versions=(loop_cases.CHAMPION, loop_cases.CHALLENGER),
        routing=loop_cases.routing((1, 100), (2, 0)),
        block=loop_cases.block(loop_cases.arm(1000), loop_cases.arm(0), seconds=60),
    )
    status = replace(loop_cases.SERVING, rollout=begun)
    assert watch_of(loop_cases.next_(status, seen, now + seconds, switch)).served_since == now + seconds


def test_a_new_champion_that_was_away_warms_up_again() -> None:
    watched = Watch(2, loop_cases.NOW + 60 * SECOND, loop_cases.NOW, served_since=loop_cases.NOW - 60 * SECOND)
    status = replace(loop_cases.SERVING, champion=2, previous=1, decided=2, watch=watched)
    now = loop_cases.NOW + 2 * SECOND
    for unready, since in (((), watched.served_since), ((2,), now)):
        seen = loop_cases.world(
            versions=(loop_cases.version(1), loop_cases.version(2, "champion")),
            routing=loop_cases.routing((1, 0), (2, 100), unready=unready),
        )
        assert watch_of(loop_cases.next_(status, seen, now)).served_since == since


def test_whole_distributions_of_times_are_compared_two_warm_ups_after_the_first_traffic() -> None:
    between = warmup.heard(block(SLOW, 59), NOW, warmup.lasts(SPEC)).canary
    assert (between.timed, between.slow, between.times) == (100, 100, ())
    assert warmup.heard(block(SLOW, 60), NOW, warmup.lasts(SPEC)).canary == SLOW


def test_each_guardrail_says_when_it_begins_to_count() -> None:
    verdicts = [Verdict(gate, "undecided", gate) for gate in ("errors", "latency", "slowdown")]
    for seconds, told in ((20, ("warms up until 12:00:30", "warms up until 12:01:00")),
                          (40, ("its first 30s were", "warms up until 12:01:00")),
                          (70, ("its first 30s were", "its first 1m were"))):  # fmt: skip
        errors, latency, slowdown = warmup.said(verdicts, SPEC, NOW, NOW + seconds * SECOND)
        assert errors.reason == "errors"
        assert told[0] in latency.reason
        assert told[1] in slowdown.reason
