"""How differently production treats groups, by the loop's `validation.fairness` and counts by their columns."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace

from serinus.facts import FairnessGap, Tally
from serinus.spec import ModelLoop
from serinus.stats.fairness import deciding, of_tallies


def columns(spec: ModelLoop) -> tuple[str, ...]:
    """The columns whose values are groups and features, so that the collector knows them."""
    fairness, features = spec.spec.validation.fairness, spec.spec.data.features
    known = {*features.numeric, *features.categorical}
    return tuple(group for group in fairness.groups if group in known) if fairness is not None else ()


def gaps(spec: ModelLoop, version: int, tallies: Sequence[Tally], positive: str | None) -> tuple[FairnessGap, ...]:
    """The gap by each of `columns` over all windows of `tallies` together; those of other versions are left out.

    positive: the class that the version's scores are the probability of. None where none is: then there are no gaps.
    """
    fairness, asked = spec.spec.validation.fairness, columns(spec)
    if fairness is None or positive is None:
        return ()
    own = [tally for tally in tallies if tally.version == version]
    rows, many = fairness.min_rows, len(asked)
    return tuple(of_tallies(each, fairness.metric, positive, own, min_rows=rows, columns=many) for each in asked)


def telling(spec: ModelLoop, version: int, tallies: Sequence[Tally], positive: str | None) -> tuple[FairnessGap, ...]:
    """Those of `gaps` that two groups at least decide, without the groups, of which a column may have many."""
    fairness = spec.spec.validation.fairness
    rows = fairness.min_rows if fairness is not None else 0
    found = gaps(spec, version, tallies, positive)
    return tuple(replace(gap, groups={}, rows={}) for gap in found if deciding(gap, rows) > 1)
