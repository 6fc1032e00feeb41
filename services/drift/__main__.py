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
from serinus.errors import SerinusError, SpecError
from services import jobs, platform
from services.drift import job


def main(arguments: Sequence[str] | None = None) -> int:
    """Look once; returns the exit code."""
    parser = _parser()
    given = jobs.parse(parser, arguments)
    try:
        look = _look(given)
    except SpecError as error:
        sys.stderr.write("".join(f"{problem}\n" for problem in error.problems))
        return 2
    except SerinusError as error:
        sys.stderr.write(f"could not look: {error}\n")
        return 1
    sys.stdout.write(wire.dump(look).decode() + "\n" if given.json else _text(look))
    return 0 if look.looked else 1


def _look(given: argparse.Namespace) -> job.Look:
    now = datetime.now(UTC)
    if given.cluster:
        from services.drift import cluster

        return cluster.check(platform.from_environment(), given.namespace, given.loop, now)
    from services.drift import local

    return local.check(given.loop_file, given.state, now, given.prometheus, given.mlflow)


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


def _parser() -> argparse.ArgumentParser:
    parser = jobs.place("services.drift", "Look once for drift.")
    parser.add_argument(
        "--prometheus",
        default=os.environ.get("SERINUS_PROMETHEUS_URL", ""),
        help="Prometheus' URL [SERINUS_PROMETHEUS_URL, the one of the state folder]",
    )
    return parser


if __name__ == "__main__":
    raise SystemExit(main())
