"""The judge's decisions: what a look does with counts, a server's state and the time."""

from __future__ import annotations

import math
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from functools import partial
from itertools import product

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from serinus.decide import canary, guardrails, rulings, wealth
from serinus.facts import Arm, Block, Evidence, Rollout, VariantState
from serinus.spec import BLUE_GREEN, Errors, Guardrails, Latency, RolloutSpec, Wrong
from serinus.stats import difference, dispersion, sequential

NOW = datetime(2026, 1, 1, 12, tzinfo=UTC)
SECOND = timedelta(seconds=1)
rails = partial(Guardrails, slowdown=None, scores=None)  # these two: test_distributions_judged.py
SPEC = RolloutSpec(guardrails=rails())
ERRORS = RolloutSpec(guardrails=rails(errors=Errors(), rejections=None, latency=None))
WELL = VariantState(2, ready=True, weight=25)
GOOD = Arm(1000, 2, 0, timed=1000, slow=2)
NOBODY = Arm()


def rollout(step: int = 1, **more: object) -> Rollout:
    return replace(Rollout(2, 1, NOW, step, NOW, looked_until=NOW), **more)  # type: ignore[arg-type]


def block(stable: Arm = GOOD, tried: Arm = GOOD, start: datetime = NOW, seconds: int = 10) -> Block:
    return Block(start, start + seconds * SECOND, stable, tried)


def looks(
    spec: RolloutSpec, begun: Rollout, tried: Arm, stable: Arm = GOOD, times: int = 40, state: VariantState = WELL
) -> canary.Look:
    """The same counts at every look, until something other than hold follows."""
    seen = canary.Look(begun, "hold", (), "")
    for _ in range(times):
        begun = seen.rollout
        news = block(stable, tried, begun.looked_until)
        seen = canary.look(spec, begun, news, state, news.end)
        if seen.action != "hold":
            break
    return seen


# --- getting ready -------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("state", [None, VariantState(2, ready=False, weight=0, restarts=3)])
def test_a_canary_that_is_not_ready_gets_no_traffic(state: VariantState | None) -> None:
    waiting = rollout(step=-1)
    assert canary.weight(SPEC, waiting) == 0
    assert canary.look(SPEC, waiting, None, state, NOW + 599 * SECOND) == canary.Look(
        waiting, "hold", (), "its server gets ready"
    )


def test_a_ready_canary_gets_its_first_traffic_and_is_counted_from_then_on() -> None:
    later = NOW + 20 * SECOND
    seen = canary.look(SPEC, rollout(step=-1), block(), replace(WELL, restarts=1), later)
    assert (seen.action, seen.reason) == ("advance", "its server is ready")
    assert seen.rollout == rollout(step=0, step_started=later, looked_until=later, restarts=1, served_since=later)
    assert canary.weight(SPEC, seen.rollout) == 5


@pytest.mark.parametrize(
    ("state", "why"),
    [
        (None, "its server never became ready"),
        (VariantState(2, ready=False, weight=0), "its server never became ready"),
        (VariantState(2, ready=False, weight=0, message="manifest: wrong digest"), "manifest: wrong digest"),
    ],
)
def test_a_canary_that_never_becomes_ready_is_rolled_back_with_what_its_server_said(
    state: VariantState | None, why: str
) -> None:
    seen = canary.look(SPEC, rollout(step=-1), None, state, NOW + 600 * SECOND)
    assert (seen.action, seen.reason) == ("rollback", f"not ready within 10m: {why}")
    assert [v.outcome for v in seen.verdicts] == ["fail"]


# --- a server that dies --------------------------------------------------------------------------------------------


@pytest.mark.parametrize("message", ["", "OOMKilled"])
@pytest.mark.parametrize("ready", [True, False])
@pytest.mark.parametrize("news", [None, block()])
def test_a_canary_that_crashed_is_rolled_back_at_once(news: Block | None, ready: bool, message: str) -> None:
    state = replace(WELL, ready=ready, restarts=3, message=message)
    seen = canary.look(SPEC, rollout(restarts=1), news, state, NOW + 10 * SECOND)
    assert seen.action == "rollback"
    assert seen.reason.startswith("the canary's server crashed: 2 restarts since it got traffic")
    assert message in seen.reason
    assert (seen.verdicts[0].gate, seen.verdicts[0].outcome) == ("server", "fail")


AWAY_STATES = pytest.mark.parametrize(
    ("state", "why"),
    [
        (None, "the canary's server is gone since 12:00:10"),
        (
            replace(WELL, ready=False, message="Pending"),
            "the canary's server is no longer ready since 12:00:10 (Pending)",
        ),
    ],
)


@AWAY_STATES
@pytest.mark.parametrize("seconds", [10, 69])
def test_a_canary_whose_server_went_away_without_a_crash_holds_whatever_its_evidence(
    state: VariantState | None, why: str, seconds: int
) -> None:
    convinced = replace(looks(SPEC, rollout(step=2), GOOD).rollout, away=NOW + 10 * SECOND)
    news = block(GOOD, NOBODY, convinced.looked_until)
    seen = canary.look(SPEC, convinced, news, state, NOW + seconds * SECOND)
    assert (seen.action, seen.reason) == ("hold", why)
    assert (seen.verdicts[0].gate, seen.verdicts[0].outcome) == ("server", "undecided")


@AWAY_STATES
def test_a_canary_whose_server_stays_away_for_a_minute_is_rolled_back(state: VariantState | None, why: str) -> None:
    began = canary.look(SPEC, rollout(), None, state, NOW + 10 * SECOND).rollout
    assert began.away == NOW + 10 * SECOND
    seen = canary.look(SPEC, began, None, state, NOW + 70 * SECOND)
    assert (seen.action, seen.reason) == ("rollback", why)


def test_a_canary_whose_server_comes_back_goes_on_as_if_nothing_had_been() -> None:
    seen = canary.look(SPEC, rollout(away=NOW), block(), WELL, NOW + 10 * SECOND)
    assert (seen.action, seen.rollout.away) == ("advance", None)


# --- steps ---------------------------------------------------------------------------------------------------------


def test_a_step_is_passed_with_enough_answers_and_no_guardrail_near_rollback() -> None:
    few = canary.look(SPEC, rollout(), block(tried=Arm(199, 0, 0, 199, 0)), WELL, NOW + 10 * SECOND)
    assert few.action == "hold"
    assert few.reason == "the canary needs more traffic: 199 of at least 200 answers in this step"
    news = block(tried=Arm(1, 0, 0, 1, 0), start=few.rollout.looked_until)
    enough = canary.look(SPEC, few.rollout, news, WELL, news.end)
    assert enough.action == "advance"
    assert enough.reason == "step 2 of 3 (25 %) passed: 200 of at least 200 answers in this step, " + (
        "no guardrail near rollback"
    )
    after = enough.rollout
    assert (after.step, after.step_started, after.step_answers, after.looked_until) == (2, news.end, 0, news.end)
    assert after.evidence["errors"].canary_trials == 200


def test_near_rollback_means_a_third_of_the_log_evidence_and_holds_the_step() -> None:
    rail = guardrails.active(ERRORS)[0]
    assert rail.needed_harm == pytest.approx(math.log(100))
    close = Evidence(1000, 1, 1000, 1, (1.6,), (0.0,), peak_harm=1.6, terms=rail.terms)
    assert guardrails.near(rail, close)
    assert not guardrails.near(rail, replace(close, log_harm=(1.5,)))
    held = canary.look(ERRORS, rollout(), block(tried=Arm(200, 6)), WELL, NOW + 10 * SECOND)
    assert held.action == "advance"
    held = canary.look(ERRORS, rollout(), block(tried=Arm(250, 12)), WELL, NOW + 10 * SECOND)
    held = canary.look(ERRORS, held.rollout, block(tried=Arm(250, 9), start=NOW + 10 * SECOND), WELL, NOW + 20 * SECOND)
    assert held.action == "hold"
    assert held.reason.startswith("errors is near rollback: evidence of harm 1:")


def test_the_last_step_promotes_on_the_positive_finding_alone() -> None:
    seen = looks(SPEC, rollout(step=2), tried=Arm(100, 0, 0, 100, 0))
    assert seen.action == "promote"
    assert [(v.gate, v.outcome) for v in seen.verdicts] == [
        ("errors", "pass"), ("rejections", "pass"), ("latency", "pass"),
    ]  # fmt: skip
    assert seen.rollout.step == 2
    assert "errors: canary 0 of " in seen.reason
    assert "not worse by 1 percentage point with evidence 1:" in seen.reason
    for name, evidence in seen.rollout.evidence.items():
        assert guardrails.safe_now(evidence) >= math.log(20), name


def test_no_single_block_promotes_or_rolls_back() -> None:
    for tried in (Arm(100_000, 0, 0, 100_000, 0), Arm(100_000, 100_000, 0, 100_000, 100_000)):
        seen = canary.look(SPEC, rollout(step=2), block(tried=tried), WELL, NOW + 10 * SECOND)
        assert seen.action == "hold"


def test_harm_is_rolled_back_with_its_figures() -> None:
    seen = looks(SPEC, rollout(), tried=Arm(62, 6, 0, 62, 0), stable=Arm(248, 1, 0, 248, 1))
    assert seen.action == "rollback"
    errors = seen.verdicts[0]
    assert errors.outcome == "fail"
    assert seen.reason == errors.reason
    assert errors.reason == (
        "errors: canary 18 of 186 (9.7 %) against stable 3 of 744 (0.4 %), "
        f"worse by more than 1 percentage point with evidence {rulings.odds(errors.figures['log_harm'])} "
        "(needed 1:200)"
    )
    assert errors.figures["canary_rate"] == pytest.approx(18 / 186)
    assert errors.figures["log_harm"] >= errors.figures["log_harm_needed"] == pytest.approx(math.log(200))


def test_a_crossing_counts_for_ever() -> None:
    rail = guardrails.active(ERRORS)[0]
    once = Evidence(9000, 9, 9000, 9, (-40.0,), (3.5,), peak_harm=5.0, terms=rail.terms)
    seen = canary.look(ERRORS, rollout(step=2, evidence={"errors": once}), None, WELL, NOW + SECOND)
    assert seen.action == "rollback"


@pytest.mark.parametrize(
    ("tried", "gate"), [(Arm(0, 0, 60), "rejections"), (Arm(60, 0, 0, 60, 50), "latency"), (Arm(60, 9), "errors")]
)
def test_each_guardrail_can_throw_a_canary_back(tried: Arm, gate: str) -> None:
    seen = looks(SPEC, rollout(), tried)
    assert seen.action == "rollback"
    assert [v.gate for v in seen.verdicts if v.outcome == "fail"] == [gate]


# --- nothing to go by ----------------------------------------------------------------------------------------------


def test_a_canary_without_traffic_is_undecided_and_ends_by_the_timeout() -> None:
    seen = looks(SPEC, rollout(), NOBODY, times=59)
    assert seen.action == "hold"
    assert {v.outcome for v in seen.verdicts} == {"undecided"}
    assert seen.verdicts[0].reason == "errors: the canary has had no requests to judge by"
    seen = looks(SPEC, seen.rollout, NOBODY, times=1)
    assert seen.action == "rollback"
    assert seen.reason == (
        "step 2 of 3 (25 %) did not convince within 10m: "
        "the canary needs more traffic: 0 of at least 200 answers in this step"
    )


def test_without_stable_traffic_nothing_is_found_safe() -> None:
    seen = looks(SPEC, rollout(step=2), Arm(100, 0, 0, 100, 0), stable=NOBODY)
    assert seen.action == "hold"
    assert "errors: stable has had no requests to judge by" in seen.reason


def test_a_guardrail_that_saw_nothing_keeps_the_canary_from_being_promoted() -> None:
    seen = looks(SPEC, rollout(step=2), Arm(100), stable=Arm(100))
    assert seen.action == "hold"
    assert seen.reason == "latency: the canary has had no requests to judge by"


def test_when_counts_are_away_the_verdict_is_error_and_the_weights_hold_until_the_timeout_speaks() -> None:
    begun = rollout(evidence=wealth.absorb(SPEC, {}, block()))
    seen = canary.look(SPEC, begun, None, WELL, NOW + 60 * SECOND)
    assert seen.action == "hold"
    assert {v.outcome for v in seen.verdicts} == {"error"}
    assert seen.verdicts[0].reason == "errors: could not look: no counts since 12:00:00"
    assert seen.rollout == replace(begun, verdicts=seen.verdicts)
    late = NOW + 600 * SECOND
    assert canary.look(SPEC, begun, None, WELL, late).action == "rollback"
    holding = SPEC.model_copy(update={"on_timeout": "hold"})
    assert canary.look(holding, begun, None, WELL, late).action == "hold"


def test_on_timeout_hold_leaves_an_unconvincing_canary_undecided_for_ever() -> None:
    holding = SPEC.model_copy(update={"on_timeout": "hold"})
    seen = looks(holding, rollout(step=2), NOBODY, times=100)
    assert seen.action == "hold"
    assert seen.reason.startswith("step 3 of 3 (50 %) did not convince within 10m")
    assert {v.outcome for v in seen.verdicts} == {"undecided"}


def test_between_two_blocks_the_last_verdicts_stand() -> None:
    seen = canary.look(SPEC, rollout(step=2), block(), WELL, NOW + 10 * SECOND)
    again = canary.look(SPEC, seen.rollout, None, WELL, NOW + 14 * SECOND)
    assert (again.action, again.reason) == ("hold", "no new counts are due yet")
    assert again.rollout == seen.rollout
    away = canary.look(SPEC, seen.rollout, None, WELL, NOW + 15 * SECOND)
    assert {v.outcome for v in away.verdicts} == {"error"}
    first = canary.look(SPEC, rollout(), None, WELL, NOW + SECOND)
    assert {v.outcome for v in first.verdicts} == {"undecided"}


def test_no_block_counts_twice() -> None:
    seen = canary.look(SPEC, rollout(step=2), block(), WELL, NOW + 10 * SECOND)
    again = canary.look(SPEC, seen.rollout, block(), WELL, NOW + 20 * SECOND)
    assert again.rollout.evidence == seen.rollout.evidence
    assert {v.outcome for v in again.verdicts} == {"error"}


# --- edits in mid-rollout ------------------------------------------------------------------------------------------


def test_a_step_that_an_edit_took_away_becomes_the_last_one() -> None:
    short = SPEC.model_copy(update={"steps": (5, 10)})
    assert canary.weight(short, rollout(step=2)) == 10
    seen = looks(short, rollout(step=2), Arm(100, 0, 0, 100, 0))
    assert (seen.action, seen.rollout.step) == ("promote", 1)


def test_a_guardrail_that_appears_starts_then_and_one_switched_off_is_ignored() -> None:
    evidence = wealth.absorb(ERRORS, {}, block())
    assert set(evidence) == {"errors"}
    latency = RolloutSpec(guardrails=rails(errors=None, rejections=None, latency=Latency()))
    both = wealth.absorb(latency, evidence, block())
    assert both["errors"] is evidence["errors"]
    assert both["latency"].canary_trials == 1000
    doomed = replace(evidence["errors"], peak_harm=50.0)
    seen = canary.look(latency, rollout(evidence={"errors": doomed}), block(), WELL, NOW + 10 * SECOND)
    assert seen.action == "advance"
    assert [v.gate for v in seen.verdicts] == ["latency"]


def test_an_edited_margin_or_threshold_starts_the_evidence_of_its_guardrail_anew() -> None:
    evidence = wealth.absorb(SPEC, {}, block())
    edited = RolloutSpec(guardrails=rails(errors=Errors(margin=0.05), latency=Latency(threshold=SECOND)))
    after = wealth.absorb(edited, evidence, block())
    assert [after[name].canary_trials for name in ("errors", "rejections", "latency")] == [1000, 2000, 1000]


def test_without_guardrails_exposure_alone_promotes() -> None:
    none = RolloutSpec(guardrails=rails(errors=None, rejections=None, latency=None))
    seen = canary.look(none, rollout(step=2), block(), WELL, NOW + 10 * SECOND)
    assert (seen.action, seen.reason) == ("promote", "1,000 of at least 200 answers in this step")


# --- evidence ------------------------------------------------------------------------------------------------------


def test_the_rate_of_false_rollback_is_shared_and_that_of_false_promotion_is_not() -> None:
    rates = [(0.005, 0.05), (0.0025, 0.05), (0.0025, 0.05)]
    assert [(g.alpha, g.beta) for g in guardrails.active(SPEC)] == rates
    equal = RolloutSpec(guardrails=rails(errors=None))
    assert [g.alpha for g in guardrails.active(equal)] == [0.005, 0.005]
    assert [(g.alpha, g.beta) for g in guardrails.active(ERRORS)] == [(0.01, 0.05)]


@settings(max_examples=20, deadline=None)
@given(st.floats(0, 0.9), st.floats(0.001, 0.1), st.booleans(), st.lists(st.floats(0, 1), min_size=3, max_size=3))
def test_evidence_over_three_blocks_is_at_most_one_on_average_while_the_rates_wander(
    rate: float, margin: float, worse: bool, wander: list[float]
) -> None:
    """All 9^3 ways that three blocks of two requests an arm can turn out, the bets of each learnt from those before."""
    spec = RolloutSpec(guardrails=rails(errors=Errors(margin=margin), rejections=None, latency=None))
    rates = [(rate * w, rate * w + margin) for w in wander]

    def mean(evidence: dict[str, Evidence], chance: float, left: list[tuple[float, float]]) -> tuple[float, float]:
        if not left:
            e = evidence["errors"]
            return chance * math.exp(guardrails.harm_now(e)), chance * math.exp(guardrails.safe_now(e))
        law = [[(1 - p) ** 2, 2 * p * (1 - p), p * p] for p in left[0]]
        parts = [
            mean(wealth.absorb(spec, evidence, block(Arm(2, k), Arm(2, j))), chance * law[0][k] * law[1][j], left[1:])
            for k, j in product(range(3), range(3))
        ]
        return sum(p[0] for p in parts), sum(p[1] for p in parts)

    harm, safe = mean({}, 1.0, rates)
    assert harm <= 1 + 1e-9
    assert safe <= 1 + 1e-9


def test_a_block_is_bet_on_with_the_rate_of_the_blocks_before_it() -> None:
    first = wealth.absorb(ERRORS, {}, block(Arm(400, 4), Arm(10, 1)))["errors"]
    later = block(Arm(300, 90), Arm(20, 5), NOW + 10 * SECOND)
    second = wealth.absorb(ERRORS, {"errors": first}, later)["errors"]
    rate, counts = sequential.baseline(400, 4), (sequential.Counts(300, 90), sequential.Counts(20, 5))

    def after(parts: tuple[float, ...], bets: tuple[sequential.Rates, ...], needed: float) -> tuple[float, ...]:
        return sequential.bet(parts, [sequential.log_factor(*counts, a, 0.01) for a in bets], 10, 30, needed / 2)

    harm = after(first.log_harm, sequential.harms(rate, 0.01), math.log(100))
    known = sequential.Rates(sequential.baseline(700, 94), sequential.baseline(30, 6))
    assert dispersion.dispersion(second.clumps) == 1
    assert second == Evidence(
        700, 94, 30, 6,
        log_harm=harm,
        log_safe=after(first.log_safe, sequential.safes(rate, 0.01), math.log(20)),
        peak_harm=max(first.peak_harm, sequential.total(harm)),
        terms=(0.0, 0.01),
        blocks=2,
        clumps=dispersion.grown(first.clumps, 1, *counts, known),
        sums=difference.grown(first.sums, *counts),
        recent=(*first.recent, (later.end.timestamp(), sequential.total(harm))),
    )  # fmt: skip


@pytest.mark.parametrize(
    ("arm", "alone", "share"),
    [
        pytest.param(Arm(1000, 140), 10, 0.95, id="one in seven fails"),
        pytest.param(Arm(50, 50), 15, 2 / 3, id="everything fails"),
        pytest.param(Arm(5, 5), 10, 0.95, id="everything fails, a few answers a block"),
    ],
)
def test_so_many_seconds_do_not_decide_alone_but_one_more_may(arm: Arm, alone: int, share: float) -> None:
    evidence: dict[str, Evidence] = {}
    rail = guardrails.active(ERRORS)[0]
    for second in range(alone + 1):
        evidence = wealth.absorb(ERRORS, evidence, block(GOOD, arm, NOW + second * SECOND, seconds=1))
        if second < alone:
            assert evidence["errors"].peak_harm <= share * rail.needed_harm + 1e-9
    assert evidence["errors"].peak_harm >= rail.needed_harm


def test_two_clients_that_fail_fifty_times_each_are_two_accidents_and_not_a_hundred() -> None:
    """Both were sent to the canary; eight before them went to stable, which has four times its traffic."""
    spec = RolloutSpec(guardrails=rails(errors=Errors(margin=0.01), rejections=None, latency=None))

    def harm(size: int, count: int) -> float:
        evidence: dict[str, Evidence] = {}
        at = NOW
        for arm in ([0] * 4 + [1]) * count:
            for bad in (size, 0, 0, 0):
                stable, tried = (Arm(80, bad), Arm(20, 0)) if arm == 0 else (Arm(80, 0), Arm(20 + bad, bad))
                evidence = wealth.absorb(spec, evidence, block(stable, tried, at, seconds=2))
                at += 2 * SECOND
        return evidence["errors"].peak_harm

    rail = guardrails.active(spec)[0]
    assert harm(50, 3) < rail.needed_harm


def test_a_block_without_canary_traffic_only_teaches_the_baseline() -> None:
    before = wealth.absorb(ERRORS, {}, block())["errors"]
    after = wealth.absorb(ERRORS, {"errors": before}, block(tried=NOBODY))["errors"]
    assert after == replace(before, stable_trials=2000, stable_bad=4)


def test_more_bad_outcomes_than_trials_count_as_the_trials() -> None:
    assert wealth.absorb(ERRORS, {}, block(tried=Arm(5, 6)))["errors"].canary_bad == 5


@pytest.mark.parametrize(
    ("log_e", "text"),
    [(-3.0, "none"), (0.0, "none"), (0.3, "1:1.3"), (math.log(9.96), "1:10"), (math.log(5400), "1:5,400"),
     (30.0, "1:10^13"), (1e6, "1:10^434294")],
)  # fmt: skip
def test_evidence_is_written_as_odds(log_e: float, text: str) -> None:
    assert rulings.odds(log_e) == text


def test_margins_are_written_in_percentage_points() -> None:
    assert [rulings.points(m) for m in (0.01, 0.02, 0.07, 0.0005)] == [
        "1 percentage point", "2 percentage points", "7 percentage points", "0.05 percentage points",
    ]  # fmt: skip


# --- blue/green ----------------------------------------------------------------------------------------------------

SWITCH = RolloutSpec(steps=(0, 100))


def test_blue_green_gives_nothing_until_it_is_known_how_stable_does_and_then_everything() -> None:
    begun = rollout(step=0)
    assert canary.weight(SWITCH, begun) == 0
    few = canary.look(SWITCH, begun, block(replace(GOOD, answers=199), NOBODY), WELL, NOW + 10 * SECOND)
    assert (few.action, few.reason) == (
        "hold",
        "learns how stable does: 199 of 200 answers; then everything moves at once",
    )
    enough = canary.look(SWITCH, begun, block(GOOD, NOBODY), WELL, NOW + 10 * SECOND)
    assert enough.action == "promote"
    assert enough.rollout.evidence["errors"].stable_trials == 1000


def test_blue_green_of_a_quiet_loop_waits_no_longer_than_a_step_may_take() -> None:
    quiet = canary.look(SWITCH, rollout(step=0), block(NOBODY, NOBODY, seconds=600), WELL, NOW + 600 * SECOND)
    assert quiet.action == "promote"


def test_blue_green_is_not_promoted_by_a_judge_that_cannot_look() -> None:
    assert canary.look(SWITCH, rollout(step=0), None, WELL, NOW + 600 * SECOND).action == "rollback"


def test_where_scrapes_are_rare_a_missing_block_is_no_news_for_longer() -> None:
    waiting, later = rollout(step=0), NOW + 80 * SECOND
    rare = canary.look(SPEC, waiting, None, WELL, later, 30 * SECOND)
    assert {v.outcome for v in rare.verdicts} == {"undecided"}
    assert {v.outcome for v in canary.look(SPEC, waiting, None, WELL, later).verdicts} == {"error"}


# --- labels ----------------------------------------------------------------------------------------------------------

DELAY = 30 * SECOND
HEARD = RolloutSpec(guardrails=rails(quality=Wrong(margin=0.05)))
ALONE = RolloutSpec(guardrails=rails(errors=None, rejections=None, latency=None, quality=Wrong(margin=0.05)))
RIGHT = replace(GOOD, labelled=1000, wrong=100)


def test_with_labels_asked_for_three_guardrails_share_what_errors_leave() -> None:
    active = guardrails.active(HEARD)
    assert [(g.name, g.late) for g in active] == [
        ("errors", False), ("rejections", False), ("latency", False), ("quality", True),
    ]  # fmt: skip
    assert [g.alpha for g in active] == pytest.approx([0.005, 0.005 / 3, 0.005 / 3, 0.005 / 3])


def test_a_canary_that_is_wrong_more_often_is_rolled_back() -> None:
    seen = looks(HEARD, rollout(step=2), replace(GOOD, labelled=200, wrong=60), replace(RIGHT, labelled=400, wrong=40))
    assert seen.action == "rollback"
    assert seen.reason.startswith("quality: canary ")
    assert "worse by more than 5 percentage points" in seen.reason


def test_a_canary_that_is_right_as_often_is_promoted_and_its_labels_are_named() -> None:
    seen = looks(HEARD, rollout(step=2), RIGHT, RIGHT)
    assert seen.action == "promote"
    assert {v.gate: v.outcome for v in seen.verdicts}["quality"] == "pass"
    assert "quality: canary" in seen.reason


@pytest.mark.parametrize(
    ("tried", "stable", "who"), [(GOOD, RIGHT, "the canary"), (RIGHT, GOOD, "stable"), (GOOD, GOOD, "the canary")]
)
def test_where_no_label_came_the_canary_is_promoted_without_and_the_reason_says_so(
    tried: Arm, stable: Arm, who: str
) -> None:
    seen = looks(HEARD, rollout(step=2), tried, stable)
    assert seen.action == "promote"
    assert f"quality: {who} has had no labels to judge by" in seen.reason
    assert {v.gate: v.outcome for v in seen.verdicts}["quality"] == "undecided"


def test_a_few_labels_are_not_enough_to_be_found_right_by() -> None:
    few, begun = replace(GOOD, labelled=5, wrong=0), rollout(step=2, step_started=NOW - 590 * SECOND)
    seen = canary.look(HEARD, begun, block(few, few), WELL, NOW + 10 * SECOND, delay=DELAY)
    assert (seen.action, seen.reason[:16]) == ("rollback", "step 3 of 3 (50 ")
    assert "quality: canary 0 of 5" in seen.reason


@pytest.mark.parametrize("step", [0, 1, 2])
def test_labels_get_their_time_in_every_step(step: int) -> None:
    begun = rollout(step=step)
    early = canary.look(HEARD, begun, block(seconds=59), WELL, NOW + 60 * SECOND, delay=DELAY)
    assert (early.action, early.reason) == ("hold", "labels need 30s to come, and as long again to be counted")
    for spec, seconds in ((HEARD, 60), (SPEC, 59)):
        then = canary.look(spec, begun, block(seconds=seconds), WELL, NOW + 60 * SECOND, delay=DELAY)
        assert "labels need" not in then.reason
        assert (then.action == "advance") == (step < 2)


def test_labels_count_once_they_are_of_answers_given_at_the_present_shares() -> None:
    assert not canary.hears(NOW, NOW + 29 * SECOND, DELAY)
    assert canary.hears(NOW, NOW + 30 * SECOND, DELAY)


def test_blue_green_learns_how_often_stable_is_wrong_but_waits_for_no_labels_that_do_not_come() -> None:
    heard = replace(RIGHT, labelled=500, wrong=50)
    for spec in (HEARD, ALONE):
        blue = spec.model_copy(update={"steps": BLUE_GREEN})
        begun = rollout(step=0)
        early = canary.look(blue, begun, block(heard, NOBODY, seconds=59), WELL, NOW + 60 * SECOND, delay=DELAY)
        assert early.action == "hold"
        assert early.reason.startswith("learns how stable does: labels need 30s to come")
        for stable in (heard, GOOD):
            then = canary.look(blue, begun, block(stable, NOBODY, seconds=60), WELL, NOW + 61 * SECOND, delay=DELAY)
            assert then.action == "promote"
