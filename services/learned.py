"""What a version learned, for jobs that judge it: its contract and its reference. The model itself is not loaded."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

from serinus import artifact, wire
from serinus.errors import ArtifactError
from serinus.facts import Contract, Reference
from serinus.ports import ModelStore


@dataclass(frozen=True)
class Learned:
    """`reference` is None for a version that was made before there was any."""

    contract: Contract
    reference: Reference | None


def learned(store: ModelStore, loop: str, version: int, models: Path) -> Learned:
    """Of one version. `models`: the folder of fetched model directories, `LOOP/VERSION`.

    A version never changes, so that a copy at hand that is true to its manifest will do: the predictors' on a laptop.
    Raises what the store does.
    """
    directory = models / loop / str(version)
    try:
        artifact.verify(directory)
    except ArtifactError:
        store.fetch(loop, version, directory)
    contract = wire.load(Contract, (directory / artifact.CONTRACT).read_bytes())
    return Learned(contract, artifact.reference(directory))
