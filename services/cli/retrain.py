"""A version trained again, in a process of its own: `python -m services.cli.retrain SPEC DATASET OUT [CODE]`.

It writes the model directory OUT and, beside it, OUT.code.json: what ran here.
"""

from __future__ import annotations

import sys
from pathlib import Path

from serinus import environment, usercode, wire
from serinus.spec import ModelLoop
from serinus.steps import train


def main(spec: str, dataset: str, out: str, code: str = "") -> None:
    """The pipeline's own train step, and nothing else."""
    loop = Path(spec).read_text(encoding="utf-8")
    usercode.reachable(Path(code) if code else None)
    ran = environment.code(ModelLoop.model_validate_json(loop))
    Path(f"{out}.code.json").write_bytes(wire.dump(ran))
    train.run(loop, code, Path(dataset), Path(out))


if __name__ == "__main__":
    main(*sys.argv[1:])
