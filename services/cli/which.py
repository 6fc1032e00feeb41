"""`serinus which`: which version gave an answer, what it was made of, what came of it."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from datetime import datetime

from rich.console import Group, RenderableType
from rich.table import Table
from rich.text import Text

from serinus import wire
from serinus.errors import Fatal
from serinus.facts import Contract, Event, Record, Value, Version
from services.cli import context, page
from services.cli.context import Output
from services.cli.records import Kept, Where, kept

_EVENTS = 10_000  # that are searched for the version's
_SHOWN = 20  # records of one key or request
_LET_IN = ("Approved", "AwaitingApproval", "RolloutStarted", "Promoted", "RolledBack", "BroughtBack", "Rejected")


@dataclass(frozen=True)
class Answer:
    """A record, and where its version comes from; None where that cannot be known from here."""

    record: Record
    version: Version | None
    contract: Contract | None
    events: tuple[Event, ...]  # of the version, oldest first


def which(where: Where, id: str, key: str, output: Output) -> None:
    """Print it. Raises Fatal when nothing of that id or key is kept."""
    with kept(where) as records:
        answers = found(records, id, key)
    if output == Output.json:
        context.answer(wire.dump(answers))
        return
    for answer in answers[:_SHOWN] if id else answers[-_SHOWN:]:
        context.show(Group(*shown(answer)))
    if len(answers) > _SHOWN:
        context.say(
            f"These are the {'first' if id else 'latest'} {_SHOWN} of {len(answers)}; `-o json` has all of them."
        )


def found(records: Kept, id: str, key: str) -> tuple[Answer, ...]:
    """Everything of that id, of the rows of that request, or of that key; oldest first."""
    answered = records.client.find(records.loop, (id,) if id else (), (key,) if key else ())
    if not answered:
        what = f"prediction {id}" if id else f"a prediction with the key {key}"
        raise Fatal(
            f"{records.loop} keeps nothing of {what}: it was never given, was not in the sample"
            f" (spec.collect.sample), is older than {'spec.collect.retention'}, or was erased"
        )
    events = records.place.events(_EVENTS)
    versions = {number: _version(records, number, events) for number in {r.prediction.version for r in answered}}
    if id:
        answered = tuple(sorted(answered, key=_row))
    return tuple(Answer(record, *versions[record.prediction.version]) for record in answered)


def _row(record: Record) -> tuple[int, str]:
    """Row 10 of a request comes behind row 9."""
    return len(record.prediction.id), record.prediction.id


def _version(
    records: Kept, number: int, events: Sequence[Event]
) -> tuple[Version | None, Contract | None, tuple[Event, ...]]:
    learned = records.learned(number)
    about = tuple(event for event in events if event.version == number and event.kind in _LET_IN)
    return records.version(number), learned.contract if learned is not None else None, about


def shown(answer: Answer) -> Iterator[RenderableType]:
    """The answer and its version, as a person reads them."""
    prediction = answer.record.prediction
    yield Text.assemble((prediction.id, "bold"), f"  version {prediction.version}  {_at(prediction.time)}")
    table = Table.grid(padding=(0, 0, 0, 2), pad_edge=True)
    for name, value in _lines(answer):
        table.add_row(Text(name, "dim"), Text(value))
    yield table
    for event in answer.events:
        yield Text("  ") + Text("  ").join(page.event_cells(event))
    yield Text()


def _lines(answer: Answer) -> Iterator[tuple[str, str]]:
    prediction, version, contract = answer.record.prediction, answer.version, answer.contract
    yield (
        "answer",
        f"{prediction.answer}, score {prediction.score:.6g}" if prediction.answer else _said(prediction.score),
    )
    truth = answer.record.truth
    known = f", known since {_at(answer.record.labelled)}" if answer.record.labelled is not None else ""
    yield "truth", "not known yet" if truth is None else f"{_said(truth)}{known}"
    if prediction.key:
        yield "key", prediction.key
    features = ", ".join(f"{name} {_said(value)}" for name, value in sorted(prediction.features.items()))
    yield "features", features or "none are kept"
    if version is not None:
        yield "version", f"{version.number}, registered {_at(version.created)} by run {version.trigger}"
    if contract is not None:
        data = contract.dataset
        span = f"{_at(data.window.start)} to {_at(data.window.end)}"
        yield "learned from", f"{data.rows:,} rows of {data.source}, {span}, dataset {data.version[:12]}"
        yield "estimator", f"{contract.estimator}, seed {contract.seed}"


def _said(value: Value) -> str:
    return "null" if value is None else f"{value:g}" if isinstance(value, float) else str(value)


def _at(moment: datetime) -> str:
    return f"{moment.astimezone():%d %b %Y %H:%M:%S}"
