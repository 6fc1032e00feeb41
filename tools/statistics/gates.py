"""What lets a model in: intervals of a difference between two models, and of a gap between groups."""

from __future__ import annotations

import numpy as np
from matplotlib.axes import Axes

from serinus.stats import fairness, paired
from serinus.stats.fairness import Rate, Share
from serinus.stats.paired import Floats
from tools.statistics.section import Figures, Section

LEVEL = 0.95


def _pair(rng: np.random.Generator, rows: int, together: int) -> tuple[paired.Bools, Floats, Floats]:
    """Truth and the scores of two models, of which the second sees the truth a little better on average.

    How well the second one sees it is the same for so many neighbouring rows, and another for the next ones (a storm).
    """
    truth = rng.random(rows) < 0.3
    shared = rng.normal(size=rows)
    storms = np.repeat(rng.normal(size=-(-rows // together)), together)[:rows]
    first = truth + shared + 0.5 * rng.normal(size=rows)
    second = truth * (1.1 + storms) + shared + 0.5 * rng.normal(size=rows)
    return truth, first, second


def difference(rng: np.random.Generator) -> Figures:
    """How often intervals at 95 % hold the true difference of two models, by the rows of the holdout."""
    sizes, runs = (100, 300, 1000, 3000), 300
    truth, first, second = _pair(rng, 2_000_000, 1)
    auc = paired.auc(truth, second) - paired.auc(truth, first)
    right = float(((second > 1) == truth).mean() - ((first > 1) == truth).mean())
    found: dict[str, list[float]] = {"DeLong": [], "DeLong, storms of 20 rows": [], "bootstrap": []}
    for rows in sizes:
        held = np.zeros(3)
        for _ in range(runs):
            t, a, b = _pair(rng, rows, 1)
            held[0] += _holds(paired.delong(t, b, a, LEVEL), auc)
            held[1] += _holds(paired.delong(*_swapped(_pair(rng, rows, 20)), LEVEL), auc)
            right_first, right_second = ((a > 1) == t).astype(float), ((b > 1) == t).astype(float)
            interval = paired.bootstrap(
                lambda w, ok=right_second: w @ ok / w.sum(axis=1),  # type: ignore[misc]
                lambda w, ok=right_first: w @ ok / w.sum(axis=1),  # type: ignore[misc]
                rows,
                rng=rng,
                confidence=LEVEL,
                replicates=300,
            )
            held[2] += _holds(interval, right)
        for name, share in zip(found, held / runs, strict=True):
            found[name].append(round(float(share), 4))
    return {"rows": list(sizes), **found}


def _swapped(pair: tuple[paired.Bools, Floats, Floats]) -> tuple[paired.Bools, Floats, Floats]:
    return pair[0], pair[2], pair[1]


def _holds(interval: paired.Interval, truth: float) -> bool:
    return interval.low <= truth <= interval.high


def _draw_difference(axes: Axes, f: Figures) -> None:
    names = {
        "DeLong": "ROC AUC, DeLong",
        "bootstrap": "accuracy, paired bootstrap",
        "DeLong, storms of 20 rows": "ROC AUC, rows that err together by 20",
    }
    for name, label in names.items():
        axes.plot(f["rows"], f[name], "o-", label=label)
    axes.axhline(LEVEL, color="black", linewidth=0.8, linestyle=":", label="nominal: 95 %")
    axes.set(xlabel="rows of the holdout", ylabel="share of intervals that hold the truth", xscale="log")
    axes.set_ylim(0.6, 1)


def gap(rng: np.random.Generator) -> Figures:
    """How often the interval of the gap between five groups holds it, and how wide it is; all rates are 0.5 but one."""
    sizes, runs = (50, 100, 300, 1000, 3000), 500
    found: dict[str, list[float]] = {}
    for apart in (0.0, 0.1):
        rates = np.array([0.5, 0.5, 0.5, 0.5, 0.5 + apart])
        held, wide = [], []
        for rows in sizes:
            ends = []
            for _ in range(runs):
                hits = rng.binomial(rows, rates)
                shares: dict[Rate, dict[str, Share]] = {
                    "positives": {str(i): Share(int(h), rows) for i, h in enumerate(hits)}
                }
                seen = fairness.gap("group", "demographicParity", shares)
                ends.append((seen.low, seen.high))
            low, high = np.array(ends).T
            held.append(round(float(((low <= apart) & (apart <= high)).mean()), 4))
            wide.append(round(float((high - low).mean()), 4))
        found[f"held {apart:g}"], found[f"width {apart:g}"] = held, wide
    return {"rows": list(sizes), **found}


def _draw_gap(axes: Axes, f: Figures) -> None:
    for apart in ("0", "0.1"):
        axes.plot(f["rows"], f[f"held {apart}"], "o-", label=f"holds the true gap of {apart}")
    for apart in ("0", "0.1"):
        axes.plot(f["rows"], f[f"width {apart}"], "s--", alpha=0.6, label=f"mean width, gap of {apart}")
    axes.axhline(LEVEL, color="black", linewidth=0.8, linestyle=":", label="promised: 95 % at least")
    axes.set(xlabel="rows of a group", ylabel="share, and points / 100", xscale="log", ylim=(0, 1.02))


SECTIONS = (
    Section("difference", difference, _draw_difference),
    Section("gap", gap, _draw_gap),
)
