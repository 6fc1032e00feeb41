"""The watch after a promotion: against what the champion before did, and against what it does with its share."""

from __future__ import annotations

from dataclasses import replace
from datetime import UTC, datetime, timedelta
from functools import partial

import pytest

from serinus.decide import watch, wealth
from serinus.facts import Arm, Block, Evidence, Rollout, VariantState, Watch
from serinus.spec import Errors, Guardrails, Latency, RolloutSpec, Scores, Wrong
from serinus.stats import sequential

NOW = datetime(2026, 1, 1, 12, tzinfo=UTC)
SECOND = timedelta(seconds=1)
rails = partial(Guardrails, slowdown=None, scores=None)
SPEC = RolloutSpec(guardrails=rails(), holdback=0)
HELD = RolloutSpec(guardrails=rails(), holdback=10)
ERRORS = RolloutSpec(guardrails=rails(errors=Errors(), rejections=None, latency=None), holdback=0)
HEARD = RolloutSpec(guardrails=rails(quality=Wrong(margin=0.05)), holdback=0)
GOOD = Arm(1000, 2, 0, timed=1000, slow=2)
RIGHT = replace(GOOD, labelled=1000, wrong=100)
NOBODY = Arm()
OLD = Arm(5000, 10, 5, 5000, 20)
READY, AWAY = VariantState(1, ready=True, weight=10), VariantState(1, ready=False, weight=10)


def block(stable: Arm = GOOD, tried: Arm = GOOD, start: datetime = NOW, seconds: int = 10) -> Block:
    return Block(start, start + seconds * SECOND, stable, tried)


def watching(stable: Arm = OLD, spec: RolloutSpec = SPEC, tried: Arm = GOOD) -> Watch:
    """The watch over a version that was promoted after one block."""
    seen = wealth.absorb(spec, {}, block(stable, tried))
    return watch.start(spec, Rollout(2, 1, NOW, 2, NOW, NOW, 1000, seen), NOW, restarts=1)


# --- against the past ------------------------------------------------------------------------------------------------


def watches(
    start: Watch, tried: Arm, spec: RolloutSpec = SPEC, times: int = 40, old: Arm = NOBODY
) -> tuple[Watch, str, str, str]:
    """The same counts at every look, until the one before is to come back."""
    for _ in range(times):
        start, verdict = watch.look(spec, start, block(old, tried, start.looked_until))
        if verdict.outcome == "fail":
            break
    return start, verdict.gate, verdict.outcome, verdict.reason


def test_a_watch_starts_from_how_the_old_champion_did() -> None:
    clumps = {name: e.clumps for name, e in wealth.absorb(SPEC, {}, block(OLD, GOOD)).items()}
    assert watching().evidence == {
        "errors": Evidence(5000, 10, terms=(0.0, 0.01), clumps=clumps["errors"]),
        "rejections": Evidence(5005, 5, terms=(0.0, 0.02), clumps=clumps["rejections"]),
        "latency": Evidence(5000, 20, terms=(0.25, 0.02), clumps=clumps["latency"]),
    }


def test_a_new_champion_as_good_as_the_old_one_is_watched_without_a_finding() -> None:
    after, gate, outcome, reason = watches(watching(), Arm(500, 1, 1, 500, 2))
    assert (gate, outcome) == ("watch", "undecided")
    assert reason.startswith(
        "errors: new champion 40 of 20,000 (0.2 %) against the one before 10 of 5,000 (0.2 %), "
        "evidence of harm none (1:400 brings the one before back); rejections: "
    )
    assert after.looked_until == NOW + 400 * SECOND
    # half of the 1 % is for errors, and half of that is the bound's
    assert after.evidence["errors"].terms == (0.0, 0.01, sequential.upper_bound(5000, 10, 0.01 / 4) + 0.01)


def test_a_new_champion_that_gets_worse_brings_the_old_one_back() -> None:
    fine, *_ = watches(watching(), Arm(500, 1, 0, 500, 2))
    _, gate, outcome, reason = watches(fine, Arm(500, 1, 0, 500, 60))
    assert (gate, outcome) == ("latency", "fail")
    assert "against the one before 20 of 5,000 (0.4 %), worse by more than 2 percentage points with evidence" in reason
    assert reason.endswith("(needed 1:800)")


def test_a_watch_that_cannot_look_says_error_and_changes_nothing() -> None:
    start = watching()
    for news in (None, block(start=NOW - SECOND)):
        after, verdict = watch.look(SPEC, start, news)
        assert after == start
        assert (verdict.outcome, verdict.reason) == ("error", "could not look: no counts since 12:00:00")


def test_a_guardrail_unknown_from_the_rollout_or_edited_since_cannot_speak_in_the_watch() -> None:
    edited = RolloutSpec(guardrails=rails(rejections=None, latency=Latency(threshold=SECOND)))
    _, gate, outcome, reason = watches(watching(spec=ERRORS), Arm(500, 1, 0, 500, 500), SPEC)
    assert (gate, outcome) == ("watch", "undecided")
    assert "latency: nothing is known of the champion before" in reason
    _, gate, outcome, reason = watches(watching(), Arm(500, 1, 0, 500, 500), edited)
    assert (gate, outcome) == ("watch", "undecided")


def test_an_edited_margin_starts_the_watch_anew_against_its_own_bound() -> None:
    bad, *_ = watches(watching(), Arm(500, 8), times=3)
    wide = RolloutSpec(guardrails=rails(errors=Errors(margin=0.1)))
    after, _ = watch.look(wide, bad, block(NOBODY, Arm(500, 8), bad.looked_until))
    assert (after.evidence["errors"].canary_trials, after.evidence["errors"].stable_trials) == (500, 5000)


def test_nothing_is_worse_than_a_champion_that_always_failed() -> None:
    _, _, outcome, _ = watches(watching(Arm(10, 10, 0, 10, 10)), Arm(500, 500, 0, 500, 500))
    assert outcome == "undecided"


def test_a_watch_without_guardrails_has_nothing_to_say() -> None:
    none = RolloutSpec(guardrails=rails(errors=None, rejections=None, latency=None))
    _, verdict = watch.look(none, watching(), block(NOBODY, GOOD))
    assert (verdict.outcome, verdict.reason) == ("undecided", "no guardrail is on")


def test_after_the_promotion_labels_are_held_to_how_often_the_one_before_was_wrong() -> None:
    seen = watching(RIGHT, HEARD, RIGHT)
    for _ in range(5):
        news = block(NOBODY, replace(GOOD, labelled=200, wrong=60), seen.looked_until)
        seen, verdict = watch.look(HEARD, seen, news)
    assert (verdict.gate, verdict.outcome) == ("quality", "fail")
    _, verdict = watch.look(HEARD, watching(GOOD, HEARD), block(NOBODY, replace(GOOD, labelled=200, wrong=60)))
    assert verdict.outcome == "undecided"
    assert "quality: nothing is known of the champion before" in verdict.reason


# --- against the one before, which keeps a share ----------------------------------------------------------------------

BAD = Arm(450, 30, 0, 450, 1)  # 7 % errors
FINE = Arm(450, 2, 0, 450, 1)
BESIDE, BESIDE_BAD = Arm(50, 0, 0, 50, 0), Arm(50, 4, 0, 50, 0)


def test_some_of_the_traffic_stays_with_the_one_before() -> None:
    seen = watching(spec=HELD)
    assert (seen.held, seen.restarts, seen.until) == (10, 1, NOW + 600 * SECOND)
    assert seen.beside["errors"].terms == (0.0, 0.01)
    assert (seen.beside["errors"].stable_trials, seen.beside["errors"].log_harm) == (0, ())
    assert (seen.beside["errors"].blocks, seen.beside["errors"].clumps) == (1, seen.evidence["errors"].clumps)


@pytest.mark.parametrize(
    "spec",
    [
        HELD.model_copy(update={"holdback": 0}),
        HELD.model_copy(update={"watch": timedelta(0)}),
        HELD.model_copy(update={"strategy": "blueGreen"}),
        HELD.model_copy(update={"steps": (0, 100)}),
    ],
)
def test_nothing_stays_with_the_one_before_where_there_is_nothing_to_compare(spec: RolloutSpec) -> None:
    assert watching(spec=spec).held == 0
    assert watching(spec=spec).beside == {}  # what is kept with the version is then the evidence against the past


def test_a_new_champion_that_is_worse_than_the_one_before_is_now_and_was_then_gives_way() -> None:
    after, gate, outcome, reason = watches(watching(spec=HELD), BAD, HELD, old=BESIDE)
    assert (gate, outcome) == ("errors", "fail")
    assert "against the one before at the same time 0 of" in reason
    assert reason.endswith("(needed 1:200)")
    assert after.looked_until <= NOW + 100 * SECOND


def test_a_world_that_gets_worse_for_everybody_is_not_the_new_champions_fault() -> None:
    _, gate, outcome, reason = watches(watching(spec=HELD), BAD, HELD, old=BESIDE_BAD)
    assert (gate, outcome) == ("watch", "undecided")
    assert "errors: new champion 1,200 of 18,000 (6.7 %) against the one before at the same time 160 of 2,000" in reason
    assert watches(watching(), BAD)[2] == "fail"  # what the past alone would say


def test_a_new_champion_that_is_no_worse_than_the_one_before_was_stays_whatever_that_one_does_now() -> None:
    # A tenth of the load may be answered better than nine tenths of it.
    late = Arm(5000, 350, 5, 5000, 20)
    _, gate, outcome, reason = watches(watching(late, HELD), BAD, HELD, old=BESIDE)
    assert (gate, outcome) == ("watch", "undecided")
    assert (
        "errors: new champion 1,200 of 18,000 (6.7 %) against the one before 350 of 5,000 (7.0 %), evidence" in reason
    )


def test_a_watch_without_counts_of_the_one_before_brings_nothing_back() -> None:
    _, _, outcome, reason = watches(watching(spec=HELD), BAD, HELD)
    assert outcome == "undecided"
    assert "against the one before at the same time 0 of 0, evidence of harm none (1:200 brings that back)" in reason


def test_where_scores_were_cut_in_the_rollout_they_are_cut_in_the_watch() -> None:
    spec = RolloutSpec(guardrails=rails(errors=None, rejections=None, latency=None, scores=Scores()))
    even = Arm(1000, scores=tuple((i / 10, 100) for i in range(1, 11)))
    few = Arm(50, scores=tuple((i / 10, 5) for i in range(1, 11)))
    same = Arm(450, scores=tuple((i / 10, 450 * (i == 9)) for i in range(1, 11)))
    seen = wealth.absorb(spec, wealth.absorb(spec, {}, block(even, even)), block(even, even, NOW + 10 * SECOND))
    begun = watch.start(spec, Rollout(2, 1, NOW, 2, NOW, NOW, 1000, seen), NOW, restarts=0)
    assert begun.beside["scores"].cuts == seen["scores"].cuts
    assert watches(begun, same, spec, old=few)[1:3] == ("scores", "fail")
    assert watches(begun, Arm(450, scores=tuple((i / 10, 45) for i in range(1, 11))), spec, old=few)[2] == "undecided"


# --- who gets which share ---------------------------------------------------------------------------------------------


def test_a_new_champion_under_suspicion_gives_half_back_until_nothing_speaks_against_it() -> None:
    calm = watching(spec=HELD)
    assert watch.shared(HELD, calm, READY, NOW) == calm
    doubted = calm
    while not watch.shared(HELD, doubted, READY, NOW).held > 10:
        doubted, verdict = watch.look(HELD, doubted, block(BESIDE, BAD, doubted.looked_until))
        assert verdict.outcome == "undecided"
    half = watch.shared(HELD, doubted, READY, doubted.looked_until)
    assert (half.held, half.share_since) == (50, doubted.looked_until)
    assert watch.shared(HELD, half, READY, NOW) == half  # it is as long as it has not receded
    cleared, *_ = watches(half, FINE, HELD, old=replace(FINE, errors=6))
    later = watch.shared(HELD, cleared, READY, cleared.looked_until)
    assert (later.held, later.share_since) == (10, cleared.looked_until)


@pytest.mark.parametrize("state", [None, AWAY])
def test_a_champion_before_that_is_not_ready_gets_nothing_until_it_is(state: VariantState | None) -> None:
    seen = watching(spec=HELD)
    alone = watch.shared(HELD, seen, state, NOW + SECOND)
    assert (alone.held, watch.shared_since(HELD, alone)) == (0, NOW + SECOND)
    assert watch.shared(HELD, alone, READY, NOW + 2 * SECOND).held == 10


def test_a_version_under_suspicion_is_watched_for_as_long_again_at_most() -> None:
    calm = watching(spec=HELD)
    assert watch.over(HELD, calm) == calm.until
    assert watch.over(HELD, replace(calm, held=50)) == calm.until + 600 * SECOND


def test_the_shares_are_those_of_the_promotion_until_they_are_changed() -> None:
    assert watch.shared_since(HELD, watching(spec=HELD)) == NOW
