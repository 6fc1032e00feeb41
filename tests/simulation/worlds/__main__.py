"""What the judge does in every world of the catalogue.

.venv/bin/python -m tests.simulation.worlds [--seeds 400] [--processes 2] [--only clusters] [--harms]
"""

from __future__ import annotations

import argparse
import sys
import time

from tests.simulation.worlds import catalogue
from tests.simulation.worlds.play import runs
from tests.simulation.worlds.tell import HEAD, line, summary


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--seeds", type=int, default=400)
    parser.add_argument("--first", type=int, default=0, help="seed to begin with")
    parser.add_argument("--processes", type=int, default=1)
    parser.add_argument("--only", default="", help="cases whose name contains this")
    parser.add_argument("--harms", action="store_true", help="canaries that are worse, instead of identical ones")
    args = parser.parse_args()
    sys.stdout.write(HEAD + "\n")
    for case in catalogue.HARMS if args.harms else catalogue.IDENTICAL:
        if args.only in case.name:
            begun = time.monotonic()
            found = runs(case.scenario, case.spec, args.seeds, args.processes, case.horizon, args.first)
            taken = (time.monotonic() - begun) / args.seeds
            sys.stdout.write(f"{line(case.name, summary(found))}  ({1000 * taken:.0f} ms each)\n")
            sys.stdout.flush()


if __name__ == "__main__":
    main()
