"""One distribution of a window against that of its reference: four tests, each with how large a change must be."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import Literal, TypeVar

import numpy as np
import numpy.typing as npt

from serinus.facts import MISSING, UNSEEN, Alike, Bins, DriftSign, FeatureDrift
from serinus.spec import DriftSpec
from serinus.stats import clumps, ordered, rises
from serinus.stats.distances import psi

SCORE = "score"
"""The name under which the distribution of the model's scores is one more feature."""
SCALES = (1, 2, 4, 8)
"""So many of the latest windows are also looked at as one."""
HALF = 0.5  # of a threshold: what the latest window must show itself before the ones it is pooled with count
RARE = 5.0  # bins of which fewer rows are expected are tested as one (Cochran 1954)

INDEPENDENT = Alike(effect=1.0, correlation=0.0)

Counts = Mapping[str, int]
"""Rows by bin, the bins as `Bins.labels()` names them; a bin that is not there has none."""
Engine = Callable[[Sequence[Sequence[int]], Sequence[Sequence[int]]], tuple[float, ...]]
"""The p-values of the chi-squared tests, as `serinus.detectors.Engine` describes them."""
Floats = npt.NDArray[np.float64]
Rows = TypeVar("Rows", Floats, npt.NDArray[np.int64])
Test = Literal["shape", "shift", "missing", "unseen"]


@dataclass(frozen=True)
class Distribution:
    """One feature, or the score: of the reference's rows, and of the window's. All counts follow `bins.labels()`."""

    bins: Bins  # its counts are the reference's
    current: tuple[int, ...]
    alien: tuple[str, ...]  # bins that were counted and that the profile does not have
    parts: tuple[tuple[int, ...], ...]  # of the window, oldest first
    before: tuple[tuple[int, ...], ...]  # the windows before it, oldest first
    alike: Mapping[str, Alike] = field(default_factory=dict)  # training's rows, by test
    share: float = 1.0  # of a window, at most 1, that its rows may be as alike as those of a stretch of training are

    @property
    def name(self) -> str:
        """The feature's, or `SCORE`."""
        return self.bins.name

    @property
    def rows(self) -> int:
        """In the window."""
        return sum(self.current)

    def pool(self, windows: int) -> tuple[int, ...]:
        """The counts of the latest so many windows together."""
        older = self.before[len(self.before) - windows + 1 :]
        return tuple(int(sum(column)) for column in zip(self.current, *older, strict=True))


def distribution(
    bins: Bins,
    counts: Counts,
    parts: Iterable[Counts] = (),
    before: Iterable[Counts] = (),
    alike: Mapping[str, Alike] | None = None,
    share: float = 1.0,
) -> Distribution:
    """Counts by the bins' labels as `Distribution` holds them."""
    labels = bins.labels()

    def row(one: Counts) -> tuple[int, ...]:
        return tuple(one.get(label, 0) for label in labels)

    alien = tuple(sorted(label for label, rows in counts.items() if rows and label not in labels))
    return Distribution(bins, row(counts), alien, tuple(map(row, parts)), tuple(map(row, before)), alike or {}, share)


def judge(
    spec: DriftSpec, ready: Sequence[Distribution], bounds: Mapping[int, float], p_values: Engine
) -> tuple[FeatureDrift, ...]:
    """What the tests say of each of `ready`, of which one pool of windows at least has `min_rows` rows.

    bounds: how many windows are looked at as one -> the p-value below which one test of them is significant.
    """
    effects = {one.name: {test: _effects(spec, one, test) for test in kinds(one.bins)} for one in ready}
    cases = [
        _Case(spec, one, windows, np.asarray(one.pool(windows), dtype=np.float64), effects[one.name])
        for one in ready
        for windows in bounds
        if enough(spec, one, windows)
    ]
    p_shapes = _p_shapes(cases, p_values)
    found: dict[str, FeatureDrift] = {}
    for case, p_shape in zip(cases, p_shapes, strict=True):
        name = case.one.name
        latest = found.setdefault(name, FeatureDrift(name, p_shape, case.effect("shape"), False, clumps=case.clumped))
        tests = [(test, p_shape if test == "shape" else case.p_value(test)) for test in kinds(case.one.bins)]
        signs = [
            DriftSign(test, case.effect(test), p, case.windows)
            for test, p in tests
            if p < bounds[case.windows] and case.large(test) and test not in {sign.test for sign in latest.signs}
        ]
        found[name] = replace(latest, drifted=latest.drifted or bool(signs), signs=(*latest.signs, *signs))
    return tuple(found.values())


def enough(spec: DriftSpec, one: Distribution, windows: int) -> bool:
    """Whether so many windows are there, and have rows enough together."""
    return windows <= len(one.before) + 1 and sum(one.pool(windows)) >= spec.min_rows


def known(spec: DriftSpec, one: Distribution) -> bool:
    """Whether the reference has rows enough to hold a window against."""
    return sum(one.bins.counts) >= (1 if spec.reference == "training" else spec.min_rows)


@dataclass(frozen=True)
class _Case:
    """A distribution over some of the latest windows, put to its tests."""

    spec: DriftSpec
    one: Distribution
    windows: int
    counts: Floats
    effects: Mapping[Test, _Effects]

    @property
    def reference(self) -> Floats:
        return np.asarray(self.one.bins.counts, dtype=np.float64)

    @property
    def clumped(self) -> float:
        return max(effects.window for effects in self.effects.values())

    @property
    def table(self) -> tuple[list[int], list[int]]:
        """What the chi-squared test takes: rows for as many as they tell, rare bins as one."""
        before, now = self._rows("shape")
        scale = now.sum() / before.sum()
        rare = before * scale < RARE
        # Still rare together: what chi-squared would make of them is no p-value.
        few = before[rare].sum() * scale < RARE
        ends = [[] if few else [side[rare].sum()] for side in (before, now)]
        gathered = [
            np.append(side[~rare], end).round().astype(int).tolist()
            for side, end in zip((before, now), ends, strict=True)
        ]
        # Of rows that are all alike less than one is left.
        return (gathered[0], gathered[1]) if all(map(any, gathered)) else ([1], [1])

    def effect(self, test: Test) -> float:
        """How large the change is, in the test's own unit."""
        if test == "shape":
            return psi(self.reference.tolist(), self.counts.tolist())
        if test == "shift":
            values = len(self.one.bins.edges) + 1
            return ordered.deviations(float(ordered.superiority(self.reference[:values], self.counts[:values]).chance))
        at = place(self.one.bins, test)
        return float(self.counts[at] / self.counts.sum() - self.reference[at] / self.reference.sum())

    def p_value(self, test: Test) -> float:
        """Of the tests but the chi-squared one."""
        before, now = self._rows(test)
        if test == "shift":
            values = len(self.one.bins.edges) + 1
            return ordered.p_value(float(ordered.superiority(before[:values], now[:values]).z))
        at = place(self.one.bins, test)
        return float(rises.p_value(before[at], before.sum(), now[at], now.sum()))

    def large(self, test: Test) -> bool:
        """Whether the change is large enough; of several windows half of it in the latest, too, if it can tell."""
        bound = {"shape": self.spec.psi, "shift": self.spec.shift}.get(test, self.spec.missing)
        size = self.effect(test)
        if self.windows == 1 or self.one.rows < self.spec.min_rows:
            return _over(test, size, bound)
        latest = replace(self, windows=1, counts=np.asarray(self.one.current, dtype=np.float64)).effect(test)
        return _over(test, size, bound) and _over(test, latest if latest * size > 0 else 0.0, HALF * bound)

    def _rows(self, test: Test) -> tuple[Floats, Floats]:
        """The reference's and the window's, as many as tell."""
        effects = self.effects[test]
        return self.reference / effects.reference, self.counts / effects.window


def _over(test: Test, size: float, bound: float) -> bool:
    return (abs(size) if test == "shift" else size) >= bound


def _p_shapes(cases: Sequence[_Case], p_values: Engine) -> list[float]:
    """Of the chi-squared tests, the slowest ones: of several windows only where the change is large enough to count."""
    asked = [case.windows == 1 or case.large("shape") for case in cases]
    tables = [case.table for case, ask in zip(cases, asked, strict=True) if ask]
    found = iter(p_values([table[0] for table in tables], [table[1] for table in tables]))
    return [next(found) if ask else 1.0 for ask in asked]


@dataclass(frozen=True)
class _Effects:
    """Design effects: as many rows as tell what one independent row does."""

    window: float
    reference: float


def _effects(spec: DriftSpec, one: Distribution, test: Test) -> _Effects:
    """As the window's parts show it, the windows before it, or stretches of training: the largest counts."""
    if spec.clumps == "ignored":
        return _Effects(1.0, 1.0)
    # The largest difference may be the change that is looked for; but of a rare value, or of one hour, it is what tells
    # that rows come in clumps.
    change = 1 if test in ("shape", "shift") else 0
    found = [1.0]
    for counts, span, spared in ((one.parts, 1, 0), (one.parts, clumps.LONG, change), (one.before, 1, change)):
        if len(counts) > spared + 1:
            table = np.asarray(counts, dtype=np.float64)
            if test == "shape":
                found.append(float(clumps.whole(table, (span,), spared=spared)))
            else:
                found.append(float(clumps.linear(*about(one.bins, test, table), (span,), spared=spared)))
    known = one.alike.get(test, INDEPENDENT)
    window = max(*found, 1 + known.correlation * max(one.rows * one.share - 1, 0))
    # Earlier windows as the reference are as this one.
    return _Effects(window, known.effect if spec.reference == "training" else window)


def about(bins: Bins, test: Test, counts: Rows) -> tuple[Rows, Floats]:
    """Those of `counts`, shape (..., bins), that the mean of `test` is of, and what each bin counts for in it.

    That is its rank in the reference, or whether it is the one.
    """
    reference = np.asarray(bins.counts, dtype=np.float64)
    if test == "shift":
        values = reference[: len(bins.edges) + 1]
        return counts[..., : values.size], np.cumsum(values) - values / 2
    return counts, np.asarray(np.arange(reference.size) == place(bins, test), dtype=np.float64)


def place(bins: Bins, test: Test) -> int:
    """Where the bin is that `test`, of missing or of unseen values, is about."""
    return bins.labels().index(MISSING if test == "missing" else UNSEEN)


def kinds(bins: Bins) -> tuple[Test, ...]:
    """The tests that a distribution is put to."""
    if bins.kind == "categorical":
        return ("shape", "missing", "unseen")
    return ("shape", "shift") if bins.name == SCORE else ("shape", "shift", "missing")
