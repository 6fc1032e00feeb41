"""What Serinus needs of the world: protocols of at most four verbs. One contract suite each, in tests/contract.

Every verb raises `errors.Unavailable` when the system behind it cannot be asked, and never guesses.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path
from typing import Protocol

from serinus.facts import (
    Alias,
    AuditEntry,
    Deed,
    Event,
    Label,
    Papers,
    Prediction,
    Record,
    Request,
    RolloutRecord,
    Routing,
    RoutingState,
    RowsQuestion,
    RunRequest,
    RunState,
    Series,
    Status,
    Taken,
    Tally,
    TallyQuestion,
    Version,
)


class Metrics(Protocol):
    """Counters, as Prometheus keeps them."""

    def increases(self, metric: str, labels: Mapping[str, str], start: datetime, end: datetime) -> tuple[Series, ...]:
        """What every series of `metric` with `labels` gained in (start, end]; empty when there is no such series."""
        ...


class Router(Protocol):
    """Traffic, as KServe or Envoy splits it."""

    def apply(self, loop: str, routing: Routing) -> None:
        """Move towards `routing` as far as can be done now without losing a request. Idempotent; call it again."""
        ...

    def observe(self, loop: str) -> RoutingState:
        """What serves now."""
        ...


class Registry(Protocol):
    """Model versions, as the loop sees them."""

    def versions(self, loop: str) -> tuple[Version, ...]:
        """Every registered version of the loop, oldest first, with its aliases."""
        ...

    def alias(self, loop: str, alias: Alias, version: int | None) -> None:
        """Point `alias` at `version`, or take it away. Idempotent."""
        ...

    def record(self, loop: str, record: RolloutRecord) -> None:
        """Keep how a rollout ended with the version. Idempotent."""
        ...


class ModelStore(Protocol):
    """Model directories, as the pipeline's steps and the predictors see them."""

    def register(
        self,
        loop: str,
        trigger: str,
        model: Path,
        tags: Mapping[str, str],
        metrics: Mapping[str, float],
        extras: Path | None = None,
    ) -> Version:
        """Register the model directory as a new version with alias `challenger`; the same trigger gives the same.

        The files of the folder `extras` (evaluation, model card) are kept beside the model, outside its manifest.
        """
        ...

    def fetch(self, loop: str, version: int, into: Path) -> Path:
        """Download version `version` to the directory `into` (made whole or not at all), verify it, return it."""
        ...

    def find(self, loop: str, alias: Alias) -> Version | None:
        """The version that carries `alias`."""
        ...

    def refuse(self, loop: str, trigger: str, step: str, reason: str) -> None:
        """Keep why the run `trigger` registered nothing, where a person and the runner's adapter can find it."""
        ...


class Archive(Protocol):
    """What is kept with versions for those who ask later."""

    def papers(self, loop: str, version: int) -> Papers:
        """All that is kept with a version, serving or long retired. Raises Fatal when there is no such version."""
        ...

    def dataset(self, loop: str, version: int, into: Path) -> Path:
        """Download the rows that a version was made from to the new directory `into`, and return where they are.

        Raises Fatal when they were not kept with it.
        """
        ...


class Runner(Protocol):
    """Pipeline runs, as Kubeflow Pipelines makes them."""

    def submit(self, request: RunRequest) -> RunState:
        """Make the run unless one with its key exists or one of its loop is active; return the one that counts."""
        ...

    def find(self, key: str) -> RunState | None:
        """The run with this key."""
        ...

    def active(self, loop: str) -> tuple[RunState, ...]:
        """The runs of the loop that may still change; at most one unless somebody meddled."""
        ...

    def cancel(self, key: str) -> None:
        """End the run; it becomes `failed`. Idempotent."""
        ...


@dataclass(frozen=True)
class Entry:
    """A loop's memory as the ledger holds it; `revision` guards against a second writer."""

    status: Status
    revision: int
    requests: tuple[Request, ...]  # asked and not yet handled, oldest first


class Ledger(Protocol):
    """A loop's memory and its inbox."""

    def read(self, loop: str) -> Entry:
        """The status, its revision and the open requests; a loop never heard of has an empty status, revision 0."""
        ...

    def write(self, loop: str, status: Status, events: Sequence[Event], revision: int) -> None:
        """Keep status and events in one step; drops the requests in `status.handled`. Raises Conflict."""
        ...

    def ask(self, loop: str, request: Request) -> None:
        """Put a request into the inbox; the same id twice is one request."""
        ...

    def events(self, loop: str, limit: int = 100) -> tuple[Event, ...]:
        """The latest events, oldest first."""
        ...


class Recorder(Protocol):
    """What was answered and what turned out to be true, as the collector takes it. What it returns for is durable."""

    def add(self, loop: str, predictions: Sequence[Prediction]) -> Taken:
        """Keep answered rows; an id that is held already stays as it is."""
        ...

    def label(self, loop: str, labels: Sequence[Label]) -> Taken:
        """Keep truths, in the order given, each with one of the outcomes of `LabelOutcome`."""
        ...

    def erase(self, loop: str, ids: Sequence[str] = (), keys: Sequence[str] = ()) -> int:
        """Forget these predictions and their labels for good: what comes of them later is refused. A request's id
        stands for all of its rows. Returns how many predictions that were.
        """
        ...

    def expire(self, loop: str, before: datetime) -> int:
        """Forget what was answered before that time, and labels known before it; returns how many rows that were."""
        ...


class Records(Protocol):
    """The same, as those ask who judge, explain and train."""

    def tally(self, loop: str, question: TallyQuestion) -> tuple[Tally, ...]:
        """Counts by version and window, oldest first; a window without rows is left out."""
        ...

    def rows(self, loop: str, question: RowsQuestion) -> tuple[Record, ...]:
        """Records of a window, oldest first."""
        ...

    def find(self, loop: str, ids: Sequence[str] = (), keys: Sequence[str] = ()) -> tuple[Record, ...]:
        """The records with these ids or business keys, oldest first. A request's id stands for all of its rows."""
        ...


Open = Callable[[], Records]
"""Opens the collector's records, for whoever may not need them. Raises Fatal where there is no collector."""


class Audit(Protocol):
    """The audit trail of one installation: append only, chained by digests."""

    def append(self, deeds: Sequence[Deed]) -> int:
        """Keep those whose id is not there yet, in this order, in one step; returns how many those were."""
        ...

    def entries(self, after: int = 0, limit: int = 1000) -> tuple[AuditEntry, ...]:
        """Entries with numbers greater than `after`, oldest first. They are given as they are stored: whoever wants to
        know whether somebody rewrote them asks `decide.audit.verify`.
        """
        ...
