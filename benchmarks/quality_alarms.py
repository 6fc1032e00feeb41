"""False alarms of falling quality, counted over simulated years in worlds that no setting was chosen on; and its power.

    python -m benchmarks.quality_alarms [--years 50] [--seed 0] [--times 20] [--only TEXT] [--window 1]

One false alarm a year is allowed. `rate`: alarms a year with its exact 95 % interval, as if they came independently
(Garwood 1936); `years with one`: the share with its interval (Clopper & Pearson 1934).
"""

from __future__ import annotations

import argparse
import math
from dataclasses import replace

import numpy as np
from scipy.stats import beta, chi2

from tests.simulation.quality_worlds import Place, alarms, delay, places

LEVELS = (0.0, 1.0)  # margins that the version is worse by
FALLS = (1.5, 2.0, 3.0, 5.0)
ROWS = (60, 150, 300, 1000, 4000, 30_000)


def rate(found: int, years: int) -> tuple[float, float]:
    """The 95 % interval of a Poisson rate."""
    low = chi2.ppf(0.025, 2 * found) / 2 if found else 0.0
    return float(low / years), float(chi2.ppf(0.975, 2 * found + 2) / 2 / years)


def share(hits: int, of: int) -> tuple[float, float]:
    """The 95 % interval of a share."""
    low = beta.ppf(0.025, hits, of - hits + 1) if hits else 0.0
    return float(low), float(beta.ppf(0.975, hits + 1, of - hits)) if hits < of else 1.0


def main() -> int:
    """Print both tables; 1 when the budget is broken beyond chance in a world, or in the mean over all."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--years", type=int, default=50, help="of each world and level")
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--times", type=int, default=20, help="falls of each size, rows and kind of days")
    parser.add_argument("--only", default="", help="worlds whose line has this text")
    parser.add_argument("--window", type=int, default=1, help="days of a window")
    given = parser.parse_args()
    there = [(i, replace(place, window=given.window)) for i, place in enumerate(places())]
    chosen = [(i, place) for i, place in there if given.only in str(place)]
    broken = _alarms(chosen, given.years, given.seed)
    if given.times:
        _power(given.times, given.seed)
    return 1 if broken else 0


def _alarms(chosen: list[tuple[int, Place]], years: int, seed: int) -> bool:
    print("figure    days         sd   rows a day   labelled holdout | worse by, margins: alarms, rate, years with one")
    totals, broken = dict.fromkeys(LEVELS, 0), False
    for i, place in chosen:
        line = f"{place} |"
        for level in LEVELS:
            found = alarms(place, level, years, seed * 1000 + i)
            totals[level] += sum(found)
            low, high = rate(sum(found), years)
            years_low, years_high = share(sum(n > 0 for n in found), years)
            line += f" {level:g}: {sum(found):3} {sum(found) / years:.2f} ({low:.2f}-{high:.2f})"
            line += f" {np.mean(np.array(found) > 0):4.0%} ({years_low:.0%}-{years_high:.0%}) |"
            broken |= low > 1
        print(line + (" BROKEN" if low > 1 else ""), flush=True)
    for level, total in totals.items():
        low, high = rate(total, years * len(chosen))
        print(f"worse by {level:g} margins: {total} in {years * len(chosen)} years, {low:.3f}-{high:.3f} a year")
        broken |= low > 1
    return broken


def _power(times: int, seed: int) -> None:
    print("windows until a fall is found: median (90 % within), accuracy, margin 0.02")
    print("days    rows   " + "".join(f"  {fall:g} margins   " for fall in FALLS))
    for kind, between in (("ar 0.3", 0.25), ("ar 0.6", 0.5), ("weekly", 0.5)):
        for rows in ROWS:
            place = Place("accuracy", kind, between, rows, 0.0, 1.0, 14)  # type: ignore[arg-type]
            line = f"{kind:7} {rows:6}"
            for fall in FALLS:
                found = np.array([delay(place, fall, seed * 1000 + time) for time in range(times)])
                line += f"  {_shown(np.median(found))} ({_shown(np.quantile(found, 0.9, method='higher'))})  "
            print(line, flush=True)


def _shown(windows: float) -> str:
    return f"{windows:4.0f}" if math.isfinite(windows) else ">120"


if __name__ == "__main__":
    raise SystemExit(main())
