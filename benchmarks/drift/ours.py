"""Serinus on a window: the drift job's own decision, over rows counted into the profile's bins as a predictor does.

    python -m benchmarks.drift.ours [REFERENCE.npy WINDOW.npy COLUMNS.json | COUNTS.json]

Without arguments it answers streams (`benchmarks/elsewhere/drift_wire.py`); with three it looks once at raw rows, with
one at counters alone, which is all that the job ever reads.
"""

from __future__ import annotations

import math
import sys
from collections import deque
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from pathlib import Path

import numpy as np

from benchmarks.elsewhere.drift_wire import Look, Rows, Said, Table, main
from serinus import wire
from serinus.decide import drift
from serinus.decide.distributions import SCORE
from serinus.detectors.chi_squared import p_values
from serinus.facts import Bins, Profile, Window
from serinus.spec import DriftSpec
from serinus.stats import bins

DAY = timedelta(days=1)
SPEC = DriftSpec(every=DAY, window=DAY, detector="scipy")
"""The defaults, but for a look a day at that day, so that a look is a window as it is for the others."""
ANY_SIZE = SPEC.model_copy(update={"psi": 1e-9, "shift": 1e-9, "missing": 1e-9})
"""The same with no change too small: what its tests alone tell."""
APART = (360, 270, 180, 150, 120, 100, 90, 80, 70, 60, 50, 40, 30, 20)
"""Days between two false alarms that the budget allows, by which the tests alone are made as strict as others."""
PARTS, BEFORE = 24, 7  # parts of a window, windows before it, that the drift job counts as well
Counted = Mapping[str, Mapping[str, int]]


@dataclass(frozen=True)
class Counters:
    """A window's rows by bin of each distribution, those of its parts, and those of the windows before it."""

    profile: Profile
    whole: Counted
    parts: tuple[Counted, ...]
    before: tuple[Counted, ...]


def fit(reference: Table, rows: int | None) -> Look:
    """The profile of the reference's rows; a look remembers the windows before it."""
    profile = profiled(reference)
    before: deque[Counted] = deque(maxlen=BEFORE)

    def look(window: Rows) -> Said:
        parts = [counted(profile, part) for part in np.array_split(window, PARTS if rows else 1)]
        whole = together(profile, parts)
        strict = 0.0 if rows is None else strictness(profile, whole, parts, before)
        # Where the tests alone find nothing, the defaults, which are stricter in everything, do not either.
        shipped = (rows is None or strict > 0) and found(SPEC, profile, whole, parts, before)
        before.append(whole)
        return Said((strict,), shipped)

    return look


def strictness(profile: Profile, whole: Counted, parts: Sequence[Counted], before: Sequence[Counted]) -> float:
    """The days apart of the strictest budget of APART by which the tests alone find drift; 0 if none does."""
    low, high = 0, len(APART)  # budgets from `high` on find it
    while low < high:
        middle = (low + high) // 2 if high < len(APART) else len(APART) - 1  # the most lenient first: mostly it is none
        spec = ANY_SIZE.model_copy(update={"false_alarms": f"1 per {APART[middle]}d"})
        if found(spec, profile, whole, parts, before):
            high = middle
        else:
            low = middle + 1
    return float(APART[high]) if high < len(APART) else 0.0


def found(
    spec: DriftSpec, profile: Profile, whole: Counted, parts: Sequence[Counted], before: Sequence[Counted]
) -> bool:
    """Whether the decision calls the window a violation."""
    end = datetime(2026, 1, 2, tzinfo=UTC)
    finding = drift.compare(
        spec, 1, profile, whole, whole[SCORE],
        p_values=p_values, window=Window(end - DAY, end), parts=parts, before=tuple(before),
    )  # fmt: skip
    if finding.verdict.outcome not in ("pass", "fail"):
        raise ValueError(f"expected a window that is decided, got: {finding.verdict.reason}")
    return finding.verdict.outcome == "fail"


def profiled(reference: Table) -> Profile:
    """The profile that training would make of these rows; the last column is the score."""
    made = []
    for column, (name, kind) in enumerate(zip(reference.names, reference.kinds, strict=True)):
        values = reference.rows[:, column]
        made.append(bins.numeric(name, values) if kind == "numeric" else bins.categorical(name, _words(values)))
    return Profile(len(reference.rows), tuple(made[:-1]), made[-1])


def counted(profile: Profile, rows: Rows) -> Counted:
    """Rows by bin of each distribution."""
    whole = {}
    for column, known in enumerate((*profile.features, profile.score)):
        values = rows[:, column]
        tallied = bins.tally(known, values if known.kind == "numeric" else _words(values))
        whole[known.name] = dict(zip(known.labels(), tallied.counts, strict=True))
    return whole


def together(profile: Profile, parts: Sequence[Counted]) -> Counted:
    """The counts of all parts."""
    known = (*profile.features, profile.score)
    return {one.name: {label: sum(part[one.name][label] for part in parts) for label in one.labels()} for one in known}


def counters(profile: Profile, rows: int, seed: int) -> Counters:
    """What the job would read of clean windows of so many rows: drawn from the profile's own shares."""
    rng = np.random.default_rng([seed, rows])
    known = (*profile.features, profile.score)

    def drawn(number: int) -> Counted:
        return {
            one.name: dict(zip(one.labels(), rng.multinomial(number, _shares(one)).tolist(), strict=True))
            for one in known
        }

    sizes = [rows // PARTS + (part < rows % PARTS) for part in range(PARTS)]
    parts = tuple(drawn(size) for size in sizes)
    return Counters(profile, together(profile, parts), parts, tuple(drawn(rows) for _ in range(BEFORE)))


def _shares(one: Bins) -> Rows:
    counts = np.asarray(one.counts, dtype=np.float64)
    return np.asarray(counts / counts.sum())


def _words(values: Rows) -> list[str | None]:
    return [None if math.isnan(value) else f"c{value:.0f}" for value in values.tolist()]


if __name__ == "__main__":
    if len(sys.argv) == 2:
        known = wire.load(Counters, Path(sys.argv[1]).read_bytes())
        drifted = found(SPEC, known.profile, known.whole, known.parts, known.before)
        sys.stdout.write(f'{{"drift": {str(drifted).lower()}}}\n')
    else:
        main(fit, sys.argv[1:])
