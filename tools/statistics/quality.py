"""Quality over time: when a fall is found, what is expected before labels come, and what changed."""

from __future__ import annotations

import math
from datetime import UTC, datetime, timedelta
from itertools import pairwise

import numpy as np
from matplotlib.axes import Axes

from serinus.decide import concept
from serinus.facts import Condition, Prediction, Record, Reference, Region
from serinus.stats import edetector, estimate
from serinus.stats import quality as figures
from serinus.stats.edetector import Seen
from tools.statistics.section import Figures, Section

APART = 365  # windows between false alarms
START = datetime(2026, 1, 1, tzinfo=UTC)


def falls(rng: np.random.Generator) -> Figures:
    """Windows until the detector speaks, by how many standard deviations a version is worse than the bound."""
    runs, many = 400, 365
    found: dict[str, list[float]] = {}
    for over in (0.0, 0.5, 1.0, 2.0, 3.0):
        first = np.zeros(many)
        for _ in range(runs):
            seen = [Seen(float(x), 1.0, 1.0) for x in rng.normal(over, 1.0, many)]
            path = edetector.run(seen, APART)
            if path.alarms:
                first[path.alarms[0] :] += 1
        found[f"{over:g}"] = (first / runs).round(4).tolist()
    return {"windows": list(range(1, many + 1)), **found}


def _draw_falls(axes: Axes, f: Figures) -> None:
    for name in (name for name in f if name != "windows"):
        axes.plot(f["windows"], f[name], label=f"worse than the bound by {name} standard deviations")
    allowed = [1 - math.exp(-n / APART) for n in f["windows"]]
    axes.plot(f["windows"], allowed, ":", color="black", label="alarms by chance, one a year")
    axes.set(xlabel="windows since the change", ylabel="share that has alarmed", xscale="log", ylim=(0, 1.02))


def _world(rng: np.random.Generator, rows: int, moved: float, turned: float) -> tuple[list[str], list[float]]:
    """Truths and the model's scores; inputs `moved`, and the truth of the same inputs `turned`."""
    x = rng.normal(moved, 1.0, rows)
    score = 1 / (1 + np.exp(-2 * x))
    chance = 1 / (1 + np.exp(-2 * x * (1 - turned)))
    return np.where(rng.random(rows) < chance, "yes", "no").tolist(), score.tolist()


def expected(rng: np.random.Generator) -> Figures:
    """Accuracy as estimated from scores alone, and as it was: inputs that move, and a truth that changes."""
    truths, scores = _world(rng, 20_000, 0.0, 0.0)
    holdout = figures.cells(truths, _said(scores), np.array(scores))
    by = [0.0, 0.25, 0.5, 0.75, 1.0]
    found: dict[str, list[float]] = {}
    for name, moves, turns in (("moved", by, [0.0] * 5), ("turned", [0.0] * 5, by)):
        told, true = [], []
        for moved, turned in zip(moves, turns, strict=True):
            truths, scores = _world(rng, 20_000, moved, turned)
            said = _said(scores)
            cells = figures.cells(truths, said, np.array(scores))
            measured = estimate.accuracy(holdout, cells, "yes")
            if measured is None:
                raise AssertionError("expected a holdout that is large enough")
            told.append(round(measured.value, 4))
            true.append(round(float(np.mean(np.array(said) == np.array(truths))), 4))
        found[f"{name}, estimated"], found[f"{name}, true"] = told, true
    return {"by": by, **found}


def _said(scores: list[float]) -> list[str]:
    return ["yes" if score > 0.5 else "no" for score in scores]


def _draw_expected(axes: Axes, f: Figures) -> None:
    for name, color, label in (
        ("moved", "tab:blue", "inputs moved"),
        ("turned", "tab:red", "the same inputs, another truth"),
    ):
        axes.plot(f["by"], f[f"{name}, true"], "o-", color=color, label=f"{label}: true")
        axes.plot(f["by"], f[f"{name}, estimated"], "s--", color=color, alpha=0.6, label=f"{label}: estimated")
    axes.set(xlabel="by how much (standard deviations; share of the effect that is gone)", ylabel="accuracy")


def change(rng: np.random.Generator) -> Figures:
    """The part of a rise in loss that is told to be concept drift, by the part that is: ten days of 300 rows each."""
    losses = (0.05, 0.2, 0.35)  # of the three regions on the holdout
    before = np.array([0.5, 0.3, 0.2])
    after = np.array([0.2, 0.3, 0.5])  # where the inputs move to
    regions = tuple(
        Region((Condition("x", *ends),), rows, loss, loss)
        for ends, loss, rows in zip(pairwise((None, -0.5, 0.5, None)), losses, (1000, 600, 400), strict=True)
    )
    reference = Reference(2000, {}, (), regions, {})
    rise = float((after - before) @ np.array(losses))
    parts, told, error = [0.0, 0.25, 0.5, 0.75, 1.0], [], []
    for part in parts:
        shares = before + (1 - part) * (after - before)
        worse = part * rise  # added to every region's loss
        seen = []
        for _ in range(40):
            where = rng.choice(3, 3000, p=shares)
            wrong = rng.random(3000) < np.array(losses)[where] + worse
            records = [
                Record(
                    Prediction(str(i), 1, START + timedelta(days=i // 300), {"x": float(w - 1)}, 1.0, "yes"),
                    "no" if bad else "yes",
                    START + timedelta(days=20),
                )
                for i, (w, bad) in enumerate(zip(where, wrong, strict=True))
            ]
            seen.append(concept.explain(reference, records, "yes").concept)
        told.append(round(float(np.mean(seen)), 4))
        error.append(round(float(np.std(seen)), 4))
    return {"parts": parts, "told": told, "spread": error}


def _draw_change(axes: Axes, f: Figures) -> None:
    axes.errorbar(f["parts"], f["told"], yerr=f["spread"], fmt="o", capsize=3, label="told, and its spread")
    axes.plot([0, 1], [0, 1], ":", color="black", label="as it is")
    axes.set(xlabel="part of the rise in loss at unchanged inputs", ylabel="part that is told")


SECTIONS = (
    Section("falls", falls, _draw_falls),
    Section("expected", expected, _draw_expected),
    Section("change", change, _draw_change),
)
