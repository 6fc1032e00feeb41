"""Labels in, new rows counted; how far it came is left in the ledger's inbox."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Protocol

from serinus import sources
from serinus.errors import DataError, SpecError
from serinus.facts import Label, Request, Window
from serinus.ports import Entry, Ledger, ModelStore, Recorder, Records
from serinus.sources import truths
from serinus.spec import LabelSource, ModelLoop
from services.learned import learned

BY = "intake"
BATCH = 1000
"""Labels that are handed on together."""
_PROBLEMS = 5  # sentences about labels that are kept for a person


@dataclass(frozen=True)
class Pulled:
    """What became of the labels of one pull; every row of the source since `start` is in `outcomes` or `blank`."""

    start: datetime
    outcomes: Mapping[str, int] = field(default_factory=dict)  # LabelOutcome -> labels
    blank: int = 0  # rows without a truth or a name
    problems: tuple[str, ...] = ()


@dataclass(frozen=True)
class Counted:
    """Labelled rows of the loop's data that are newer than the dataset of a version, and the rows of that."""

    version: int
    rows: int
    learned: int


@dataclass(frozen=True)
class Taken:
    """What one start of the job did; None: it was not due, or nobody asks for it."""

    pulled: Pulled | None = None
    counted: Counted | None = None


class Collector(Recorder, Records, Protocol):
    """Both of its ports."""


@dataclass(frozen=True)
class Around:
    """What the job reaches out to; the collector is opened by whoever needs it, and only then."""

    ledger: Ledger
    store: ModelStore
    collector: Callable[[], Collector]
    models: Path  # folder of fetched model directories
    folder: Path | None  # where the ModelLoop file lies


def run(spec: ModelLoop, around: Around, now: datetime, *, always: bool = False) -> Taken:
    """Pull labels and count new rows, each when it is due by what the ledger remembers, or `always`.

    Due: half of `labels.every`, of `newData.every`, has passed since. Whoever starts the job keeps the pace; this only
    keeps one of the two from running at the pace of the other. Labels that were pulled and could not all be handed on
    are pulled again: a label that is there already is one.

    Raises what the sources, the collector, the store and the ledger do, DataError for a wrong source.
    """
    entry = around.ledger.read(spec.name)
    pulled, counted, problem = None, None, None
    try:
        if (source := spec.spec.labels.source) is not None and (always or _pull_due(spec, entry, now)):
            pulled = pull(spec, source, _last_pull(entry), around, now)
        if spec.spec.new_data is not None and (always or _count_due(spec, entry, now)):
            counted = count(spec, entry.status.champion, around, now)
    except Exception as error:
        if pulled is None:
            raise
        problem = error  # of the count: what was pulled is remembered all the same
    if pulled is not None or counted is not None:
        name = f"data-{now.astimezone(UTC):%Y%m%dT%H%M%S.%fZ}"
        around.ledger.ask(spec.name, _request(name, now, pulled, counted))
    if problem is not None:
        raise problem
    return Taken(pulled, counted)


def pull(spec: ModelLoop, source: LabelSource, last: datetime | None, around: Around, now: datetime) -> Pulled:
    """Hand on the labels since the last pull, and again those of `labels.delay` and `labels.every` before it: who
    writes them may be late. The first time it goes back as far as predictions are kept.
    """
    collect, labels = spec.spec.collect, spec.spec.labels
    if collect is None:
        raise SpecError(["labels.source: expected `collect` beside it, got none; without it no prediction is kept"])
    first = now - collect.retention
    start = first if last is None else max(first, last - labels.delay - labels.every)
    found = truths.read(source, spec.spec.task == "regression", Window(start, now), around.folder, now)
    outcomes: Counter[str] = Counter()
    problems: list[str] = []
    if found.labels:
        recorder = around.collector()
        for batch in _batches(found.labels):
            taken = recorder.label(spec.name, batch)
            outcomes.update(taken.outcomes)
            problems += taken.problems
    return Pulled(start, dict(outcomes), found.blank, tuple(problems[:_PROBLEMS]))


def count(spec: ModelLoop, champion: int | None, around: Around, now: datetime) -> Counted | None:
    """Rows with a label newer than the newest row that the champion learned from; None without a champion."""
    if champion is None:
        return None
    dataset = learned(around.store, spec.name, champion, around.models).contract.dataset
    data = spec.spec.data
    try:
        frame = sources.read(spec, around.folder, now, around.collector)
    except DataError as error:
        raise DataError(f"new rows could not be counted: {error}") from error
    newer = frame[(frame[data.time] > dataset.window.end) & frame[data.label].notna()]
    return Counted(champion, len(newer), dataset.rows)


def shown(taken: Taken) -> Sequence[str]:
    """What a person wants to read of it, a line each."""
    lines = []
    if taken.pulled is not None:
        found = taken.pulled
        parts = [f"{rows:,} {outcome}" for outcome, rows in sorted(found.outcomes.items()) if rows]
        parts += [f"{found.blank:,} rows without a truth or a name"] if found.blank else []
        since = f"labels since {found.start:%Y-%m-%d %H:%M:%S} UTC"
        lines += [f"{since}: {', '.join(parts) or 'none'}", *(f"  {problem}" for problem in found.problems)]
    if taken.counted is not None:
        newer = taken.counted
        than = f"the {newer.learned:,} that version {newer.version} learned from"
        lines.append(f"{newer.rows:,} labelled rows are newer than {than}")
    return lines or ["nothing was due"]


def _request(name: str, now: datetime, pulled: Pulled | None, counted: Counted | None) -> Request:
    request = Request(name, "data", now, BY, pulled=now if pulled is not None else None)
    if counted is None:
        return request
    return Request(
        name, "data", now, BY, counted.version, rows=counted.rows, learned=counted.learned, pulled=request.pulled
    )


def _last_pull(entry: Entry) -> datetime | None:
    """The latest that the loop or its inbox knows of."""
    times = [entry.status.pulled, *(request.pulled for request in entry.requests)]
    return max((time for time in times if time is not None), default=None)


def _pull_due(spec: ModelLoop, entry: Entry, now: datetime) -> bool:
    return _passed(_last_pull(entry), spec.spec.labels.every, now)


def _count_due(spec: ModelLoop, entry: Entry, now: datetime) -> bool:
    """Whether the champion's new rows were not counted for long; those of another version do not matter."""
    champion, data = entry.status.champion, entry.status.data
    times = [r.at for r in entry.requests if r.kind == "data" and r.rows is not None and r.version == champion]
    times += [data.at] if data is not None and data.version == champion else []
    every = spec.spec.new_data.every if spec.spec.new_data is not None else timedelta()
    return _passed(max(times, default=None), every, now)


def _passed(last: datetime | None, every: timedelta, now: datetime) -> bool:
    return last is None or now - last >= every / 2


def _batches(labels: Sequence[Label]) -> Iterator[Sequence[Label]]:
    for start in range(0, len(labels), BATCH):
        yield labels[start : start + BATCH]
