"""`python -m services.fetch mlflow://LOOP/VERSION TARGET`: the version into TARGET/model, verified. 0: it is there."""

from __future__ import annotations

import argparse
import os
import shutil
import signal
import sys
import time
from datetime import timedelta
from pathlib import Path

from serinus import durations
from serinus.errors import Fatal, SerinusError
from services.fetch import job

LONGEST_MESSAGE = 4096  # bytes that Kubernetes keeps of a termination log


def main(argv: list[str]) -> int:
    """Fetch. Returns the exit code: 0 fetched, 1 not (the reason is on stderr and in the termination log), 2 usage."""
    args = _arguments(argv)
    # A first process of a container ignores SIGTERM unless it says otherwise, and would be waited for in vain.
    signal.signal(signal.SIGTERM, lambda *_: sys.exit(128 + signal.SIGTERM))
    os.umask(0o022)  # the predictor may be another user
    began = time.monotonic()
    try:
        into = _fetch(args.uri, args.target)
    except (SerinusError, OSError) as error:
        _fail(f"{args.uri}: {error}")
        return 1
    size = sum(path.stat().st_size for path in into.iterdir())
    _say(f"{args.uri} is in {into}: {size / 1e6:.1f} MB, {time.monotonic() - began:.1f} s")
    return 0


def _arguments(argv: list[str]) -> argparse.Namespace:
    parser = argparse.ArgumentParser(prog="python -m services.fetch", allow_abbrev=False, description=__doc__)
    parser.add_argument("uri", metavar="mlflow://LOOP/VERSION", help="the version to fetch")
    parser.add_argument("target", metavar="TARGET", type=Path, help="folder that gets the directory `model`")
    return parser.parse_args(argv)


def _fetch(uri: str, target: Path) -> Path:
    address = job.parse(uri)
    url, patience = _environment()
    target.mkdir(parents=True, exist_ok=True)
    scratch = job.scratch(target)
    os.environ["TMPDIR"] = str(scratch)  # the root file system may be read-only, /tmp included
    try:
        from serinus.adapters.mlflow import MlflowRegistry

        store = MlflowRegistry(url, retries=0)
        return job.fetch(store, address, target, patience, now=time.monotonic, sleep=time.sleep, say=_say)
    finally:
        shutil.rmtree(scratch, ignore_errors=True)


def _environment() -> tuple[str, timedelta]:
    url = os.environ.get("SERINUS_MLFLOW_URL", "")
    if not url.startswith(("http://", "https://")):
        raise Fatal(f"SERINUS_MLFLOW_URL: expected MLflow's URL, such as http://mlflow:5000, got {url!r}")
    text = os.environ.get("SERINUS_FETCH_PATIENCE") or "2m"
    try:
        return url, durations.parse(text)
    except ValueError as error:
        raise Fatal(f"SERINUS_FETCH_PATIENCE: {error}") from error


def _say(message: str) -> None:
    sys.stdout.write(message + "\n")
    sys.stdout.flush()


def _fail(message: str) -> None:
    """Where `kubectl logs` finds it, and where `kubectl describe pod` does."""
    sys.stderr.write(message + "\n")
    log = Path(os.environ.get("SERINUS_TERMINATION_LOG") or "/dev/termination-log")
    try:
        with log.open("r+b") as file:  # Kubernetes made it; elsewhere there is none, and none is made
            file.write(message.encode()[:LONGEST_MESSAGE])
            file.truncate()
    except OSError:
        return


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
