"""The loop's story, one sentence a test."""

from __future__ import annotations

from dataclasses import replace
from datetime import timedelta

import pytest

from serinus.decide import guardrails, loop, runs
from serinus.facts import (
    AliasMove,
    Arm,
    CountsQuestion,
    Evidence,
    Plan,
    Routing,
    RoutingState,
    RunRecord,
    Variant,
    VariantState,
    Watch,
)
from serinus.spec import ModelLoop
from tests.unit.loop_cases import (
    CHALLENGER,
    CHAMPION,
    EMPTY,
    NOW,
    SECOND,
    SERVING,
    SPEC,
    arm,
    block,
    canary,
    kinds,
    next_,
    routing,
    run,
    spec,
    version,
    world,
)

# --- first version -------------------------------------------------------------------------------------------------


def test_a_new_loop_asks_for_its_first_run_once() -> None:
    plan = next_(EMPTY, world())
    assert plan.run is not None
    assert plan.run.key == "flights-initial-20260302T120000Z"
    again = next_(plan.status, world(runs=(run(plan.run.key),)), NOW + SECOND)
    assert (again.run, again.events) == (None, ())


def test_a_run_that_the_runner_does_not_know_is_asked_for_again_with_the_same_key() -> None:
    plan = next_(EMPTY, world())
    again = next_(plan.status, world(), NOW + SECOND)
    assert plan.run is not None
    assert again.run == plan.run


def test_a_failed_first_run_waits_for_another_recipe() -> None:
    first = next_(EMPTY, world())
    assert first.run is not None
    failed = run(first.run.key, "failed", step="check", reason="too few rows")
    plan = next_(first.status, world(runs=(failed,)), NOW + SECOND)
    assert kinds(plan) == ["RunFailed"]
    assert "too few rows" in plan.events[0].message
    assert next_(plan.status, world(), NOW + 2 * SECOND).run is None
    edited = spec(training="seed: 1")
    assert next_(plan.status, world(), NOW + 2 * SECOND, of=edited).run is not None


def test_the_alias_of_a_decided_version_stays_while_a_run_may_be_giving_it_to_a_newer_one() -> None:
    """Taken away by its name, it would be the new version's: seen as the two fell into one second."""
    key, decided = "flights-manual-20260302T120000Z", replace(SERVING, decided=2)
    stale = version(2, "challenger")  # read before the run named version 3
    under_way = replace(decided, run=RunRecord(key, "manual", NOW))
    for state in (run(key), run(key, "succeeded")):
        plan = next_(under_way, world(versions=(CHAMPION, stale), runs=(state,), routing=routing((1, 100))))
        assert plan.aliases == ()
    ended = next_(decided, world(versions=(CHAMPION, stale), routing=routing((1, 100))))
    assert ended.aliases == (AliasMove("challenger", None),)


@pytest.mark.parametrize("blind", ["versions", "runs"])
def test_no_run_is_asked_for_while_registry_or_runner_cannot_be_seen(blind: str) -> None:
    plan = next_(EMPTY, world(**{blind: None}, unseen={"registry": "away"}))
    assert plan.run is None
    assert kinds(plan) == ["CannotSee"]


def test_the_first_version_serves_everyone_once_its_smoke_test_passed() -> None:
    first = version(1, "challenger")
    plan = next_(EMPTY, world(versions=(first,)))
    assert plan.routing == Routing((Variant(1, 100),))
    assert plan.status.champion is None
    ready = next_(plan.status, world(versions=(first,), routing=routing((1, 100))), NOW + SECOND)
    assert ready.status.champion == 1
    assert ready.status.watch is None
    assert set(ready.aliases) == {AliasMove("champion", 1), AliasMove("challenger", None)}
    assert kinds(ready) == ["Promoted"]


def test_a_first_version_that_never_gets_ready_is_thrown_back() -> None:
    first = version(1, "challenger")
    began = next_(EMPTY, world(versions=(first,)))
    seen = world(versions=(first,), routing=routing((1, 0), unready=(1,)))
    waiting = next_(began.status, seen, NOW + 59 * SECOND)
    assert waiting.status.rollout is not None
    plan = next_(began.status, seen, NOW + 60 * SECOND)
    assert plan.status.rollout is None
    assert plan.records[0].outcome == "rolled-back"
    assert "never became ready" in plan.records[0].reason


# --- runs ----------------------------------------------------------------------------------------------------------


def test_a_run_that_somebody_else_asked_for_is_followed() -> None:
    plan = next_(SERVING, world(versions=(CHAMPION,), runs=(run("flights-drift-x"),)))
    assert plan.status.run is not None
    assert plan.status.run.key == "flights-drift-x"
    assert kinds(plan) == ["RunStarted"]


def test_when_the_runner_let_another_run_in_that_one_is_followed() -> None:
    status = replace(SERVING, run=RunRecord("flights-manual-mine", "manual", NOW))
    plan = next_(status, world(versions=(CHAMPION,), runs=(run("flights-drift-other"),)))
    assert plan.status.run is not None
    assert plan.status.run.key == "flights-drift-other"
    assert plan.run is None


def test_the_version_that_a_run_registered_is_found_by_the_key() -> None:
    status = replace(SERVING, run=RunRecord("flights-manual-2", "manual", NOW))
    seen = world(versions=(CHAMPION, CHALLENGER), runs=(run("flights-manual-2", "succeeded", ended=NOW),))
    plan = next_(status, seen)
    assert plan.status.run is None
    assert plan.status.last_run is not None
    assert plan.status.last_run.version == 2
    assert kinds(plan)[:2] == ["RunSucceeded", "VersionFound"]


def test_a_run_that_ended_well_without_a_version_is_said_to_have_failed() -> None:
    status = replace(SERVING, run=RunRecord("flights-manual-9", "manual", NOW))
    plan = next_(status, world(versions=(CHAMPION,), runs=(run("flights-manual-9", "succeeded"),)))
    assert kinds(plan) == ["RunFailed"]


def test_a_run_that_ended_waits_for_the_registry_to_be_seen() -> None:
    status = replace(SERVING, run=RunRecord("flights-manual-2", "manual", NOW))
    plan = next_(status, world(versions=None, runs=(run("flights-manual-2", "succeeded"),)))
    assert plan.status.run is not None


def test_the_schedule_asks_for_a_run_at_its_slot_once() -> None:
    hourly = spec(training='schedule: "0 * * * *"')
    slot = NOW + timedelta(hours=1)
    plan = next_(SERVING, world(versions=(CHAMPION,)), slot, of=hourly)
    assert plan.run is not None
    assert plan.run.key == "flights-schedule-20260302T130000Z"
    ended = replace(plan.status, run=None)
    assert next_(ended, world(versions=(CHAMPION,)), slot + SECOND, of=hourly).run is None


def test_the_recipe_ignores_what_a_run_does_not_depend_on() -> None:
    assert runs.recipe(spec()) == runs.recipe(spec(text="approval: required"))
    assert runs.recipe(spec()) != runs.recipe(spec(training="seed: 3"))


# --- rollouts ------------------------------------------------------------------------------------------------------


def test_a_challenger_gets_ready_without_traffic_first() -> None:
    plan = next_(SERVING, world(versions=(CHAMPION, CHALLENGER), routing=routing((1, 100))))
    assert plan.routing == Routing((Variant(1, 100), Variant(2, 0)))
    assert kinds(plan) == ["VersionFound"]


def test_a_ready_canary_gets_its_first_share() -> None:
    status = replace(SERVING, rollout=canary(step=-1))
    seen = world(versions=(CHAMPION, CHALLENGER), routing=routing((1, 100), (2, 0)))
    plan = next_(status, seen, NOW + SECOND)
    assert plan.routing == Routing((Variant(1, 80), Variant(2, 20)))
    assert kinds(plan) == ["RolloutStarted"]


def thrown_back(canarys: Arm) -> Plan:
    """The look that rolls a canary back which answers like this in every block, at its first step throughout."""
    status = replace(SERVING, rollout=canary())
    for i in range(1, 10):
        start = status.rollout.looked_until if status.rollout is not None else NOW
        seen = world(
            versions=(CHAMPION, CHALLENGER),
            routing=routing((1, 80), (2, 20)),
            block=block(arm(400), canarys, start=start),
        )
        plan = next_(status, seen, NOW + 2 * i * SECOND)
        if plan.status.rollout is None:
            return plan
        assert plan.routing == Routing((Variant(1, 80), Variant(2, 20)))
        status = plan.status
    raise AssertionError("never rolled back")


def test_a_harmful_canary_loses_its_traffic_and_is_never_tried_again() -> None:
    plan = thrown_back(arm(100, errors=60))
    assert kinds(plan) == ["RolledBack"]
    assert plan.routing == Routing((Variant(1, 100),))
    assert plan.records[0].outcome == "rolled-back"
    assert plan.aliases == (AliasMove("challenger", None),)
    later = next_(plan.status, world(versions=(CHAMPION, CHALLENGER), routing=routing((1, 100))), NOW + 3 * SECOND)
    assert later.status.rollout is None
    assert later.routing == Routing((Variant(1, 100),))


def test_a_canary_that_convinced_at_every_step_takes_over_and_the_old_champion_is_kept_ready() -> None:
    status = replace(SERVING, rollout=canary())
    now, weights, told = NOW, [], []
    while status.rollout is not None and now < NOW + timedelta(minutes=5):
        now += 2 * SECOND
        share = 20 if status.rollout.step == 0 else 50
        seen = world(
            versions=(CHAMPION, CHALLENGER),
            routing=routing((1, 100 - share), (2, share)),
            block=block(arm(100 - share), arm(share), start=status.rollout.looked_until),
        )
        plan = next_(status, seen, now)
        status = plan.status
        told += kinds(plan)
        weights.append(share)
    assert told == ["StepPassed", "Promoted", "ShareChanged"]
    assert sorted(set(weights)) == [20, 50]
    assert (status.champion, status.previous) == (2, 1)
    assert status.watch is not None
    assert plan.routing == Routing((Variant(1, 20), Variant(2, 80)))
    assert plan.events[-1].message == "version 2 now gets 80 %: version 1 keeps the rest to be compared with"
    assert AliasMove("champion", 2) in plan.aliases


def test_time_in_which_nobody_looked_is_not_held_against_the_canary() -> None:
    status = replace(SERVING, rollout=canary())
    back = NOW + timedelta(hours=1)
    seen = world(versions=(CHAMPION, CHALLENGER), routing=routing((1, 80), (2, 20)), since=back)
    assert kinds(next_(status, seen, back + SECOND)) == []
    assert kinds(next_(status, seen, back + 60 * SECOND)) == ["RolledBack"]


def test_a_router_that_cannot_be_asked_holds_the_rollout() -> None:
    status = replace(SERVING, rollout=canary())
    seen = world(versions=(CHAMPION, CHALLENGER), routing=None, unseen={"router": "refused"})
    plan = next_(status, seen, NOW + timedelta(hours=1))
    assert plan.status.rollout == status.rollout
    assert plan.routing == Routing((Variant(1, 80), Variant(2, 20)))


def test_without_counts_the_canary_is_held_until_the_timeout_speaks() -> None:
    status = replace(SERVING, rollout=canary())
    seen = world(versions=(CHAMPION, CHALLENGER), routing=routing((1, 80), (2, 20)), unseen={"metrics": "away"})
    held = next_(status, seen, NOW + 59 * SECOND)
    assert held.routing == Routing((Variant(1, 80), Variant(2, 20)))
    assert {v.outcome for v in held.status.rollout.verdicts} == {"error"} if held.status.rollout else False
    assert kinds(next_(status, seen, NOW + 60 * SECOND))[-1] == "RolledBack"


def test_a_challenger_that_comes_during_a_rollout_waits_and_a_newer_one_supersedes_it() -> None:
    status = replace(SERVING, rollout=canary())
    weights = routing((1, 80), (2, 20))
    third = next_(status, world(versions=(CHAMPION, version(2), version(3, "challenger")), routing=weights))
    assert third.status.waiting == 3
    assert third.status.rollout is not None
    assert third.status.rollout.version == 2
    seen = world(versions=(CHAMPION, version(2), version(3), version(4, "challenger")), routing=weights)
    fourth = next_(third.status, seen)
    assert fourth.status.waiting == 4
    assert [(r.version, r.outcome) for r in fourth.records] == [(3, "superseded")]


def test_a_version_without_the_challenger_alias_is_left_alone() -> None:
    plan = next_(SERVING, world(versions=(CHAMPION, version(2)), routing=routing((1, 100))))
    assert replace(plan.status, spec=None) == SERVING


def test_versions_that_cannot_be_seen_start_no_rollout() -> None:
    plan = next_(SERVING, world(versions=None, routing=routing((1, 100))))
    assert plan.status.rollout is None


# --- after the promotion -------------------------------------------------------------------------------------------

ERRORS = next(g for g in guardrails.active(SPEC.spec.rollout) if g.name == "errors")
WATCHING = replace(
    SERVING,
    champion=2,
    previous=1,
    decided=2,
    watch=Watch(2, NOW + 60 * SECOND, NOW, {"errors": Evidence(stable_trials=2000, stable_bad=4, terms=ERRORS.terms)}),
)
PROMOTED = (version(1), version(2, "champion"))


def test_a_guardrail_broken_after_the_promotion_brings_the_old_champion_back() -> None:
    status = WATCHING
    for i in range(1, 11):
        start = status.watch.looked_until if status.watch is not None else NOW
        seen = world(
            versions=PROMOTED,
            routing=routing((1, 10), (2, 90)),
            block=block(arm(10), arm(90, errors=36), start=start),
        )
        plan = next_(status, seen, NOW + 2 * i * SECOND)
        status = plan.status
        if status.champion == 1:
            break
    assert kinds(plan) == ["BroughtBack"]
    assert (status.champion, status.previous, status.watch) == (1, None, None)
    assert plan.routing == Routing((Variant(1, 100),))
    assert AliasMove("champion", 1) in plan.aliases
    assert plan.records[0].version == 2


def test_the_watch_ends_in_time_and_says_whether_anything_was_seen() -> None:
    unseen = next_(WATCHING, world(versions=PROMOTED, routing=routing((2, 100))), NOW + 60 * SECOND)
    assert kinds(unseen) == ["WatchEnded"]
    assert "was not seen to answer" in unseen.events[0].message
    assert unseen.status.previous == 1
    good = world(versions=PROMOTED, routing=routing((2, 100)), block=block(arm(0), arm(100)))
    seen = next_(WATCHING, good, NOW + 60 * SECOND)
    assert "kept its guardrails" in seen.events[0].message


def test_the_watch_goes_on_by_its_counts_while_the_router_cannot_be_asked() -> None:
    answering = next_(WATCHING, world(versions=PROMOTED, routing=routing((2, 100))), NOW + SECOND).status
    blind = world(versions=PROMOTED, routing=None, block=block(arm(0), arm(100), start=NOW))
    watched = next_(answering, blind, NOW + 3 * SECOND).status.watch
    assert watched is not None
    assert answering.watch is not None
    assert watched.served_since == answering.watch.served_since
    assert watched.evidence["errors"].canary_trials == 100


def test_a_new_champion_whose_server_keeps_crashing_gives_way_to_the_old_one() -> None:
    crashing = RoutingState((VariantState(1, True, 0), VariantState(2, False, 100, restarts=3)))
    plan = next_(WATCHING, world(versions=PROMOTED, routing=crashing), NOW + SECOND)
    assert plan.status.champion == 1
    once = RoutingState((VariantState(1, True, 0), VariantState(2, True, 100, restarts=1)))
    assert next_(WATCHING, world(versions=PROMOTED, routing=once), NOW + SECOND).status.champion == 2


def test_the_one_before_keeps_a_share_as_long_as_it_is_ready_and_the_new_one_is_watched() -> None:
    status, told = WATCHING, list[tuple[str, str]]()
    for second, unready, held in ((1, (), 20), (2, (1,), 0), (3, (1,), 0), (4, (), 20), (60, (), 0)):
        seen = world(versions=PROMOTED, routing=routing((1, 0), (2, 100), unready=unready))
        plan = next_(status, seen, NOW + second * SECOND)
        assert plan.routing == Routing((Variant(1, held), Variant(2, 100 - held)))
        status, told = plan.status, told + [(e.kind, e.message[10:]) for e in plan.events]
    assert told == [
        ("ShareChanged", "now gets 80 %: version 1 keeps the rest to be compared with"),
        ("ShareChanged", "now gets 100 %: the server of version 1 is not ready"),
        ("ShareChanged", "now gets 80 %: version 1 keeps the rest to be compared with"),
        ("WatchEnded", "was not seen to answer anybody after the promotion"),
    ]


def test_a_new_champion_under_suspicion_shares_with_the_one_before() -> None:
    status = WATCHING
    for i in range(1, 6):
        start = status.watch.looked_until if status.watch is not None else NOW
        news = block(arm(20), arm(180, errors=11), start=start)
        plan = next_(
            status, world(versions=PROMOTED, routing=routing((1, 10), (2, 90)), block=news), NOW + 2 * i * SECOND
        )
        status = plan.status
        if plan.routing == Routing((Variant(1, 50), Variant(2, 50))):
            break
    assert plan.events[-1].message == (
        "version 2 now gets 50 %: something speaks against it, so version 1 has the rest until it is known better"
    )
    assert plan.events[-1].figures == {"weight": 50}


def test_a_router_that_cannot_be_asked_changes_no_share() -> None:
    plan = next_(WATCHING, world(versions=PROMOTED, routing=None), NOW + SECOND)
    assert plan.status.watch == WATCHING.watch


def test_a_new_rollout_ends_the_watch() -> None:
    seen = world(versions=(*PROMOTED, version(3, "challenger")), routing=routing((2, 100)))
    plan = next_(WATCHING, seen, NOW + SECOND)
    assert plan.status.watch is None
    assert plan.events[-1].message == "version 2 gives way to version 3 before its time was over"
    assert plan.status.rollout is not None
    assert plan.routing == Routing((Variant(1, 0), Variant(2, 100), Variant(3, 0)))


# --- what is asked of the world, and put right in it ----------------------------------------------------------------


def test_counts_are_asked_for_while_a_canary_or_a_new_champion_is_judged() -> None:
    assert loop.question(SPEC, SERVING, NOW) is None
    assert loop.question(SPEC, replace(SERVING, rollout=canary(step=-1)), NOW + 9 * SECOND) is None
    assert loop.question(SPEC, replace(SERVING, rollout=canary()), NOW + 2 * SECOND) is None
    asked = CountsQuestion(1, 2, NOW, NOW + 2 * SECOND)
    assert loop.question(SPEC, replace(SERVING, rollout=canary()), NOW + 3 * SECOND) == asked
    assert loop.question(SPEC, WATCHING, NOW + 3 * SECOND) == asked


LABELLED = spec("collect: {}\n  labels: {delay: 20s}", rollout="guardrails: {quality: {}}")


@pytest.mark.parametrize(("late", "counts"), [(19, False), (20, True)])
def test_labels_are_asked_for_once_those_of_answers_at_the_present_shares_come(late: int, counts: bool) -> None:
    until = NOW + late * SECOND
    for status in (
        replace(SERVING, rollout=canary(looked_until=until)),
        replace(WATCHING, watch=Watch(2, NOW + 60 * SECOND, until)),
    ):
        asked = CountsQuestion(1, 2, until, until + 2 * SECOND, labels=counts)
        assert loop.question(LABELLED, status, until + 3 * SECOND) == asked
        assert loop.question(SPEC, status, until + 3 * SECOND) == replace(asked, labels=False)


def test_a_step_takes_as_long_as_labels_need_when_they_are_asked_for() -> None:
    def step(of: ModelLoop, seconds: int) -> Plan:
        counted = block(arm(4000), arm(1000), start=NOW, seconds=seconds)
        seen = world(versions=(CHAMPION, CHALLENGER), routing=routing((1, 80), (2, 20)), block=counted)
        return next_(replace(SERVING, rollout=canary()), seen, NOW + (seconds + 1) * SECOND, of)

    assert kinds(step(SPEC, 39)) == ["StepPassed"]
    waits = step(LABELLED, 39)
    assert kinds(waits) == []
    assert waits.status.rollout is not None
    assert waits.status.rollout.step == 0
    assert kinds(step(LABELLED, 40)) == ["StepPassed"]


def test_the_registrys_champion_alias_follows_the_ledger() -> None:
    plan = next_(SERVING, world(versions=(version(1), version(5, "champion")), routing=routing((1, 100))))
    assert plan.aliases == (AliasMove("champion", 1),)


def test_what_cannot_be_seen_is_said_once_and_so_is_that_it_answers_again() -> None:
    blind = next_(SERVING, world(versions=None, unseen={"registry": "away"}))
    assert kinds(blind) == ["CannotSee"]
    still = next_(blind.status, world(versions=None, unseen={"registry": "still away"}))
    assert kinds(still) == []
    seen = next_(still.status, world(versions=(CHAMPION,)))
    assert kinds(seen) == ["SeesAgain"]


def test_records_that_are_owed_are_offered_again() -> None:
    plan = thrown_back(arm(99, errors=80))
    owing = replace(plan.status, owed=plan.records)
    assert next_(owing, world(versions=(CHAMPION,))).records == plan.records


def test_the_same_look_twice_is_the_same_plan() -> None:
    seen = world(versions=(CHAMPION, CHALLENGER), routing=routing((1, 100)))
    assert next_(SERVING, seen) == next_(SERVING, seen)


def test_no_routing_is_wanted_before_the_first_version() -> None:
    assert next_(EMPTY, world()).routing is None
