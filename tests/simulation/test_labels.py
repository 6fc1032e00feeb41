"""What the judge makes of labels that come late, counted over seeded rollouts. `pytest -s` prints the figures."""

from __future__ import annotations

from dataclasses import replace

import pytest

from serinus.spec import Guardrails, RolloutSpec, Wrong
from tests.simulation.traffic import Truth, World, report, runs

SPEC = RolloutSpec(steps=(20, 50), guardrails=Guardrails(slowdown=None, scores=None, quality=Wrong(margin=0.05)))
ALONE = RolloutSpec(
    steps=(20, 50),
    guardrails=Guardrails(
        slowdown=None, scores=None, errors=None, rejections=None, latency=None, quality=Wrong(margin=0.05)
    ),
)
EVEN = World(every=5, delay=10, truths=(Truth(0.5, 4, 0.2, 0.2), Truth(0.5, 10, 0.2, 0.2)))
CLICKS = World(every=5, delay=30, truths=(Truth(0.2, 0, 0.6, 0.6), Truth(0.8, 30, 0.05, 0.05)))
"""A fifth of the answers is clicked on, which is known at once; that one is not, after half a minute. Most clicks were
not foreseen."""


@pytest.mark.parametrize(("world", "what"), [(EVEN, "labels within 10 s"), (CLICKS, "clicks at once, others 30 s")])
def test_of_60_identical_canaries_with_labels_at_most_one_is_rolled_back(world: World, what: str) -> None:
    promoted, rolled = runs(SPEC, world, 60)
    report(f"identical canary, {what}", promoted, rolled)
    assert len(rolled) <= 1
    assert len(promoted) >= 59


def test_a_canary_wrong_ten_points_more_often_is_rolled_back_for_it() -> None:
    worse = replace(EVEN, truths=tuple(replace(t, canary=0.3) for t in EVEN.truths))
    promoted, rolled = runs(SPEC, worse, 30)
    report("30 % wrong against 20 %", promoted, rolled)
    assert not promoted
    assert all(e.reason.startswith("quality: canary") for e in rolled)


def test_a_canary_wrong_more_often_by_the_margin_is_not_promoted_more_often_than_promised() -> None:
    worse = replace(EVEN, truths=tuple(replace(t, canary=0.25) for t in EVEN.truths))
    promoted, rolled = runs(ALONE.model_copy(update={"steps": (50,)}), worse, 20)
    report("25 % wrong against 20 %: just the margin", promoted, rolled)
    assert len(promoted) <= 2


def test_without_any_label_the_others_decide() -> None:
    promoted, rolled = runs(SPEC, World(every=5, delay=10), 20)
    report("identical canary, no labels", promoted, rolled)
    assert not rolled
    assert all("quality: the canary has had no labels" in e.reason for e in promoted)


def test_labels_counted_from_the_first_on_would_throw_back_good_canaries() -> None:
    """Why they wait: at first the canary's labels are all of clicks, which are hard, and stable's are of both kinds."""
    promoted, rolled = runs(ALONE, replace(CLICKS, delay=0), 10)
    report("identical canary, clicks at once, counted from the first on", promoted, rolled)
    assert len(rolled) == 10
