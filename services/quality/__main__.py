"""`python -m services.quality --loop-file FILE`: one look at a local loop. `--cluster --namespace NS --loop NAME`: at
one on a cluster. Exit code 0: looked, 1: could not, 2: used wrongly.
"""

from __future__ import annotations

import argparse
import sys
from collections.abc import Sequence
from datetime import UTC, datetime

from serinus import wire
from services import jobs
from services.quality import job


def main(arguments: Sequence[str] | None = None) -> int:
    """Look once; returns the exit code."""
    parser = jobs.parser("services.quality", "Look once at quality in production.")
    given = jobs.parse(parser, arguments)
    return jobs.ended(lambda: _look(given), "look")


def _look(given: argparse.Namespace) -> int:
    with jobs.opened(given) as at:
        finding = job.check(at.spec, at.ledger, at.store, at.collector(), datetime.now(UTC), models=at.models)
    text = wire.dump(finding).decode() if given.json else "\n".join(job.shown(finding))
    sys.stdout.write(f"{text}\n")
    return 1 if finding.verdict.outcome == "error" else 0


if __name__ == "__main__":
    raise SystemExit(main())
