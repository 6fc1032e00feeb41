"""What the judge promises, counted over seeded rollouts. `pytest -s` prints the figures."""

from __future__ import annotations

from datetime import timedelta

from serinus.spec import Errors, Guardrails, RolloutSpec
from tests.simulation.traffic import Behaviour, World, report, runs

TWENTY = RolloutSpec(steps=(20, 50))
ERRORS_ALONE = RolloutSpec(
    steps=(50,),
    step_timeout=timedelta(minutes=2),
    guardrails=Guardrails(slowdown=None, scores=None, errors=Errors(), rejections=None, latency=None),
)


def test_of_150_identical_canaries_at_most_one_is_rolled_back_and_nearly_all_are_promoted() -> None:
    promoted, rolled = runs(RolloutSpec(), World(), 150)
    report("identical canary, 5-25-50 %", promoted, rolled)
    assert len(rolled) <= 1
    assert len(promoted) >= 148


def test_a_canary_with_hardly_any_failure_is_promoted_from_its_last_step_in_half_a_minute() -> None:
    quiet = Behaviour(errors=0.0005, slow=0.0005, rejected=0)
    promoted, rolled = runs(RolloutSpec(steps=(50,), warm_up=timedelta(0)), World(quiet, quiet), 100)
    report("identical canary near zero, 50 % at once", promoted, rolled)
    assert not rolled
    assert sum(e.seconds <= 30 for e in promoted) >= 95


def test_a_canary_with_ten_percent_errors_loses_its_traffic_within_30_s_in_every_seed() -> None:
    for every in (1, 2):
        world = World(Behaviour(errors=0.002), Behaviour(errors=0.10), wander=0, every=every)
        promoted, rolled = runs(TWENTY, world, 200)
        report(f"0.2 % against 10 %, 20 % weight, a look every {every} s", promoted, rolled)
        assert not promoted
        assert max(e.seconds for e in rolled) <= 30
        assert all(e.reason.startswith("errors: canary") for e in rolled)


def test_a_canary_that_fails_always_loses_its_traffic_in_seconds() -> None:
    promoted, rolled = runs(RolloutSpec(), World(canary=Behaviour(errors=1.0), wander=0, every=2), 50)
    report("0.8 % against 100 %, 5 % weight, a look every 2 s", promoted, rolled)
    assert not promoted
    assert max(e.seconds for e in rolled) <= 18


def test_a_canary_with_five_percent_errors_is_found_within_two_minutes() -> None:
    promoted, rolled = runs(TWENTY, World(Behaviour(errors=0.005), Behaviour(errors=0.05), wander=0), 100)
    report("0.5 % against 5 %, 20 % weight", promoted, rolled)
    assert not promoted
    assert max(e.seconds for e in rolled) <= 120


def test_a_canary_worse_by_little_more_than_the_margin_is_not_promoted_more_often_than_promised() -> None:
    promoted, rolled = runs(TWENTY, World(Behaviour(errors=0.008), Behaviour(errors=0.02), wander=0, every=5), 20)
    report("0.8 % against 2 %, 20 % weight", promoted, rolled)
    assert len(promoted) <= 1


def test_a_canary_worse_by_exactly_the_margin_is_promoted_in_at_most_five_percent_of_seeds() -> None:
    for errors in (0.0, 0.002):
        world = World(Behaviour(errors, 0, 0), Behaviour(errors, 0, 0, worse=0.01), every=2)
        promoted, rolled = runs(ERRORS_ALONE, world, 200)
        report(f"{errors:.1%} against exactly the margin more", promoted, rolled)
        assert len(promoted) <= 10


def test_storms_that_hit_both_arms_are_no_harm_and_keep_hardly_a_canary_from_being_promoted() -> None:
    world = World(weather=lambda second: 30.0 if second % 60 < 10 else 1.0, every=2)
    promoted, rolled = runs(RolloutSpec(), world, 60)
    report("errors and slowness x 30 in both arms, 10 s of every minute", promoted, rolled)
    assert not [e for e in rolled if "worse by more" in e.reason]
    assert len(promoted) >= 54


def test_versions_that_stand_still_for_a_second_now_and_then_each_alone_are_not_thrown_back() -> None:
    pausing = Behaviour(pauses=0.003)
    for every in (2, 5):
        promoted, rolled = runs(RolloutSpec(), World(pausing, pausing, every=every), 60)
        report(f"every answer slow in 0.3 % of the seconds, each arm alone, a look every {every} s", promoted, rolled)
        assert not rolled
