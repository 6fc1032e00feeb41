"""How clumped outcomes are: 1 where requests fail by themselves, about the clumps' size where they fail together."""

from __future__ import annotations

import numpy as np
import pytest

from serinus.stats import dispersion
from serinus.stats.sequential import Counts, Rates, baseline


def measured(blocks: list[tuple[int, int, int, int]]) -> float:
    """The dispersion after blocks of (stable's trials, its bad ones, the canary's trials, its bad ones)."""
    memory: tuple[float, ...] = ()
    sums = np.zeros(4, dtype=int)
    for number, each in enumerate(blocks):
        sums += each
        rates = Rates(baseline(int(sums[0]), int(sums[1])), baseline(int(sums[2]), int(sums[3])))
        memory = dispersion.grown(memory, number, Counts(*each[:2]), Counts(*each[2:]), rates)
    return dispersion.dispersion(memory)


def independent(rng: np.random.Generator, stable: float, canary: float, blocks: int) -> list[tuple[int, int, int, int]]:
    found = []
    for _ in range(blocks):
        n, m = int(rng.poisson(80)) + 1, int(rng.poisson(20)) + 1
        found.append((n, int(rng.binomial(n, stable)), m, int(rng.binomial(m, canary))))
    return found


def test_nothing_seen_is_no_clump() -> None:
    assert dispersion.dispersion(()) == 1
    assert measured([(80, 0, 20, 0)] * 5) == 1


@pytest.mark.parametrize(("stable", "canary"), [(0.008, 0.008), (0.005, 0.05), (0.1, 0.1), (0.002, 0.5)])
def test_requests_that_fail_by_themselves_are_no_clumps_in_whichever_arm_they_fail_more(
    stable: float, canary: float
) -> None:
    for seed in range(20):
        assert measured(independent(np.random.default_rng(seed), stable, canary, 150)) == 1


def test_a_canary_that_fails_always_is_hardly_a_clump_however_its_traffic_varies() -> None:
    for seed in range(20):
        assert measured(independent(np.random.default_rng(seed), 0.002, 1.0, 150)) < 3


def test_failures_that_both_arms_share_are_no_clumps() -> None:
    rng = np.random.default_rng(3)
    blocks = [b for _ in range(30) for b in (*independent(rng, 0.5, 0.5, 2), *independent(rng, 0.005, 0.005, 10))]
    assert measured(blocks) == 1


def test_clients_that_fail_many_times_and_stay_with_their_arm_are_clumps() -> None:
    rng = np.random.default_rng(1)
    blocks = []
    for n, k, m, j in independent(rng, 0.001, 0.001, 400):
        hit = rng.random()
        clump = 40 if hit < 0.08 else 0
        canary = hit < 0.02
        blocks.append((n + clump * (not canary), k + clump * (not canary), m + clump * canary, j + clump * canary))
    assert 10 < measured(blocks) < 50


def test_a_clump_that_arrives_over_some_blocks_is_seen_in_runs_of_four() -> None:
    rng = np.random.default_rng(1)
    blocks = []
    for number, (n, k, m, j) in enumerate(independent(rng, 0.001, 0.001, 400)):
        more = 10 if number % 40 < 4 else 0
        canary = number // 40 % 5 == 0
        blocks.append((n + more * (not canary), k + more * (not canary), m + more * canary, j + more * canary))
    assert measured(blocks) > 10
