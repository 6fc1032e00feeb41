"""Files for measuring what one look costs: raw rows, and counters of windows of 1,000 to 100 million requests.

.venv/bin/python -m benchmarks.drift.inputs INTO [--rows 1000000]
"""

from __future__ import annotations

import argparse
import json
from pathlib import Path

import numpy as np

from benchmarks.drift import ours, worlds
from benchmarks.elsewhere.drift_wire import Table
from serinus import wire

REFERENCE = 100_000  # rows
REQUESTS = (1_000, 10_000, 100_000, 1_000_000, 10_000_000, 100_000_000)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("into", type=Path)
    parser.add_argument("--rows", type=int, default=1_000_000)
    args = parser.parse_args()
    reference = worlds.rows(1, REFERENCE)
    np.save(args.into / "reference.npy", reference)
    np.save(args.into / "few.npy", worlds.rows(2, worlds.WINDOW))
    np.save(args.into / "many.npy", worlds.rows(3, args.rows))
    (args.into / "columns.json").write_text(json.dumps({"names": worlds.NAMES, "kinds": worlds.KINDS}))
    profile = ours.profiled(Table(worlds.NAMES, worlds.KINDS, reference))
    for requests in REQUESTS:
        (args.into / f"counters-{requests}.json").write_bytes(wire.dump(ours.counters(profile, requests, 4)))


if __name__ == "__main__":
    main()
