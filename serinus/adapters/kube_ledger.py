"""The port Ledger on Kubernetes: memory in the ModelLoop's status, the inbox as LoopRequests and ModelApprovals.

One PATCH of the status, guarded by the object's resourceVersion, is the moment at which a write happened; memory and
history are in it together. LoopRequests are deleted after it, and whoever reads leaves out those that the memory has
handled, so a kill -9 between any two steps shows either the old state or the new one, whole.

`Status.handled` is bounded, what it forgets must never come back. So a write that makes it forget a LoopRequest deletes
that first; and since ModelApprovals stay for ever (they are the audit trail), the memory keeps beside the status the
time up to which they are `settled`. The API server sets an object's creationTimestamp, nobody else can.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass, fields
from datetime import datetime

from serinus import wire
from serinus.adapters.kube import (
    LOOP_REQUESTS,
    MODEL_APPROVALS,
    MODEL_LOOPS,
    SELF_SUBJECT_REVIEWS,
    Kube,
    Object,
)
from serinus.adapters.kube_history import added, event_of
from serinus.adapters.kube_requests import created, object_of, request_of
from serinus.errors import Conflict, Fatal, SerinusError
from serinus.facts import Event, Request, Status
from serinus.ports import Entry

Inbox = Callable[[str], Iterable[Object]]
"""A loop's name to its LoopRequests and ModelApprovals, whole objects with `kind`; others among them do not matter."""
Cached = Callable[[str], Object | None]
"""A loop's name to its ModelLoop, None where it is not known."""
_RACES = 10  # times that a write goes on when others (spec, labels, the operator's view) wrote the object meanwhile


@dataclass(frozen=True)
class _Memory(Status):
    """What status.memory holds: the Status, and up to when ModelApprovals are over that `handled` forgot."""

    settled: datetime | None = None


@dataclass(frozen=True)
class _Kept:
    """A ModelLoop as the ledger sees it."""

    status: Status
    revision: int
    settled: datetime | None
    born: datetime
    history: Sequence[Object]
    uid: str
    resource_version: str

    def strange(self, item: Object) -> bool:
        """Whether it was asked of a loop of the same name that was there before."""
        owners = [each["uid"] for each in item["metadata"].get("ownerReferences") or ()]
        return self.uid not in owners if owners else created(item) < self.born

    def open(self, item: Object) -> bool:
        """Whether the object is still to be handled, as far as its age and kind tell."""
        if self.strange(item) or _going(item):  # the latter was taken back
            return False
        return item["kind"] != MODEL_APPROVALS.kind or self.settled is None or created(item) > self.settled


class KubeLedger:
    """The memories of the loops of one namespace.

    inbox, cached: what the caller's watches hold, so that a look at a loop where nothing happened asks the API server
    nothing. They may lag, but must have been filled once; a ModelLoop older than what this ledger has seen or written
    is not believed. None asks the API server.

    Who asks is whom the API server authenticates: what is kept as `Request.by` is the client's own user name, and the
    `by` that a caller passes is not kept, since anybody could write anything there.

    Verbs raise Unavailable when the API server is away, Fatal when it refuses (no right, no such ModelLoop) or when a
    status is not one of ours.
    """

    def __init__(self, kube: Kube, namespace: str, inbox: Inbox | None = None, cached: Cached | None = None) -> None:
        self._kube, self.namespace = kube, namespace
        self._inbox, self._cached = inbox or self._listed, cached
        self._seen: dict[str, int] = {}  # loop -> the revision that the API server told last
        self._user = ""

    def read(self, loop: str) -> Entry:
        """The status, its revision and the open requests; without a ModelLoop an empty status, revision 0."""
        inbox = tuple(self._inbox(loop))
        # After the inbox: what a write removed from it meanwhile is in `handled` here.
        kept = self._remembered(loop) or self._kept(loop)
        if kept is None:
            return Entry(Status(loop), 0, ())
        handled = set(kept.status.handled)
        waiting: dict[str, Request] = {}
        for item in inbox:
            request = request_of(item) if _of(loop, item) and kept.open(item) else None
            if request is not None and request.id not in handled:
                waiting.setdefault(request.id, request)
        return Entry(kept.status, kept.revision, tuple(sorted(waiting.values(), key=lambda r: (r.at, r.id))))

    def write(self, loop: str, status: Status, events: Sequence[Event], revision: int) -> None:
        """Keep status and events in one step; drops the LoopRequests in `status.handled`. Raises Conflict.

        Raises Fatal when the ModelLoop was deleted.
        """
        inbox = [item for item in self._inbox(loop) if _of(loop, item)]
        for _ in range(_RACES):
            kept = self._kept(loop)
            if kept is None:
                raise Fatal(f"{self._place(loop)} is gone; what it remembered went with it")
            if kept.revision != revision:
                raise Conflict(
                    f"{loop}: expected revision {revision} in the ledger, found {kept.revision}; read it again"
                )
            settled = self._forget(kept, set(kept.status.handled) - set(status.handled), inbox)
            try:
                self._kube.patch(MODEL_LOOPS, self.namespace, loop, _patch(kept, status, events, settled), "status")
            except Conflict:  # the object changed in between; whether its memory did is seen at the next turn
                continue
            self._seen[loop] = revision + 1
            break
        else:
            raise Conflict(f"{self._place(loop)} changes too often to be written; try again")
        self._sweep(kept, set(status.handled), inbox)

    def ask(self, loop: str, request: Request) -> None:
        """Put a request into the inbox; the same id twice is one request, the first.

        Raises Fatal when there is no such ModelLoop, or when we may not ask.
        """
        self.put(loop, request)

    def put(self, loop: str, request: Request) -> str:
        """As `ask`; returns the id by which `Status.handled` will name it: a ModelApproval's is its object's uid."""
        kept = self._kept(loop)
        if kept is None:
            raise Fatal(f"there is no {self._place(loop)}")
        if request.id in kept.status.handled:
            return request.id
        kind, body = object_of(loop, request, self.user(), kept.uid)
        decision = kind is MODEL_APPROVALS
        try:
            made: Object | None = self._kube.create(kind, self.namespace, body)
        except Conflict:  # asked already
            made = self._kube.get(kind, self.namespace, body["metadata"]["name"]) if decision else None
        return str(made["metadata"]["uid"]) if decision and made is not None else request.id

    def events(self, loop: str, limit: int = 100) -> tuple[Event, ...]:
        """The latest events, oldest first; the ledger keeps some hundred."""
        kept = self._kept(loop)
        return tuple(event_of(item) for item in kept.history[-limit:]) if kept is not None and limit > 0 else ()

    def user(self) -> str:
        """Whom the API server takes us for."""
        if not self._user:
            about = {"apiVersion": SELF_SUBJECT_REVIEWS.api, "kind": SELF_SUBJECT_REVIEWS.kind}
            review = self._kube.create(SELF_SUBJECT_REVIEWS, None, about)
            self._user = review["status"]["userInfo"]["username"]
        return self._user

    # --- reading -------------------------------------------------------------------------------------------------

    def _kept(self, loop: str) -> _Kept | None:
        """The ModelLoop as it is now."""
        found = self._kube.get(MODEL_LOOPS, self.namespace, loop)
        kept = _read(found, self.namespace) if found is not None else None
        self._seen[loop] = kept.revision if kept is not None else 0
        return kept

    def _remembered(self, loop: str) -> _Kept | None:
        """The ModelLoop as the caller's watch holds it, unless that is known to be old."""
        found = self._cached(loop) if self._cached is not None else None
        if found is None or _revision(found) < self._seen.get(loop, 0):
            return None
        return _read(found, self.namespace)

    def _listed(self, _: str) -> Iterable[Object]:
        # By spec.loop, not by label: who writes a ModelApproval by hand may leave the label out.
        for kind in (LOOP_REQUESTS, MODEL_APPROVALS):
            yield from self._kube.list(kind, self.namespace)

    def _place(self, loop: str) -> str:
        return f"ModelLoop {self.namespace}/{loop}"

    # --- writing -------------------------------------------------------------------------------------------------

    def _forget(self, kept: _Kept, ids: set[str], inbox: Sequence[Object]) -> datetime | None:
        """Make sure that what `handled` forgets cannot come back; returns up to when approvals are settled."""
        settled = kept.settled
        for item in inbox:
            if not ids or request_of(item).id not in ids:
                continue
            if item["kind"] == MODEL_APPROVALS.kind:
                settled = max(settled or kept.born, created(item))
            else:
                self._kube.delete(LOOP_REQUESTS, self.namespace, item["metadata"]["name"])
        return settled

    def _sweep(self, kept: _Kept, handled: set[str], inbox: Sequence[Object]) -> None:
        """Delete the LoopRequests that are over; what cannot be deleted now is tried again at the next write."""
        for item in inbox:
            over = request_of(item).id in handled or kept.strange(item)
            if item["kind"] == LOOP_REQUESTS.kind and over and not _going(item):
                try:
                    self._kube.delete(LOOP_REQUESTS, self.namespace, item["metadata"]["name"])
                except SerinusError:
                    return


def _of(loop: str, item: Object) -> bool:
    return bool(item["spec"].get("loop") == loop)


def _going(item: Object) -> bool:
    """Whether it was deleted and only somebody's finalizer holds it."""
    return "deletionTimestamp" in item["metadata"]


def _revision(found: Object) -> int:
    return (found.get("status") or {}).get("revision") or 0


def _read(found: Object, namespace: str) -> _Kept:
    status, about = found.get("status") or {}, found["metadata"]
    memory = _Memory(about["name"])
    if status.get("memory"):
        try:
            memory = wire.load(_Memory, status["memory"].encode())
        except Fatal as error:
            raise Fatal(f"ModelLoop {namespace}/{about['name']}: status.memory: {error}") from error
    return _Kept(
        Status(**{f.name: getattr(memory, f.name) for f in fields(Status)}),
        _revision(found),
        memory.settled,
        created(found),
        status.get("history") or (),
        about["uid"],
        about["resourceVersion"],
    )


def _patch(kept: _Kept, status: Status, events: Sequence[Event], settled: datetime | None) -> Object:
    memory = _Memory(**{f.name: getattr(status, f.name) for f in fields(Status)}, settled=settled)
    return {
        "metadata": {"resourceVersion": kept.resource_version},
        "status": {
            "revision": kept.revision + 1,
            "memory": wire.dump(memory).decode(),
            "history": added(kept.history, events),
        },
    }
