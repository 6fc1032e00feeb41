"""That a world that changes for everybody brings no promoted version down, and that its own fault does.

`python -m benchmarks.judges.watch` counts all worlds; here are those in which the past alone misleads.
"""

from __future__ import annotations

from dataclasses import replace

import pytest

from tests.simulation.worlds.after import HARMS, kept
from tests.simulation.worlds.catalogue import IDENTICAL, Case

WORLDS = {case.name: case for case in (*IDENTICAL, *HARMS)}


def backs(case: Case, seeds: range) -> list[int | None]:
    """When the champion before came back, of those that were promoted."""
    return [found.back for seed in seeds if (found := kept(case, seed)) is not None]


@pytest.mark.parametrize("world", ["heavy tails, slow spells", "wandering errors", "everything at once"])
def test_a_good_version_is_kept_in_a_world_that_changes_for_everybody(world: str) -> None:
    found = backs(WORLDS[world], range(10))
    assert len(found) == 10
    assert found == [None] * 10


def test_without_anything_held_back_slow_spells_bring_a_good_version_down() -> None:
    case = WORLDS["heavy tails, slow spells"]
    alone = replace(case, spec=case.spec.model_copy(update={"holdback": 0}))
    assert sum(back is not None for back in backs(alone, range(10))) >= 5  # why something is


@pytest.mark.parametrize(
    ("harm", "seconds"),
    [("every answer fails, 50/s", 60), ("errors 0.5 to 5 %, 50/s", 200), ("constant answers, 50/s", 400)],
)
def test_a_version_that_becomes_worse_gives_way(harm: str, seconds: int) -> None:
    found = backs(WORLDS[harm], range(10))
    assert len(found) == 10
    assert all(back is not None and 0 < back <= seconds for back in found)


def test_the_same_seed_has_the_same_fate() -> None:
    case = WORLDS["errors 0.5 to 5 %, 50/s"]
    assert kept(case, 3) == kept(case, 3)
    assert kept(case, 3) != kept(case, 4)
