"""How differently groups were treated in production, as `serinus quality` shows it."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence

from rich.text import Text

from serinus.decide.fairness import gaps
from serinus.facts import Tally
from serinus.spec import ModelLoop
from serinus.stats.fairness import deciding


def lines(spec: ModelLoop, tallies: Sequence[Tally], positive: Mapping[int, str | None]) -> Iterator[Text]:
    """A line for each version and column: the gap over all of the windows, beside what is allowed.

    positive: version -> the class that its scores are the probability of; versions without one are left out.
    """
    fairness = spec.spec.validation.fairness
    if fairness is None:
        return
    for version, said in sorted(positive.items()):
        for gap in gaps(spec, version, tallies, said):
            what = f"version {version}: {gap.metric} by {gap.column}"
            if deciding(gap, fairness.min_rows) < 2:
                yield Text.assemble(what, (f"  fewer than two groups of {fairness.min_rows} rows", "dim"))
                continue
            colour = "red" if gap.low > fairness.max_gap else ""
            interval = f" ({gap.low:.3f} to {gap.high:.3f}); {fairness.max_gap:g} is allowed"
            yield Text.assemble(f"{what}  ", (f"gap {gap.gap:.3f}", colour), (interval, "dim"))
