"""Our drift check and four libraries' on the same rows: clean years, and drifts of known size and time.

    .venv/bin/python -m benchmarks.drift [--seeds 100] [--years 10] [--processes 2] [--tool Serinus NannyML]
                                         [--case clean ...] [--json docs/benchmarks/drift.json]

Cells of the JSON that were counted again are replaced, case by case; `python -m benchmarks.drift.cost` adds what a look
costs, and `python -m benchmarks.drift.page` makes a page of it. Environments: `make bench-drift`.
"""

from __future__ import annotations

import argparse
import json
import sys
from dataclasses import asdict
from pathlib import Path
from typing import Any

from benchmarks.drift.programs import NAMES, TOOLS
from benchmarks.drift.table import Cell, cells
from benchmarks.drift.worlds import CASES


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--seeds", type=int, default=100, help="streams of a case with drift")
    parser.add_argument("--years", type=int, default=10, help="clean years that are counted, and as many to tune on")
    parser.add_argument("--processes", type=int, default=2)
    parser.add_argument("--tool", nargs="+", choices=NAMES, default=list(NAMES))
    parser.add_argument("--case", nargs="+", choices=[case.name for case in CASES], default=[])
    parser.add_argument("--json", type=Path)
    args = parser.parse_args()
    kept: dict[str, Any] = {}
    if args.json is not None and args.json.exists():
        kept = json.loads(args.json.read_text())
    done = {(c["case"], c["tool"], c["tuned"]): c for c in kept.get("cells", [])}
    versions = kept.get("versions", {})
    for tool in (tool for tool in TOOLS if tool.name in args.tool):
        versions[tool.name] = tool.version()
        for cell in cells(tool, args.seeds, args.years, args.processes, args.case, _say):
            done[cell.case, cell.tool, cell.tuned] = asdict(cell)
            _say(line(cell))
            if args.json is not None:
                order = [(case.name, name, rule) for case in CASES for name in NAMES for rule in (False, True)]
                kept |= {"versions": versions, "cells": [done[key] for key in order if key in done]}
                args.json.parent.mkdir(parents=True, exist_ok=True)
                args.json.write_text(json.dumps(kept, indent=1) + "\n")


def line(cell: Cell) -> str:
    """A cell as a terminal shows it."""
    rule = "same rate" if cell.tuned else "documented"
    if cell.yearly is not None:
        said = f"{cell.yearly:6.1f} alarms a year, {cell.worst:5.0f} in the worst"
    else:
        said = f"first {cell.first:6.1%}  found {cell.found:6.1%}  median {cell.median}  95 % {cell.late}"
    return f"{cell.case:40}{cell.tool:14}{rule:12}{said}  ({1000 * cell.seconds:.0f} ms a window)"


def _say(text: str) -> None:
    sys.stdout.write(text + "\n")
    sys.stdout.flush()


if __name__ == "__main__":
    main()
