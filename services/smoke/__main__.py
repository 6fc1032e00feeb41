"""`python -m services.smoke`: is this installation whole? README.md has the arguments. 0: yes, 1: no, 2: usage."""

from __future__ import annotations

import argparse
import sys
import tempfile
import time
from collections.abc import Callable, Mapping
from datetime import UTC, datetime
from pathlib import Path

from serinus.errors import Fatal, SerinusError
from services import platform as surroundings
from services.smoke import checks
from services.smoke.checks import Check, Installation

AGAIN = 2.0  # seconds until what failed is asked again


def main(argv: list[str]) -> int:
    """Ask everything; what fails is asked again until it holds or the patience is at its end."""
    args = _arguments(argv)
    try:
        with tempfile.TemporaryDirectory() as folder:
            return 0 if _all(_installation(Path(folder), args.gateway), args.loop, args.patience) else 1
    except SerinusError as error:
        sys.stderr.write(f"{error}\n")
        return 1


def _all(installed: Installation, wanted: str, patience: float) -> bool:
    if not insist(lambda: checks.of_parts(installed, datetime.now(UTC)), patience):
        return False
    if not dict(checks.of_loops(installed, wanted)):
        if wanted:
            raise Fatal(f"expected the loop {wanted}, got no such ModelLoop; `kubectl get modelloops -A` lists them")
        _say("no loop serves yet: apply one, and test again")
        return True
    return insist(lambda: dict(checks.of_loops(installed, wanted)), patience)


def insist(
    fresh: Callable[[], Mapping[str, Check]], patience: float,
    now: Callable[[], float] = time.monotonic, sleep: Callable[[float], None] = time.sleep,
) -> bool:  # fmt: skip
    """Whether every check holds within `patience` seconds; those that failed are asked again, as `fresh` gives them."""
    until, content = now() + patience, set[str]()
    while True:
        over = now() >= until
        results = {name: checks.told(name, check) for name, check in fresh().items() if name not in content}
        for good, line in results.values():
            if good or over:
                _say(line)
        content |= {name for name, (good, _) in results.items() if good}
        if over or results.keys() <= content:
            return results.keys() <= content
        sleep(AGAIN)


def _installation(folder: Path, gateway: str) -> Installation:
    from serinus.adapters.kube import Kube
    from serinus.adapters.mlflow import MlflowRegistry
    from services.operator.wiring import ClusterWiring, Current

    platform, kube = surroundings.from_environment(), Kube.connect()
    ports = ClusterWiring(platform, kube, lambda _namespace, _loop: ()).ports(
        platform.pod_namespace, checks.NOBODY, Current()
    )
    return Installation(platform, kube, ports, MlflowRegistry(platform.mlflow_url), folder, gateway)


def _arguments(argv: list[str]) -> argparse.Namespace:
    parser = argparse.ArgumentParser(prog="python -m services.smoke", allow_abbrev=False, description=__doc__)
    parser.add_argument("--loop", default="", metavar="NAMESPACE/NAME", help="must serve (default: all that do)")
    parser.add_argument("--gateway", default="", metavar="URL", help="where to ask (default: the loops' addresses)")
    parser.add_argument("--patience", type=float, default=60.0, help="s for what fails (default: %(default)s)")
    return parser.parse_args(argv)


def _say(line: str) -> None:
    sys.stdout.write(line + "\n")
    sys.stdout.flush()


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
