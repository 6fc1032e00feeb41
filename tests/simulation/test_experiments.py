"""A/B tests in simulated worlds: equal versions are seldom told apart, different ones are, however often one looks."""

from __future__ import annotations

import pytest

from serinus.decide.canary import Action
from tests.simulation.experiments import WORLDS, play

BY_NAME = {world.name: world for world in WORLDS}


@pytest.mark.parametrize("name", ["equal, 10 %", "equal, 1 %"])
def test_equal_versions_are_told_apart_as_seldom_as_promised(name: str) -> None:
    found = [play(BY_NAME[name], seed).action for seed in range(40)]
    assert len(found) - found.count("hold") <= 2  # 5 % of 40


@pytest.mark.parametrize(("name", "action"), [("10 → 12 %", "promote"), ("10 → 8 %", "rollback")])
def test_a_fifth_more_or_fewer_orders_are_found_within_the_horizon(name: str, action: Action) -> None:
    ends = [play(BY_NAME[name], seed) for seed in range(20)]
    assert [end.action for end in ends].count(action) == 20
    assert sorted(end.hours for end in ends)[10] < 5 * 24


def test_users_who_are_counted_often_and_always_alike_break_the_promise_as_the_docs_say() -> None:
    ends = [play(BY_NAME["equal, each user counted 10 times, all alike"], seed).action for seed in range(20)]
    assert len(ends) - ends.count("hold") > 2
