"""Our judge in every simulated world, and beside it the documented rules of other tools, on the same traffic.

    .venv/bin/python -m benchmarks.judges [--seeds 400] [--processes 2] [--only clusters] [--rule Serinus Flagger]
                                          [--json docs/benchmarks/judges.json] [--missing]

Identical canaries: "rolled back" are false rollbacks, the times are to the promotion. Canaries that are worse:
"promoted" are missed harms, the times are to the rollback. "hurt": answers that stable would have given better, a
rollout. Cells of the JSON that were counted again are replaced, after every case; `python -m benchmarks.judges.page`
makes a page of it.
"""

from __future__ import annotations

import argparse
import json
import sys
import time
from pathlib import Path

from benchmarks.judges.table import CASES, HEAD, RULES, cell, endings, line, plain, rules


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--seeds", type=int, default=400)
    parser.add_argument("--processes", type=int, default=2)
    parser.add_argument("--only", default="", help="cases whose name contains this")
    parser.add_argument("--rule", nargs="+", choices=RULES, default=list(RULES))
    parser.add_argument("--json", type=Path)
    parser.add_argument("--missing", action="store_true", help="only cells that the JSON has not got")
    args = parser.parse_args()
    kept: dict[tuple[str, str], dict[str, object]] = {}
    if args.json is not None and args.json.exists():
        kept = {(c["case"], c["rule"]): c for c in json.loads(args.json.read_text())["cells"]}
    for case in (case for case in CASES if args.only in case.name):
        wanted = [rule for rule in rules(case) if rule in args.rule]
        if args.missing:
            wanted = [rule for rule in wanted if (case.name, rule) not in kept]
        if not wanted:
            continue
        sys.stdout.write(f"{case.name} ({'worse' if case.scenario.harmed else 'as good'})\n{HEAD}\n")
        for rule in wanted:
            begun = time.monotonic()
            found = endings(rule, case, range(args.seeds), args.processes)
            taken = (time.monotonic() - begun) * args.processes / args.seeds
            figures = cell(rule, case, found, taken)
            kept[case.name, rule] = plain(figures)
            sys.stdout.write(line(figures) + "\n")
            sys.stdout.flush()
        if args.json is not None:
            args.json.parent.mkdir(parents=True, exist_ok=True)
            ordered = [kept[c.name, rule] for c in CASES for rule in RULES if (c.name, rule) in kept]
            args.json.write_text(json.dumps({"cells": ordered}, indent=1) + "\n")


if __name__ == "__main__":
    main()
