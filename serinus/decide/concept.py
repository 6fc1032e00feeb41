"""Whether a version lost quality because its inputs are others, or because the same inputs have other truths by now.

The rise of the mean loss from the holdout to production is split in two (Cai, Namkoong & Yadlowsky 2023, "Diagnosing
model performance under distribution shift"; for two means Oaxaca 1973 and Blinder 1973): what comes of other shares of
the regions of inputs, each at the loss that it had on the holdout, and what comes of losses that changed within
regions, at production's shares. Regions are the leaves of a small tree that separates where the model errs from where
it does not, so that rows of one are about equally hard. What moves inside of a region counts as changed truth.
"""

from __future__ import annotations

import math
from collections import Counter, defaultdict
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, date

from serinus.facts import Change, Changed, Condition, Record, Reference, Region, Value

SCORE = "score"
SURE = 2.0  # standard errors from which a part counts as there
PART = 0.25  # share of the rise from which a part is worth naming beside the other
FEWEST = 30  # records that can say anything
PLACED = 0.5  # share of the records that must be in a region


def loss(record: Record, positive: str | None) -> float | None:
    """The squared error: of the value, of the probability of `positive`, or of the confidence in the answer."""
    truth, score = record.truth, record.prediction.score
    if truth is None:
        return None
    if not isinstance(truth, str):
        return (score - truth) ** 2
    return (score - (truth == (record.prediction.answer if positive is None else positive))) ** 2


def region_of(regions: Sequence[Region], record: Record) -> int | None:
    """The region that the record's inputs are in; None where a feature was not kept or has a value of no region."""
    features = {**record.prediction.features, SCORE: record.prediction.score}
    for place, region in enumerate(regions):
        if all(_holds(c, features) for c in region.conditions):
            return place
    return None


def explain(reference: Reference, records: Sequence[Record], positive: str | None = None) -> Change:
    """Where the rise of the loss from the holdout to `records` comes from; those without a truth are left out.

    positive: as `Contract.positive`. Days (UTC) whose records err together are taken for one observation each where
    there are at least three of them, so that one odd day proves no change.
    """
    regions = reference.regions
    labelled = [(r, found) for r in records if (found := loss(r, positive)) is not None]
    rows = [
        _Row(place, found, record.prediction.time.astimezone(UTC).date())
        for record, found in labelled
        if (place := region_of(regions, record)) is not None
    ]
    if not regions or len(labelled) < FEWEST or len(rows) < PLACED * len(labelled):
        return Change("unclear", 0.0, 0.0, 0.0, _too_little(regions, len(rows), len(labelled)))
    usual = [regions[row.region].loss for row in rows]
    before = sum(r.rows * r.loss for r in regions) / sum(r.rows for r in regions)
    concept = sum(row.loss for row in rows) / len(rows) - sum(usual) / len(rows)
    data = sum(usual) / len(rows) - before
    worse, moved = _concept_error(regions, rows, concept), _data_error(regions, rows, before + data)
    return _told(concept, data, worse, moved, before, len(rows))


@dataclass(frozen=True)
class _Row:
    """A labelled record whose region is known."""

    region: int
    loss: float
    day: date


def _holds(condition: Condition, features: Mapping[str, Value]) -> bool:
    if condition.name not in features:
        return False
    value = features[condition.name]
    if value is None or (isinstance(value, float) and math.isnan(value)):
        return condition.missing
    if isinstance(value, str):
        return value in condition.categories
    low = condition.low is None or value > condition.low
    return not condition.categories and low and (condition.high is None or value <= condition.high)


def _shares(regions: Sequence[Region], rows: Sequence[_Row]) -> list[float]:
    counts = Counter(row.region for row in rows)
    return [counts[place] / len(rows) for place in range(len(regions))]


def _noise(region: Region) -> float:
    """The variance of the region's loss on the holdout."""
    return max(region.square - region.loss**2, 0.0) / region.rows


def _concept_error(regions: Sequence[Region], rows: Sequence[_Row], concept: float) -> float:
    """Of the mean of (loss - the region's on the holdout): production's, by rows or by days, and the holdout's."""
    n, days = len(rows), defaultdict[date, float](float)
    within = 0.0
    for row in rows:
        off = row.loss - regions[row.region].loss - concept
        within += off**2
        days[row.day] += off
    together = sum(off**2 for off in days.values()) * len(days) / (len(days) - 1) if len(days) >= 3 else 0.0
    holdout = sum(share**2 * _noise(region) for share, region in zip(_shares(regions, rows), regions, strict=True))
    return math.sqrt(max(within, together) / n**2 + holdout)


def _data_error(regions: Sequence[Region], rows: Sequence[_Row], usual: float) -> float:
    """Of the difference of shares times the losses on the holdout: production's rows, the holdout's, and its losses."""
    total = sum(region.rows for region in regions)
    before = sum(region.rows * region.loss for region in regions) / total
    error = 0.0
    for share, region in zip(_shares(regions, rows), regions, strict=True):
        was = region.rows / total
        error += share * (region.loss - usual) ** 2 / len(rows) + was * (region.loss - before) ** 2 / total
        error += (share - was) ** 2 * _noise(region)
    return math.sqrt(error)


def _told(concept: float, data: float, worse: float, moved: float, before: float, rows: int) -> Change:
    rise = concept + data
    risen = f"the squared error rose from {before:.4f} to {before + rise:.4f} over {rows:,} labelled rows"
    if rise <= SURE * math.hypot(worse, moved):
        return Change("unclear", 0.0, 0.0, 0.0, f"{risen}, which chance explains: nothing to divide")
    there = concept > max(SURE * worse, PART * rise)
    others = data > max(SURE * moved, PART * rise)
    kind: Changed = "both" if there and others else "concept" if there else "data" if others else "unclear"
    share = concept / rise
    error = math.hypot(worse * (1 - share), moved * share) / rise
    reason = (
        f"{risen}; {concept:+.4f} (standard error {worse:.4f}) at the same inputs,"
        f" {data:+.4f} ({moved:.4f}) because the inputs moved"
    )
    return Change(kind, share, 1 - share, error, reason)


def _too_little(regions: Sequence[Region], placed: int, labelled: int) -> str:
    if not regions:
        return "the holdout was too small to say which inputs are hard"
    if labelled < FEWEST:
        return f"{labelled} labelled rows; {FEWEST} are needed to say what changed"
    return (
        f"only {placed:,} of {labelled:,} labelled rows have inputs that the holdout's regions know: were the columns"
        " kept (collect.columns), and not hashed?"
    )
