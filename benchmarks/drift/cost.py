"""What one look costs, each in a process of its own: seconds of processor and peak memory, imports included.

    python -m benchmarks.drift.cost [--rows 1000000] [--repeat 3] [--json docs/benchmarks/drift.json]

Of every program the median of its runs. A process begins with the peak memory of the one that starts it, so this one
imports nothing that is large; the rows are made by another (`benchmarks.drift.inputs`).
"""

from __future__ import annotations

import argparse
import json
import os
import statistics
import subprocess
import sys
import tempfile
from pathlib import Path
from typing import Any

from benchmarks.drift.programs import OURS, TOOLS, one_thread


def spent(command: list[str]) -> tuple[float, float]:
    """Seconds of processor and megabytes of peak memory of a program. Raises RuntimeError when it fails."""
    process = subprocess.Popen(command, env=one_thread(), stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
    _, status, used = os.wait4(process.pid, 0)
    process.returncode = os.waitstatus_to_exitcode(status)
    if process.returncode:
        raise RuntimeError(f"expected {command} to end well, got {process.returncode}; run it by itself to see why")
    return used.ru_utime + used.ru_stime, used.ru_maxrss / 1024


def cost(tool: str, source: str, rows: int, command: list[str], repeat: int) -> dict[str, Any]:
    """One line of the table; memory is the largest of the runs."""
    runs = [spent(command) for _ in range(repeat)]
    found = {"tool": tool, "source": source, "rows": rows, "runs": repeat}
    return found | {"seconds": statistics.median(s for s, _ in runs), "megabytes": max(m for _, m in runs)}


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--rows", type=int, default=1_000_000)
    parser.add_argument("--repeat", type=int, default=3)
    parser.add_argument("--json", type=Path)
    args = parser.parse_args()
    costs = []
    with tempfile.TemporaryDirectory() as folder:
        made = [sys.executable, "-m", "benchmarks.drift.inputs", folder, "--rows", str(args.rows)]
        subprocess.run(made, check=True)
        into = Path(folder)
        looks = [
            (
                tool.name,
                "rows",
                rows,
                [*tool.command, *(str(into / f) for f in ("reference.npy", window, "columns.json"))],
            )
            for rows, window in ((2_000, "few.npy"), (args.rows, "many.npy"))
            for tool in TOOLS
        ]
        counted = sorted(into.glob("counters-*.json"), key=lambda path: int(path.stem.split("-")[1]))
        ours = TOOLS[0]
        looks += [(OURS, "counters", int(path.stem.split("-")[1]), [*ours.command, str(path)]) for path in counted]
        for tool, source, rows, command in looks:
            costs.append(cost(tool, source, rows, command, args.repeat))
            one = costs[-1]
            sys.stdout.write(f"{tool:14}{rows:>12,} {source:9}{one['seconds']:8.2f} s {one['megabytes']:8,.0f} MB\n")
            sys.stdout.flush()
    if args.json is not None:
        kept = json.loads(args.json.read_text()) if args.json.exists() else {}
        args.json.write_text(json.dumps({**kept, "costs": costs}, indent=1) + "\n")


if __name__ == "__main__":
    main()
