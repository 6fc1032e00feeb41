"""`python -m services.intake --loop-file FILE`: labels in and new rows counted, for a local loop, what of it is due.
`--cluster --namespace NS --loop NAME`: for one on a cluster. Exit code 0: done, 1: could not, 2: used wrongly.
"""

from __future__ import annotations

import argparse
import sys
from collections.abc import Sequence
from datetime import UTC, datetime

from serinus import wire
from services import jobs
from services.intake import job


def main(arguments: Sequence[str] | None = None) -> int:
    """Run once; returns the exit code."""
    parser = jobs.parser("services.intake", "Pull labels and count new rows, as far as they are due.")
    parser.add_argument("--always", action="store_true", help="whether or not they are due")
    given = jobs.parse(parser, arguments)
    return jobs.ended(lambda: _run(given), "take in")


def _run(given: argparse.Namespace) -> int:
    with jobs.opened(given) as at:
        around = job.Around(at.ledger, at.store, at.collector, at.models, at.folder)
        taken = job.run(at.spec, around, datetime.now(UTC), always=given.always)
    text = wire.dump(taken).decode() if given.json else "\n".join(job.shown(taken))
    sys.stdout.write(f"{text}\n")
    return 0


if __name__ == "__main__":
    raise SystemExit(main())
