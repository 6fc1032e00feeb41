"""How often a second look at drift (`drift.confirm`) says yes: on clean samples, and on shifted ones.

    python -m benchmarks.second_looks [--samples 400] [--seed 0] [--detector mmd] [--sizes 1 4]

Both samples are drawn from one distribution of nine columns (numbers with long tails, ties and missing values, flags, a
column of few and one of a hundred categories); shifted: one number by 0.25 of its standard deviations, or three.
Sizes are those of the drift job: at most 1,000 training rows that a version carries with it, and 100 to 1,000 of the
window. Bounds are exact (Clopper & Pearson 1934): the upper one of 95 % for false alarms.
"""

from __future__ import annotations

import argparse
import time
from collections.abc import Sequence

import numpy as np
from scipy.stats import beta

from serinus.detectors.rows import TABLE, Sample

ALPHA = 0.05
SIZES = ((1000, 100), (1000, 300), (1000, 1000), (300, 600), (100, 100))
SHIFTS = {"none": 0, "one column": 1, "three columns": 3}
SHIFT = 0.25


def drawn(rng: np.random.Generator, rows: int, shifted: int = 0) -> Sample:
    """Rows like those of a real table; the first `shifted` numbers are larger by SHIFT standard deviations."""
    size, numbers = rng.normal(size=rows), rng.normal(size=(5, rows))
    columns = [
        numbers[0],
        np.exp(0.5 * numbers[1] + 0.3 * size),
        0.7 * size + 0.7 * numbers[2],
        np.round(3 * numbers[3]),  # few values
        rng.standard_t(3, rows),
    ]
    deviations = (1.0, 0.693, 0.99, 3.01, 1.73)
    for place in range(shifted):
        columns[place] = columns[place] + SHIFT * deviations[place]
    found: dict[str, Sequence[float | str | None]] = {f"x{i}": column.tolist() for i, column in enumerate(columns)}
    gone = rng.random(rows) < 0.08
    found["x2"] = [None if g else float(x) for x, g in zip(columns[2], gone, strict=True)]
    found["flag"] = (rng.random(rows) < 0.03).astype(float).tolist()
    found["rain"] = np.where(rng.random(rows) < 0.9, 0.0, rng.exponential(size=rows)).tolist()
    found["shop"] = rng.choice(["a", "b", "c", "d"], rows, p=[0.5, 0.3, 0.19, 0.01]).tolist()
    often = 1 / np.arange(1, 101)
    found["town"] = [f"t{i}" for i in rng.choice(100, rows, p=often / often.sum()).tolist()]
    return found


def said_yes(detector: str, sizes: tuple[int, int], shifted: int, samples: int, seed: int) -> int:
    """How many of so many pairs of samples are told apart at ALPHA."""
    found = 0
    for sample in range(samples):
        rng = np.random.default_rng([seed, sample, *sizes, shifted])
        found += TABLE[detector](drawn(rng, sizes[0]), drawn(rng, sizes[1], shifted)) < ALPHA
    return found


def bound(hits: int, of: int, level: float) -> float:
    """The share that so many hits or fewer (level over a half), or so many or more, have a chance of 1 - level for."""
    if level > 0.5:
        return float(beta.ppf(level, hits + 1, of - hits)) if hits < of else 1.0
    return float(beta.ppf(level, hits, of - hits + 1)) if hits else 0.0


def main() -> int:
    """Print the table; 1 when false alarms are over ALPHA beyond chance (lower 95 % bound) anywhere."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--samples", type=int, default=400, help="clean ones; a quarter of these shifted")
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--detector", choices=[*TABLE], action="append")
    parser.add_argument("--sizes", type=int, nargs="+", choices=range(len(SIZES)), default=range(len(SIZES)))
    given = parser.parse_args()
    broken = False
    print(f"said yes at {ALPHA}: share, and upper 95 % bound of false alarms")
    for detector in given.detector or TABLE:
        for sizes in [SIZES[place] for place in given.sizes]:
            line, began = f"{detector:10} {sizes[0]:5} against {sizes[1]:5}", time.monotonic()
            for name, shifted in SHIFTS.items():
                samples = given.samples if not shifted else given.samples // 4
                hits = said_yes(detector, sizes, shifted, samples, given.seed)
                line += f" | {name}: {hits} of {samples} ({hits / samples:.1%}"
                line += f", at most {bound(hits, samples, 0.95):.1%})" if not shifted else ")"
                broken |= not shifted and bound(hits, samples, 0.05) > ALPHA
            print(f"{line} | {time.monotonic() - began:.0f} s", flush=True)
    return 1 if broken else 0


if __name__ == "__main__":
    raise SystemExit(main())
