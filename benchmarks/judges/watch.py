"""What becomes of versions after their promotion: with a share of the traffic held back to compare with, and without.

    .venv/bin/python -m benchmarks.judges.watch [--seeds 200] [--processes 2] [--only clusters] [--holdback 20 0]
                                                [--json docs/benchmarks/watch.json] [--missing]

Versions as good as the one before: "brought back" is wrong. Versions that become worse a minute after their promotion:
the times are from then on. Cells of the JSON that were counted again are replaced, after every one.
"""

from __future__ import annotations

import argparse
import json
import sys
from collections.abc import Sequence
from dataclasses import asdict, dataclass, replace
from functools import partial
from pathlib import Path

import numpy as np

from serinus.spec import RolloutSpec
from tests.simulation.worlds import after
from tests.simulation.worlds.after import Kept, kept
from tests.simulation.worlds.catalogue import IDENTICAL, Case
from tests.simulation.worlds.play import spread
from tests.simulation.worlds.tell import upper

CASES: tuple[Case, ...] = (*IDENTICAL, *after.HARMS)
HELD = RolloutSpec().holdback
"""Percent that is held back by default."""


@dataclass(frozen=True)
class WatchCell:
    """Watches of a case with so much held back. Times in seconds, of those that brought the one before back."""

    case: str
    holdback: int  # percent
    harmed: bool
    seeds: int
    promoted: int  # of the seeds; the shares below are of these
    back: float  # share in which the one before came back; wrongly where nothing is worse
    back_at_most: float  # 95 % Clopper-Pearson upper bound
    median: float | None  # time until it did
    late: float | None  # and within which 95 % of these had
    hurt: float  # answers that the one before would have given better, mean of all


def cell(case: Case, holdback: int, seeds: int, found: Sequence[Kept | None]) -> WatchCell:
    """The figures of a case's watches."""
    watched = [k for k in found if k is not None]
    times = [k.back for k in watched if k.back is not None]
    return WatchCell(
        case.name,
        holdback,
        case.scenario.harmed,
        seeds,
        len(watched),
        len(times) / len(watched),
        upper(len(times), len(watched)),
        float(np.median(times)) if times else None,
        float(np.quantile(times, 0.95)) if times else None,
        float(np.mean([k.hurt for k in watched])),
    )


def cells(path: Path) -> list[WatchCell]:
    """The cells of the JSON file."""
    return [WatchCell(**c) for c in json.loads(path.read_text())["cells"]]


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--seeds", type=int, default=200)
    parser.add_argument("--processes", type=int, default=2)
    parser.add_argument("--only", default="", help="cases whose name contains this")
    parser.add_argument("--holdback", type=int, nargs="+", default=[HELD, 0])
    parser.add_argument("--json", type=Path)
    parser.add_argument("--missing", action="store_true", help="only cells that the JSON has not got")
    args = parser.parse_args()
    there = cells(args.json) if args.json is not None and args.json.exists() else []
    found = {(c.case, c.holdback): c for c in there}
    for case in (case for case in CASES if args.only in case.name):
        for holdback in args.holdback:
            if args.missing and (case.name, holdback) in found:
                continue
            held = replace(case, spec=case.spec.model_copy(update={"holdback": holdback}))
            after_all = spread(partial(kept, held), range(args.seeds), args.processes)
            now = found[case.name, holdback] = cell(case, holdback, args.seeds, after_all)
            sys.stdout.write(
                f"{case.name:38}{holdback:>4} % held {now.promoted:>5} promoted{now.back:>8.1%} brought back "
                f"(<= {now.back_at_most:.1%}), median {now.median} s, 95 % {now.late} s, hurt {now.hurt:.0f}\n"
            )
            sys.stdout.flush()
            if args.json is not None:
                args.json.parent.mkdir(parents=True, exist_ok=True)
                ordered = [asdict(found[c.name, h]) for c in CASES for h in (HELD, 0) if (c.name, h) in found]
                args.json.write_text(json.dumps({"cells": ordered}, indent=1) + "\n")


if __name__ == "__main__":
    main()
