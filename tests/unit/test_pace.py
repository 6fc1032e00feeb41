"""An adaptive course: shares that grow with what is known, fall with harm, and promote from the last one alone."""

from __future__ import annotations

from dataclasses import replace
from datetime import UTC, datetime, timedelta
from itertools import pairwise

import pytest

from serinus.decide import canary, hidden, loop, pace
from serinus.facts import Arm, Block, CountsQuestion, Evidence, Rollout, Status, VariantState
from serinus.spec import BLUE_GREEN, Errors, Guardrails, RolloutSpec, Wrong
from tests.unit import loop_cases

NOW = datetime(2026, 1, 1, 12, tzinfo=UTC)
SECOND = timedelta(seconds=1)
ALONE = Guardrails(errors=Errors(), rejections=None, latency=None, slowdown=None, scores=None)
SPEC = RolloutSpec(steps=(1, 50), pace="adaptive", guardrails=ALONE)
WELL = VariantState(2, ready=True, weight=1)
BEGUN = Rollout(2, 1, NOW, 0, NOW, looked_until=NOW)


def drive(
    spec: RolloutSpec, begun: Rollout, failing: float = 0.0, rate: int = 50, seconds: int = 120
) -> tuple[canary.Look, list[int]]:
    """Looks every other second at traffic that is split by the share; the last look, and the share at each."""
    seen, shares = canary.Look(begun, "hold", (), ""), []
    for _ in range(seconds // 2):
        share = canary.weight(spec, seen.rollout)
        shares.append(share)
        tried = round(2 * rate * share / 100)
        start = seen.rollout.looked_until
        stable, arm = Arm(2 * rate - tried), Arm(tried, round(tried * failing))
        seen = canary.look(spec, seen.rollout, Block(start, start + 2 * SECOND, stable, arm), WELL, start + 2 * SECOND)
        if seen.action in ("promote", "rollback"):
            break
    return seen, shares


def test_it_begins_with_the_first_share_and_is_promoted_from_the_last_with_what_could_be_hidden() -> None:
    seen, shares = drive(SPEC, BEGUN)
    assert seen.action == "promote"
    assert (shares[0], shares[-1]) == (1, 50)
    assert shares == sorted(shares)
    assert seen.rollout.step == 0
    assert seen.reason.endswith(", at most 1 percentage point worse (95 %)")
    assert 0 < seen.verdicts[0].figures[hidden.FIGURE] <= 0.01


def test_at_no_look_more_answers_may_be_bad_than_the_budget_by_what_is_known() -> None:
    seen = canary.Look(BEGUN, "hold", (), "")
    for _ in range(12):
        share = canary.weight(SPEC, seen.rollout)
        tried, start = 10 * share, seen.rollout.looked_until
        news = Block(start, start + 2 * SECOND, Arm(1000 - tried), Arm(tried))
        seen = canary.look(SPEC, seen.rollout, news, WELL, news.end)
        if seen.action != "advance":
            continue
        most, safe = seen.verdicts[0].figures[hidden.FIGURE], seen.verdicts[0].outcome == "pass"
        assert safe or 1000 * canary.weight(SPEC, seen.rollout) / 100 * most <= pace.BUDGET


def test_a_next_share_is_told_with_its_reason_and_at_most_twice_the_one_before() -> None:
    _, shares = drive(SPEC, BEGUN, rate=5, seconds=60)
    assert all(after <= 2 * before for before, after in pairwise(shares))
    grown = canary.look(SPEC, BEGUN, Block(NOW, NOW + 2 * SECOND, Arm(10), Arm(1)), WELL, NOW + 2 * SECOND)
    assert (grown.action, grown.reason) == ("advance", "errors at most 100 percentage points worse")
    assert grown.rollout.share_since == NOW + 2 * SECOND
    assert grown.rollout.step_started == NOW


def test_a_share_that_cannot_grow_yet_holds_and_says_why() -> None:
    seen = canary.look(SPEC, BEGUN, Block(NOW, NOW + 2 * SECOND, Arm(9900), Arm(300)), WELL, NOW + 2 * SECOND)
    assert seen.action == "hold"
    assert seen.reason.startswith("its share stays at 1 % for now: errors at most ")
    few = canary.look(SPEC, BEGUN, Block(NOW, NOW + 2 * SECOND, Arm(9990), Arm(10)), WELL, NOW + 2 * SECOND)
    assert few.reason == "the canary needs more traffic: 10 of at least 200 answers"


def test_harm_takes_the_share_back_at_once_and_it_grows_no_more() -> None:
    seen, _ = drive(SPEC, BEGUN, seconds=24)
    assert canary.weight(SPEC, seen.rollout) >= 20
    before = canary.weight(SPEC, seen.rollout)
    fallen, shares = drive(SPEC, seen.rollout, failing=0.5, seconds=2)
    assert fallen.action == "hold"
    assert fallen.reason.startswith(f"its share falls to {canary.weight(SPEC, fallen.rollout)} %: errors: ")
    assert canary.weight(SPEC, fallen.rollout) < before / 4
    ended, shares = drive(SPEC, fallen.rollout, failing=0.5)
    assert ended.action == "rollback"
    assert max(shares) < before / 4


def test_a_canary_that_is_near_rollback_gets_no_more_traffic() -> None:
    seen, shares = drive(SPEC, replace(BEGUN, share=4), failing=1.0)
    assert seen.action == "rollback"
    assert max(shares) == 4


@pytest.mark.parametrize("tried", [Arm(), Arm(5)])
def test_without_counts_of_both_arms_the_share_stays(tried: Arm) -> None:
    seen = canary.look(SPEC, BEGUN, Block(NOW, NOW + 2 * SECOND, Arm(), tried), WELL, NOW + 2 * SECOND)
    assert canary.weight(SPEC, seen.rollout) <= 2
    missed = canary.look(SPEC, replace(BEGUN, share=20), None, WELL, NOW + 20 * SECOND)
    assert (missed.action, canary.weight(SPEC, missed.rollout)) == ("hold", 20)


def test_without_guardrails_nothing_keeps_it_from_growing() -> None:
    free = SPEC.model_copy(update={"guardrails": ALONE.model_copy(update={"errors": None})})
    seen, shares = drive(free, BEGUN)
    assert seen.action == "promote"
    assert shares[:7] == [1, 2, 4, 8, 16, 32, 50]


def test_what_does_not_convince_within_the_timeout_is_rolled_back() -> None:
    seen, _ = drive(SPEC.model_copy(update={"step_timeout": timedelta(seconds=20)}), BEGUN)
    assert seen.action == "rollback"
    assert seen.reason.startswith("its course (now ")
    assert "did not convince within 20s" in seen.reason


def test_an_edit_of_the_steps_is_followed() -> None:
    assert canary.weight(SPEC, replace(BEGUN, share=80)) == 50
    assert canary.weight(SPEC, replace(BEGUN, share=0)) == 1
    assert canary.weight(SPEC, replace(BEGUN, step=-1)) == 0


def test_blue_green_has_no_pace() -> None:
    assert canary.weight(SPEC.model_copy(update={"steps": BLUE_GREEN}), BEGUN) == 0


def test_labels_count_from_their_delay_after_the_latest_change_of_the_share() -> None:
    of = loop_cases.SPEC
    heard = of.spec.rollout.model_copy(update={"guardrails": Guardrails(quality=Wrong())})
    labels = of.spec.labels.model_copy(update={"delay": 30 * SECOND})
    of = of.model_copy(update={"spec": of.spec.model_copy(update={"rollout": heard, "labels": labels})})
    for since, listens in ((None, True), (NOW + 50 * SECOND, False)):
        begun = replace(BEGUN, looked_until=NOW + 60 * SECOND, share_since=since)
        asked = loop.question(of, Status("flights", champion=1, rollout=begun), NOW + 65 * SECOND)
        assert isinstance(asked, CountsQuestion)
        assert asked.labels == listens


def test_it_is_told_where_a_rollout_stands_by_share_or_by_step() -> None:
    assert (SPEC.place(0, 0), SPEC.place(0, 19)) == ("at 1 % of at most 50 %", "at 19 % of at most 50 %")
    assert RolloutSpec().place(1, 0) == "step 2 of 3"
    assert SPEC.model_copy(update={"steps": BLUE_GREEN}).place(0, 0) == "step 1 of 2"


def test_of_a_distribution_the_bound_is_the_largest_at_any_of_its_cuts() -> None:
    parts = tuple(Evidence(900, 0, 100, bad, sums=(bad * 0.9, 90.0, 81.0, 9.0)) for bad in (0, 20))
    assert hidden.bound(Evidence(parts=parts), 0.05) == hidden.bound(parts[1], 0.025)
    assert hidden.bound(Evidence(), 0.05) == 1


def test_a_canary_that_is_better_by_far_is_said_to_be() -> None:
    good, bad = Arm(500, 10), Arm(500, 250)
    seen = canary.Look(replace(BEGUN, share=50), "hold", (), "")
    while seen.action == "hold":
        start = seen.rollout.looked_until
        seen = canary.look(SPEC, seen.rollout, Block(start, start + 2 * SECOND, bad, good), WELL, start + 2 * SECOND)
    assert seen.action == "promote"
    assert "at least 44" in seen.reason
    assert seen.reason.endswith("percentage points better (95 %)")
