"""The drift job: what its tests see, what repeated rows do to them, and since when something has changed."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import numpy.typing as npt
from matplotlib.axes import Axes
from scipy.stats import norm

from serinus.detectors import TABLE
from serinus.stats import clumps, ordered
from serinus.stats.changepoint import change_point
from tools.statistics.section import Figures, Section

Counts = npt.NDArray[np.int64]
Rows = npt.NDArray[np.int64] | npt.NDArray[np.float64]
BINS, REFERENCE, ROWS = 10, 20_000, 2000
LEARNED = 60  # days that the reference is of
EDGES = norm.ppf(np.arange(1, BINS) / BINS)
NOMINAL = 0.05
LEVEL = 1e-6  # about what is left of a budget of one false alarm in 90 days for one test of an hourly look


def _shares(shift: float) -> npt.NDArray[np.float64]:
    """Of bins that are a tenth of training each, when values have moved by so many standard deviations."""
    return np.asarray(np.diff(norm.cdf(EDGES - shift), prepend=0.0, append=1.0))


def power(rng: np.random.Generator) -> Figures:
    """The share of windows of 2,000 rows in which a shift is significant, by its size."""
    runs, sizes = 400, np.linspace(0, 0.35, 15)
    chi, shift = [], []
    for size in sizes:
        reference = rng.multinomial(REFERENCE, _shares(0.0), runs)
        current = rng.multinomial(ROWS, _shares(float(size)), runs)
        p_shape = TABLE["scipy"](reference.tolist(), current.tolist())
        chi.append(float(np.mean(np.array(p_shape) < LEVEL)))
        z = ordered.superiority(reference, current).z
        shift.append(float(np.mean([ordered.p_value(float(one)) < LEVEL for one in z])))
    return {"sizes": sizes.round(4).tolist(), "shape": chi, "shift": shift}


def _draw_power(axes: Axes, f: Figures) -> None:
    axes.plot(f["sizes"], f["shift"], "o-", label="ordered test (shift)")
    axes.plot(f["sizes"], f["shape"], "o-", label="χ² test (shape)")
    axes.set(xlabel="shift, standard deviations of training", ylabel="share of windows with p < 1e-6")


def repeated(rng: np.random.Generator) -> Figures:
    """Clean windows of a day in which every row comes so many times: how often p is under 5 %."""
    runs, times = 400, (1, 2, 5, 10, 20)
    found: dict[str, list[float]] = {"plain": [], "corrected": []}
    for each in times:
        hits = np.zeros(2)
        for _ in range(runs):
            reference = rng.multinomial(REFERENCE, _shares(0.0))
            parts = each * _day(rng, 0.0, ROWS / each)
            current = parts.sum(axis=0)
            ranks = np.cumsum(reference) - reference / 2
            effect = float(clumps.linear(parts, ranks))
            hits += [_significant(reference, current), _significant(reference, current / effect)]
        for name, share in zip(found, hits / runs, strict=True):
            found[name].append(float(share))
    return {"times": list(times), **found}


def _draw_repeated(axes: Axes, f: Figures) -> None:
    _draw_false(axes, f["times"], f["plain"], f["corrected"], "rows count for as many fewer")
    axes.set(xlabel="times that each row comes within its hour", ylabel="share of clean windows with p < 5 %")


def _draw_false(axes: Axes, by: Sequence[float], plain: Sequence[float], ours: Sequence[float], how: str) -> None:
    axes.plot(by, plain, "o-", label="rows taken as independent")
    axes.plot(by, ours, "o-", label=f"Serinus: {how}")
    axes.axhline(NOMINAL, color="black", linewidth=0.8, linestyle=":", label="nominal: 5 %")


def days(rng: np.random.Generator) -> Figures:
    """Clean windows of a day in a world whose days differ by so many standard deviations: how often p is under 5 %."""
    runs, widths = 300, (0.0, 0.05, 0.1, 0.2, 0.3)
    found: dict[str, list[float]] = {"plain": [], "told": []}
    for width in widths:
        hits = np.zeros(2)
        for _ in range(runs):
            learned = np.stack([_day(rng, width * rng.normal(), REFERENCE // LEARNED) for _ in range(LEARNED)])
            reference, current = learned.sum(axis=(0, 1)), _day(rng, width * rng.normal(), ROWS).sum(axis=0)
            alike = clumps.alike(learned, np.cumsum(reference) - reference / 2)
            effect = 1 + float(alike.correlation) * (current.sum() - 1)
            hits += [
                _significant(reference, current),
                _significant(reference / alike.effect, current / effect),
            ]
        for name, share in zip(found, hits / runs, strict=True):
            found[name].append(float(share))
    return {"widths": list(widths), **found}


def _day(rng: np.random.Generator, shift: float, rows: float) -> Counts:
    """A day's rows by hour, all larger by so many standard deviations."""
    return np.stack([rng.multinomial(rng.poisson(rows / 24), _shares(shift)) for _ in range(24)])


def _significant(reference: Rows, current: Rows) -> bool:
    """At 5 %, by the ordered test; rows as many as tell."""
    return ordered.p_value(float(ordered.superiority(reference, current).z)) < NOMINAL


def _draw_days(axes: Axes, f: Figures) -> None:
    _draw_false(axes, f["widths"], f["plain"], f["told"], "training tells how unlike days are")
    axes.set(xlabel="by how much days differ, standard deviations of a row", ylabel="share of clean days with p < 5 %")


def since(rng: np.random.Generator) -> Figures:
    """Hours between the true change and the most likely one, by the size of the shift; a window of 24 hours."""
    runs, sizes = 300, (0.1, 0.25, 0.5, 1.0)
    found: dict[str, list[float]] = {"median": [], "most": []}
    for size in sizes:
        off = []
        for _ in range(runs):
            begin = int(rng.integers(24, 44))  # within the latest day of two
            blocks = [
                rng.multinomial(rng.poisson(ROWS / 24), _shares(size if at >= begin else 0.0)) for at in range(48)
            ]
            reference = rng.multinomial(REFERENCE, _shares(0.0))
            after = np.sum(blocks[24:], axis=0)
            place = change_point(reference.tolist(), [block.tolist() for block in blocks], after.tolist())
            off.append(abs(place - begin))
        found["median"].append(float(np.median(off)))
        found["most"].append(float(np.quantile(off, 0.9)))
    return {"sizes": list(sizes), **found}


def _draw_since(axes: Axes, f: Figures) -> None:
    axes.plot(f["sizes"], f["median"], "o-", label="median")
    axes.plot(f["sizes"], f["most"], "o-", label="nine of ten within")
    axes.set(xlabel="shift, standard deviations of training", ylabel="hours from the true change", ylim=(0, None))


SECTIONS = (
    Section("power", power, _draw_power),
    Section("repeated", repeated, _draw_repeated),
    Section("days", days, _draw_days),
    Section("since", since, _draw_since),
)
