"""`python -m pipelines.compile` writes pipelines/compiled/training.yaml; `--check` fails when that file is stale."""

from __future__ import annotations

import argparse
import sys
import tempfile
from pathlib import Path

COMPILED = Path(__file__).parent / "compiled" / "training.yaml"
"""The one compiled pipeline, for the laptop and the cluster."""


def text() -> str:
    """The pipeline as KFP compiles it now."""
    from kfp import compiler

    from pipelines.training import training

    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "training.yaml"
        compiler.Compiler().compile(training, str(path))
        return path.read_text()


def main(arguments: list[str] | None = None) -> int:
    """0 when the file is, or has been made, fresh."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--check", action="store_true", help="write nothing; exit 1 when the file is stale")
    check = parser.parse_args(arguments).check
    compiled = text()
    fresh = COMPILED.exists() and COMPILED.read_text() == compiled
    if check and not fresh:
        sys.stderr.write(f"{COMPILED} is stale: run `python -m pipelines.compile` and commit what it writes\n")
        return 1
    if not fresh:
        COMPILED.parent.mkdir(exist_ok=True)
        COMPILED.write_text(compiled)
    sys.stdout.write(f"{COMPILED} is {'fresh' if fresh else 'written'}\n")
    return 0


if __name__ == "__main__":
    sys.exit(main())
