"""How differently groups were treated in production, as `serinus quality` shows it."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence

from rich.text import Text

from serinus.facts import Tally
from serinus.spec import ModelLoop
from serinus.stats.fairness import deciding, of_tallies


def columns(spec: ModelLoop) -> tuple[str, ...]:
    """The columns whose values are groups and features, so that the collector knows them."""
    fairness, features = spec.spec.validation.fairness, spec.spec.data.features
    known = {*features.numeric, *features.categorical}
    return tuple(group for group in fairness.groups if group in known) if fairness is not None else ()


def lines(spec: ModelLoop, tallies: Sequence[Tally], positive: Mapping[int, str | None]) -> Iterator[Text]:
    """A line for each version and column: the gap over all of the windows, beside what is allowed.

    positive: version -> the class that its scores are the probability of; versions without one are left out.
    """
    fairness, groups = spec.spec.validation.fairness, columns(spec)
    if fairness is None:
        return
    for version, said in sorted(positive.items()):
        own = [tally for tally in tallies if tally.version == version]
        for column in groups if said is not None else ():
            gap = of_tallies(column, fairness.metric, said or "", own, min_rows=fairness.min_rows, columns=len(groups))
            what = f"version {version}: {fairness.metric} by {column}"
            if deciding(gap, fairness.min_rows) < 2:
                yield Text.assemble(what, (f"  fewer than two groups of {fairness.min_rows} rows", "dim"))
                continue
            colour = "red" if gap.low > fairness.max_gap else ""
            interval = f" ({gap.low:.3f} to {gap.high:.3f}); {fairness.max_gap:g} is allowed"
            yield Text.assemble(f"{what}  ", (f"gap {gap.gap:.3f}", colour), (interval, "dim"))
