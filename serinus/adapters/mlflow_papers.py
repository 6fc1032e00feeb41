"""What is kept with a version on an MLflow server, read back, and the model card made of it; `client` is an
MlflowClient throughout.
"""

from __future__ import annotations

import logging
import tempfile
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any, TypeVar

from serinus import artifact, papers, wire
from serinus.adapters import mlflow_entities as entities
from serinus.adapters.mlflow_entities import MODEL
from serinus.errors import Fatal
from serinus.facts import Contract, Evaluation, Origin, Papers, Reference, RolloutRecord
from serinus.render import model_card
from serinus.render.document import html, markdown

log = logging.getLogger(__name__)
T = TypeVar("T")
CARD = "serinus.card"  # tag of a version whose card was made


@dataclass(frozen=True)
class _Rollouts:
    records: tuple[RolloutRecord, ...]


def read(client: Any, loop: str, number: int) -> Papers:
    """All that is kept with the version. Raises Fatal when what is kept cannot be read, or no run of ours made it."""
    known = client.get_model_version(loop, str(number))
    if not known.run_id:
        raise Fatal(f"{loop}: version {number} has no MLflow run, so it was not registered by a pipeline of ours")
    with tempfile.TemporaryDirectory(prefix="papers-") as folder:
        files = _Files(client, known.run_id, Path(folder))
        contract = files.get(f"{MODEL}/{artifact.CONTRACT}", Contract)
        if contract is None:
            raise Fatal(f"{loop}: version {number} has no {artifact.CONTRACT} any more: somebody removed its files")
        return Papers(
            version=replace(entities.version(known), aliases=frozenset(known.aliases)),
            contract=contract,
            reference=files.get(f"{MODEL}/{artifact.REFERENCE}", Reference),
            evaluation=files.get(papers.EVALUATION, Evaluation),
            origin=files.get(papers.ORIGIN, Origin),
            rollouts=_rollouts(files),
        )


def rows(client: Any, loop: str, number: int, into: Path) -> Path:
    """The snapshot that is kept with the version, in the new directory `into`."""
    known = client.get_model_version(loop, str(number))
    kept = known.run_id and any(each.path == papers.ROWS for each in client.list_artifacts(known.run_id))
    if not kept:
        raise Fatal(
            f"{loop}: the rows that version {number} was made from were not kept with it: they were too many, or it is"
            " older than keeping them"
        )
    into.mkdir(parents=True)
    return Path(client.download_artifacts(known.run_id, papers.ROWS, str(into)))


def add_rollout(client: Any, run: str, record: RolloutRecord) -> None:
    """Keep how a rollout ended beside those before it. The same record twice is one."""
    with tempfile.TemporaryDirectory(prefix="papers-") as folder:
        before = _rollouts(_Files(client, run, Path(folder)))
    others = [each for each in before if (each.started, each.ended, each.outcome) != _key(record)]
    every = sorted([*others, record], key=lambda each: each.ended)
    client.log_text(run, wire.dump(record).decode(), papers.ROLLOUT)
    client.log_text(run, wire.dump(_Rollouts(tuple(every))).decode(), papers.ROLLOUTS)


def write_card(client: Any, loop: str, number: int) -> None:
    """Make the version's card (anew) from what is kept with it.

    A card that cannot be made is no reason to stop a loop or a run: why is logged, and the files it is made of are
    there.
    """
    try:
        kept = read(client, loop, number)
        document = model_card.card(kept)
        texts = {papers.CARD: markdown(document), papers.CARD_PAGE: html(document)}
        said = model_card.summary(kept)
    except (Fatal, ArithmeticError, LookupError, TypeError, ValueError) as error:
        log.exception("%s: the card of version %s could not be made: %s", loop, number, error)
        return
    known = client.get_model_version(loop, str(number))
    for name, text in texts.items():
        client.log_text(known.run_id, text, name)
    if known.description != said:
        client.update_model_version(loop, str(number), said)
    client.set_model_version_tag(loop, str(number), CARD, papers.CARD)


class _Files:
    """The files beside a version, as they are asked for."""

    def __init__(self, client: Any, run: str, folder: Path) -> None:
        self._client, self._run, self._folder = client, run, folder
        self._names: dict[str, set[str]] = {}

    def get(self, path: str, kind: type[T]) -> T | None:
        """What the file holds, None when there is none."""
        parent = path.rpartition("/")[0]
        if parent not in self._names:
            self._names[parent] = {each.path for each in self._client.list_artifacts(self._run, parent or None)}
        if path not in self._names[parent]:
            return None
        try:
            return wire.load(
                kind, Path(self._client.download_artifacts(self._run, path, str(self._folder))).read_bytes()
            )
        except Fatal as error:
            raise Fatal(f"{path} of MLflow's run {self._run}: {error}") from error


def _rollouts(files: _Files) -> tuple[RolloutRecord, ...]:
    every = files.get(papers.ROLLOUTS, _Rollouts)
    if every is not None:
        return every.records
    last = files.get(papers.ROLLOUT, RolloutRecord)  # of a version that is older than the list
    return (last,) if last is not None else ()


def _key(record: RolloutRecord) -> tuple[object, ...]:
    return record.started, record.ended, record.outcome
