"""A canary's whole distributions against stable's: cuts that are chosen first, and what is found at them."""

from __future__ import annotations

import math
from dataclasses import replace
from datetime import UTC, datetime, timedelta

import pytest

from serinus import wire
from serinus.decide import canary, cuts, guardrails, watch, wealth
from serinus.decide.cuts import Bins, Cut
from serinus.facts import Arm, Block, Evidence, Rollout, VariantState
from serinus.spec import BLUE_GREEN, Guardrails, RolloutSpec, Scores, Slowdown
from serinus.stats.sequential import Counts

NOW = datetime(2026, 1, 1, 12, tzinfo=UTC)
SECOND = timedelta(seconds=1)
WELL = VariantState(2, ready=True, weight=25)
OFF = Guardrails(errors=None, rejections=None, latency=None, slowdown=None, scores=None)
SCORES = RolloutSpec(guardrails=OFF.model_copy(update={"scores": Scores()}))
SLOWDOWN = RolloutSpec(guardrails=OFF.model_copy(update={"slowdown": Slowdown()}))
EVEN: Bins = (*((i / 10, 10) for i in range(1, 10)), (math.inf, 10))
QUICK: Bins = ((0.005, 10), (0.025, 40), (0.05, 25), (0.1, 20), (math.inf, 5))
SLOWER: Bins = ((0.005, 5), (0.025, 25), (0.05, 30), (0.1, 30), (math.inf, 10))


def scored(bins: Bins) -> Arm:
    return Arm(answers=sum(count for _, count in bins), scores=bins)


def timed(bins: Bins) -> Arm:
    count = sum(count for _, count in bins)
    return Arm(answers=count, timed=count, times=bins)


def block(stable: Arm, tried: Arm, number: int) -> Block:
    return Block(NOW + number * 2 * SECOND, NOW + (number + 1) * 2 * SECOND, stable, tried)


def judged(spec: RolloutSpec, stable: Arm, tried: Arm, blocks: int = 40) -> canary.Look:
    """The same counts at every look of the last step, until something other than hold follows."""
    begun = Rollout(2, 1, NOW, len(spec.steps) - 1, NOW, looked_until=NOW)
    seen = canary.Look(begun, "hold", (), "")
    for number in range(blocks):
        seen = canary.look(spec, seen.rollout, block(stable, tried, number), WELL, NOW + (number + 1) * 2 * SECOND)
        if seen.action != "hold":
            break
    return seen


def known(spec: RolloutSpec, stable: Arm, tried: Arm, blocks: int) -> Evidence:
    evidence: dict[str, Evidence] = {}
    for number in range(blocks):
        evidence = wealth.absorb(spec, evidence, block(stable, tried, number))
    (found,) = evidence.values()
    return found


@pytest.mark.parametrize(
    ("cut", "bad"),
    [
        (Cut(-math.inf, 0.5), 50), (Cut(0.5, math.inf), 50), (Cut(0.2, 0.8), 60), (Cut(0.2, 0.8, outside=True), 40),
        # Where a bin reaches over a cut nobody knows on which side its values are: they are none of the bad.
        (Cut(-math.inf, 0.55), 50), (Cut(0.55, math.inf), 40), (Cut(0.25, 0.75), 40),
        (Cut(0.25, 0.75, outside=True), 40),
    ],
)  # fmt: skip
def test_only_bins_wholly_among_the_bad_count_as_bad(cut: Cut, bad: int) -> None:
    assert cut.count(EVEN) == Counts(100, bad)


def test_bins_none_of_which_lies_among_the_bad_tell_nothing() -> None:
    assert Cut(0.2, 0.8).count(((math.inf, 70),)) == Counts(0, 0)
    assert Cut(-math.inf, 0.5).count(()) == Counts(0, 0)


def test_cuts_are_the_bounds_nearest_to_stables_shares() -> None:
    assert cuts.chosen(cuts.latencies(0.01), QUICK) == (0.025, 0.05, 0.1)
    assert cuts.chosen(cuts.latencies(0.06), QUICK) == (0.1, 0.1, 0.1)
    assert cuts.chosen(cuts.latencies(1), QUICK) == ()
    assert cuts.chosen(cuts.SCORES, EVEN) == (0.2, 0.5, 0.7)  # of 20 and 30 %, 70 and 80 % the lower bound


def test_bounds_that_fall_together_are_compared_once() -> None:
    assert [cut.low for cut in cuts.slower((0.1, 0.1, 0.25))] == [0.1, 0.25]
    assert [cut.says for cut in cuts.elsewhere((0.4, 0.4, 0.4))] == ["up to 0.4 ", "over 0.4 "]
    assert cuts.elsewhere(()) == ()


def test_cuts_are_chosen_by_stables_first_outcomes_and_nothing_is_bet_on_these() -> None:
    first = known(SLOWDOWN, timed(QUICK), timed(SLOWER), 1)
    assert (first.shape, first.cuts, first.parts) == (QUICK, None, ())
    chosen = known(SLOWDOWN, timed(QUICK), timed(SLOWER), 2)
    assert (chosen.shape, chosen.cuts) == ((), (0.025, 0.05, 0.1))
    assert chosen.parts == tuple(
        Evidence(stable_trials=200, stable_bad=bad, terms=(cut, math.inf, 0.0, 0.05))
        for cut, bad in ((0.025, 100), (0.05, 50), (0.1, 10))
    )
    after = known(SLOWDOWN, timed(QUICK), timed(SLOWER), 3)
    assert [(part.canary_bad, part.stable_bad) for part in after.parts] == [(70, 150), (40, 75), (10, 15)]
    assert after.cuts == chosen.cuts


def test_what_is_known_of_cuts_survives_a_restart() -> None:
    for blocks in (1, 2, 5):
        found = known(SCORES, scored(EVEN), scored(EVEN), blocks)
        assert wire.load(Evidence, wire.dump(found)) == found


def test_a_family_shares_its_alpha_over_its_cuts_and_needs_to_be_safe_at_each() -> None:
    (rail,) = guardrails.active(SCORES)
    assert rail.count(scored(EVEN)) == Counts(100, 0)
    assert [member.alpha for member in rail.members((0.2, 0.5, 0.8))] == [0.01 / 4] * 4
    assert rail.members(()) == ()
    found = known(SLOWDOWN, timed(QUICK), timed(QUICK), 12)
    safes = [guardrails.safe_now(part) for part in found.parts]
    assert guardrails.safe_now(found) == min(safes) < max(safes)
    harms = [math.exp(guardrails.harm_now(part)) for part in found.parts]
    assert math.exp(guardrails.harm_now(found)) == pytest.approx(sum(harms) / len(harms))


def test_a_canary_slower_in_the_middle_is_rolled_back_though_none_is_slow() -> None:
    seen = judged(SLOWDOWN, timed(QUICK), timed(SLOWER))
    assert seen.action == "rollback"
    assert seen.reason.startswith("slowdown: over 25ms canary ")
    assert "worse by more than 5 percentage points" in seen.reason


@pytest.mark.parametrize("value", range(10))
def test_a_canary_that_answers_the_same_to_everybody_is_rolled_back_whatever_it_answers(value: int) -> None:
    same = tuple((bound, 25 * (i == value)) for i, (bound, _) in enumerate(EVEN))
    seen = judged(SCORES, scored(EVEN), scored(same))
    assert seen.action == "rollback"
    assert seen.reason.startswith("scores: ")


@pytest.mark.parametrize("edges", [(0.05, 0.15, 0.25, 0.42, 0.47, 0.58, 0.66, 0.77, 0.81), (0.1, 0.5, 0.9)])
def test_a_canary_with_bins_of_its_own_that_scores_alike_is_let_in(edges: tuple[float, ...]) -> None:
    lower, bins = 0.0, []
    for bound in (*edges, 1.0):
        bins.append((bound if bound < 1 else math.inf, round(100 * (bound - lower))))
        lower = bound
    seen = judged(SCORES, scored(EVEN), scored(tuple(bins)))
    assert (seen.action, [v.outcome for v in seen.verdicts]) == ("promote", ["pass"])


def test_a_canary_whose_scores_cannot_be_placed_is_let_in_and_the_reason_says_so() -> None:
    for tried in (scored(((math.inf, 100),)), Arm(answers=100)):
        seen = judged(SCORES, scored(EVEN), tried)
        assert seen.action == "promote"
        assert seen.reason == "scores: the canary has had no scores in bins with known edges to judge by"


def test_stable_answers_that_all_fall_together_leave_nothing_to_compare_by() -> None:
    seen = judged(SCORES, scored(((math.inf, 100),)), scored(EVEN))
    assert (seen.action, seen.reason) == ("promote", "scores: nothing to compare by, as stable's are all in one bin")


def test_while_cuts_are_still_chosen_nobody_is_let_in() -> None:
    seen = judged(SLOWDOWN.model_copy(update={"min_requests": 1}), timed(QUICK), timed(QUICK), blocks=1)
    assert (seen.action, seen.reason) == ("hold", "slowdown: 100 of 200 of stable's by which cuts are chosen")


def test_an_edited_margin_chooses_cuts_anew() -> None:
    evidence = {"scores": known(SCORES, scored(EVEN), scored(EVEN), 4)}
    edited = RolloutSpec(guardrails=OFF.model_copy(update={"scores": Scores(margin=0.2)}))
    after = wealth.absorb(edited, evidence, block(scored(EVEN), scored(EVEN), 4))["scores"]
    assert (after.cuts, after.shape) == (None, EVEN)


def watched(spec: RolloutSpec, tried: Arm, blocks: int = 12) -> str:
    """The outcome of a watch after a rollout in which both did alike."""
    seen = {"scores": known(SCORES, scored(EVEN), scored(EVEN), 9)}
    spec = spec.model_copy(update={"holdback": 0})
    watching, outcome = watch.start(spec, Rollout(2, 1, NOW, 2, NOW, NOW, 1000, seen), NOW, 0), "undecided"
    for number in range(blocks):
        watching, verdict = watch.look(spec, watching, block(Arm(), tried, number))
        outcome = verdict.outcome
        if outcome == "fail":
            assert verdict.reason.startswith("scores: ")
            break
    return outcome


def test_the_watch_holds_the_new_champions_scores_to_the_old_ones_and_asks_nothing_of_its_speed() -> None:
    same = tuple((bound, 100 * (i == 8)) for i, (bound, _) in enumerate(EVEN))
    both = RolloutSpec(guardrails=OFF.model_copy(update={"scores": Scores(), "slowdown": Slowdown()}))
    assert watched(both, scored(EVEN)) == "undecided"
    assert watched(both, scored(same)) == "fail"
    blind = replace(timed(SLOWER), scores=EVEN)
    assert watched(both, blind) == "undecided"


def test_blue_green_does_not_wait_for_what_its_watch_does_not_ask() -> None:
    spec = SLOWDOWN.model_copy(update={"steps": BLUE_GREEN})
    begun = Rollout(2, 1, NOW, 0, NOW, looked_until=NOW)
    seen = canary.look(spec, begun, block(timed(QUICK), Arm(), 0), WELL, NOW + 2 * SECOND)
    assert seen.action == "promote"
