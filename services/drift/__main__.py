"""`python -m services.drift --loop-file FILE`: one look at a local loop. `--cluster --namespace NS --loop NAME`: at one
on a cluster. Exit code 0: looked, 1: could not, 2: used wrongly.
"""

from __future__ import annotations

import argparse
import os
import sys
from collections.abc import Sequence
from datetime import UTC, datetime

from serinus import wire
from services import jobs
from services.drift import job, wiring


def main(arguments: Sequence[str] | None = None) -> int:
    """Look once; returns the exit code."""
    parser = jobs.parser("services.drift", "Look once for drift.")
    parser.add_argument(
        "--prometheus",
        default=os.environ.get("SERINUS_PROMETHEUS_URL", ""),
        help="Prometheus' URL [SERINUS_PROMETHEUS_URL, the one of the state folder]",
    )
    given = jobs.parse(parser, arguments)
    return jobs.ended(lambda: _look(given), "look")


def _look(given: argparse.Namespace) -> int:
    with jobs.opened(given) as at:
        look = wiring.check(at, datetime.now(UTC), given.prometheus)
    sys.stdout.write(wire.dump(look).decode() + "\n" if given.json else _text(look))
    return 0 if look.looked else 1


def _text(look: job.Look) -> str:
    finding, lines = look.finding, []
    window = f"{finding.window.start:%Y-%m-%d %H:%M:%S} to {finding.window.end:%Y-%m-%d %H:%M:%S} UTC"
    lines.append(f"{finding.verdict.outcome}: {finding.verdict.reason}")
    lines.append(f"version {finding.version or '-'}, window {window}")
    lines.append(f"retrain {'asked' if look.ask else 'not asked'}: {look.ask.reason}")
    if look.run is not None:
        lines.append(f"run {look.run.key} is {look.run.phase}")
    if look.problem:
        lines.append(f"the runner could not be asked, the loop asks again: {look.problem}")
    return "".join(f"{line}\n" for line in lines)


if __name__ == "__main__":
    raise SystemExit(main())
