"""Ratios of the user's own counters: what is counted of them, what is bad about them, and when they are heard."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta

import pytest

from serinus.decide import canary, counts, guardrails, loop, wealth
from serinus.decide.counts import Counted
from serinus.facts import Arm, Block, CountsQuestion, Evidence, Rollout, Series, Status, VariantState
from serinus.spec import Guardrails, Ratio, RolloutSpec
from serinus.stats.sequential import Counts
from tests.unit import loop_cases

NOW = datetime(2026, 1, 1, 12, tzinfo=UTC)
SECOND = timedelta(seconds=1)
CLICKS = Ratio(name="clicks", numerator="clicks_total", denominator="shown_total", better="higher", margin=0.05)
COMPLAINTS = CLICKS.model_copy(update={"name": "complaints", "better": "lower"})
QUESTION = CountsQuestion(1, 2, NOW, NOW + 2 * SECOND)


def spec(*ratios: Ratio) -> RolloutSpec:
    off = Guardrails(errors=None, rejections=None, latency=None, slowdown=None, scores=None)
    return RolloutSpec(guardrails=off.model_copy(update={"ratios": ratios}))


def series(version: int, increase: float, label: str = "version") -> Series:
    return Series({label: str(version), "loop": "a"}, increase, 2)


def judged(rules: RolloutSpec, stable: Arm, tried: Arm, blocks: int = 40) -> canary.Look:
    begun = Rollout(2, 1, NOW, len(rules.steps) - 1, NOW, looked_until=NOW)
    seen = canary.Look(begun, "hold", (), "")
    for number in range(blocks):
        start, end = NOW + number * 2 * SECOND, NOW + (number + 1) * 2 * SECOND
        news = Block(start, end, stable, tried)
        seen = canary.look(rules, seen.rollout, news, VariantState(2, ready=True, weight=50), end)
        if seen.action != "hold":
            break
    return seen


def shown(clicks: int, of: int = 100, name: str = "clicks") -> Arm:
    return Arm(answers=of, ratios=((name, of, clicks),))


def test_both_counters_are_summed_over_replicas_by_the_label_that_tells_versions() -> None:
    ratio = CLICKS.model_copy(update={"version_label": "model"})
    numerators = [series(1, 20, "model"), series(1, 3, "model"), series(2, 4, "model"), series(3, 9, "model")]
    denominators = [series(1, 90, "model"), series(2, 30, "model"), series(2, 1, "model"), series(2, 500)]
    found = counts.block(QUESTION, [], [], SECOND, ratios=[Counted(ratio, numerators, denominators)])
    assert (found.stable.ratios, found.canary.ratios) == ((("clicks", 90, 23),), (("clicks", 31, 4),))


def test_a_numerator_that_nobody_counts_is_no_data_and_one_that_only_stable_counts_is_zero() -> None:
    denominators = [series(1, 90), series(2, 30)]
    nobody = counts.block(QUESTION, [], [], SECOND, ratios=[Counted(CLICKS, [series(7, 5)], denominators)])
    assert (nobody.stable.ratios, nobody.canary.ratios) == ((), ())
    stables = counts.block(QUESTION, [], [], SECOND, ratios=[Counted(CLICKS, [series(1, 5)], denominators)])
    assert (stables.stable.ratios, stables.canary.ratios) == ((("clicks", 90, 5),), (("clicks", 30, 0),))


def test_bad_is_what_is_missing_of_what_should_be_high_and_what_there_is_of_what_should_be_low() -> None:
    high, low = guardrails.active(spec(CLICKS, COMPLAINTS))
    arm = Arm(ratios=(("clicks", 100, 30), ("complaints", 100, 2)))
    assert (high.count(arm), low.count(arm)) == (Counts(100, 70), Counts(100, 2))
    assert high.count(Arm()) == Counts(0, 0)
    assert (high.alpha, low.alpha) == (0.005, 0.005)


@pytest.mark.parametrize(("ratio", "bad"), [(CLICKS, 0), (COMPLAINTS, 100)])
def test_more_of_the_part_than_of_the_whole_counts_as_all_of_it(ratio: Ratio, bad: int) -> None:
    arm = shown(120, name=ratio.name)
    found = wealth.absorb(spec(ratio), {}, Block(NOW, NOW + SECOND, arm, arm))[ratio.name]
    assert (found.canary_trials, found.canary_bad) == (100, bad)


def test_a_canary_with_fewer_clicks_is_rolled_back_and_one_with_as_many_is_let_in() -> None:
    worse = judged(spec(CLICKS), shown(30), shown(15))
    assert worse.action == "rollback"
    assert worse.reason.startswith("clicks: canary ")
    assert judged(spec(CLICKS), shown(30), shown(31)).action == "promote"
    assert judged(spec(COMPLAINTS), shown(30, name="complaints"), shown(15, name="complaints")).action == "promote"
    assert judged(spec(COMPLAINTS), shown(5, name="complaints"), shown(25, name="complaints")).action == "rollback"


def test_a_ratio_without_data_lets_nobody_in() -> None:
    seen = judged(spec(CLICKS), Arm(answers=100), Arm(answers=100))
    assert seen.action == "hold"
    assert seen.reason == "clicks: the canary has had no shown_total with clicks_total to judge by"


def test_evidence_about_other_counters_does_not_outlive_an_edit() -> None:
    before = wealth.absorb(spec(CLICKS), {}, Block(NOW, NOW + SECOND, shown(30), shown(30)))
    (same,) = guardrails.active(spec(CLICKS.model_copy(update={"delay": SECOND})))
    assert guardrails.known(same, before) == before["clicks"]
    for changed in ({"numerator": "buys_total"}, {"labels": {"shop": "a"}}, {"better": "lower"}, {"margin": 0.1}):
        (edited,) = guardrails.active(spec(CLICKS.model_copy(update=changed)))
        assert guardrails.known(edited, before) == Evidence(terms=edited.terms)


def test_a_ratio_that_comes_late_is_waited_for_as_long_again_as_it_takes() -> None:
    late = CLICKS.model_copy(update={"delay": 10 * SECOND})
    seen = judged(spec(late), shown(30), shown(30), blocks=9)
    assert (seen.action, seen.reason) == ("hold", "clicks needs 10s to come, and as long again to be counted")
    assert judged(spec(late), shown(30), shown(30)).action == "promote"


@pytest.mark.parametrize(("late", "asked"), [(19, ()), (20, ("clicks",))])
def test_a_late_ratio_is_asked_for_once_what_comes_is_of_the_present_shares(late: int, asked: tuple[str, ...]) -> None:
    ratio = "{name: clicks, numerator: a_total, denominator: b_total, better: higher, margin: 0.1, delay: 20s}"
    of = loop_cases.spec(rollout=f"guardrails: {{ratios: [{ratio}]}}")
    until = loop_cases.NOW + late * SECOND
    status = Status("x", champion=1, rollout=Rollout(2, 1, loop_cases.NOW, 0, loop_cases.NOW, until))
    found = loop.question(of, status, until + 3 * SECOND)
    assert found is not None
    assert found.ratios == asked
