"""`serinus reproduce`: a version made again from its rows, and whether the same came out."""

from __future__ import annotations

import os
import subprocess
import sys
import tempfile
from dataclasses import dataclass
from pathlib import Path

import typer

import serinus
from serinus import artifact, wire
from serinus.decide.lineage import differing, unlike
from serinus.environment import PICKING
from serinus.errors import Fatal
from serinus.facts import Code, Origin
from serinus.spec import ModelLoop
from services.cli import context
from services.cli.context import Output, err
from services.cli.lineage import origin_of
from services.cli.records import Where

_LAST_WORDS = 2_000  # characters of what a failing training said


@dataclass(frozen=True)
class Again:
    """How a version that was made again compares with the first."""

    loop: str
    version: int
    equal: bool
    digest: str  # of the registered model
    again: str  # of the one made now
    differing: tuple[str, ...]  # files, and where
    unlike: tuple[str, ...]  # what runs here and did not run then


def reproduce(where: Where, version: int, dataset: Path | None, code: Path | None, output: Output) -> None:
    """Train it again and compare. Raises typer.Exit(1) when something else came out.

    dataset: the snapshot's folder, where it was not kept with the version. code: the folder of the user's own modules.
    """
    loop, archive, origin = origin_of(where, version)
    with tempfile.TemporaryDirectory(prefix="reproduce-") as name:
        folder = Path(name)
        with err.status(f"fetching {loop} version {version} and its rows"):
            rows = dataset if dataset is not None else archive.dataset(loop, version, folder / "rows")
            first = archive.fetch(loop, version, folder / "first" / "model")
        with err.status(f"training {loop} version {version} again, from {origin.dataset.rows:,} rows"):
            ran = _train(origin, rows, folder, code if code is not None else _home(where))
        found = _compared(loop, version, origin, first, folder / "again", ran)
    if output == Output.json:
        context.answer(wire.dump(found))
    else:
        _say(found)
    if not found.equal:
        raise typer.Exit(1)


def _compared(loop: str, version: int, origin: Origin, first: Path, again: Path, ran: Code) -> Again:
    digests = artifact.verify(first), artifact.verify(again)
    places = differing(_files(first), _files(again))
    return Again(loop, version, digests[0] == digests[1], *digests, places, unlike(origin.code, ran))


def _files(model: Path) -> dict[str, bytes]:
    """The files that the manifest names; it differs when they do."""
    return {path.name: path.read_bytes() for path in model.iterdir() if path.name != artifact.MANIFEST}


def _home(where: Where) -> Path | None:
    """The folder of a local loop's file; a cluster's own code is in its image."""
    if where.loop is not None:
        return None
    card = context.card_if_up(where.state)
    return Path(card.file).parent if card is not None else None


def _train(origin: Origin, rows: Path, folder: Path, code: Path | None) -> Code:
    """Run the train step on the spec as the run had it; returns what ran."""
    spec, out, log = folder / "loop.json", folder / "again", folder / "log.txt"
    spec.write_text(origin.spec, encoding="utf-8")
    deadline = ModelLoop.model_validate_json(origin.spec).spec.training.deadline.total_seconds()
    root = str(Path(serinus.__file__).parent.parent)
    environment = {
        "OMP_WAIT_POLICY": "passive",
        # Sums are to have the last bits that they had then, whatever somebody picked for the programs here.
        **{name: value for name, value in os.environ.items() if name not in PICKING},
        **origin.code.forced,
        "PYTHONPATH": os.pathsep.join(filter(None, [root, os.environ.get("PYTHONPATH", "")])),
    }
    arguments = [str(spec), str(rows.resolve()), str(out), *([str(code.resolve())] if code is not None else [])]
    with log.open("wb") as said:
        try:
            ended = subprocess.run(
                [sys.executable, "-m", "services.cli.retrain", *arguments],
                stdin=subprocess.DEVNULL, stdout=said, stderr=subprocess.STDOUT, env=environment, cwd=folder,
                timeout=deadline, check=False,
            )  # fmt: skip
        except subprocess.TimeoutExpired:
            raise Fatal(f"training it again took longer than training.deadline, {deadline:.0f} s") from None
    if ended.returncode != 0:
        words = log.read_text(encoding="utf-8", errors="replace").strip()[-_LAST_WORDS:]
        raise Fatal(f"training it again failed, exit code {ended.returncode}:\n{words}")
    return wire.load(Code, Path(f"{out}.code.json").read_bytes())


def _say(found: Again) -> None:
    name = f"{found.loop} version {found.version}"
    if found.equal:
        context.say(f"{name}, made again from its rows, is the same to the bit: digest {found.digest}.")
    else:
        context.complain(f"{name}, made again from its rows, is not the same:")
        for place in found.differing:
            context.complain(place, " ")
        context.complain(f"digest {found.digest} then, {found.again} now", " ")
    for each in found.unlike:
        context.say(f"  What runs here is not what ran then: {each}")
