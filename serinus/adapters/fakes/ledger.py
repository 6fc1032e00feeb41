"""The port Ledger in memory."""

from __future__ import annotations

from collections.abc import Sequence

from serinus.errors import Conflict, Unavailable
from serinus.facts import Event, Request, Status
from serinus.ports import Entry


class FakeLedger:
    """Loops' memories in a dictionary; `away` plays a ledger that cannot be asked.

    >>> ledger = FakeLedger()
    >>> ledger.write("flights", Status("flights", champion=1), [], revision=0)
    >>> ledger.read("flights").revision
    1
    """

    def __init__(self) -> None:
        self.away = ""  # why nothing can be asked; empty: it can
        self._kept: dict[str, tuple[Status, int]] = {}
        self._events: dict[str, list[Event]] = {}
        self._inbox: dict[str, dict[str, Request]] = {}

    def read(self, loop: str) -> Entry:
        """The status, its revision and the open requests; a loop never heard of has an empty status, revision 0."""
        self._reach()
        status, revision = self._kept.get(loop, (Status(loop), 0))
        requests = sorted(self._inbox.get(loop, {}).values(), key=lambda r: (r.at, r.id))
        return Entry(status, revision, tuple(r for r in requests if r.id not in status.handled))

    def write(self, loop: str, status: Status, events: Sequence[Event], revision: int) -> None:
        """Keep status and events in one step; drops the requests in `status.handled`. Raises Conflict."""
        self._reach()
        _, current = self._kept.get(loop, (status, 0))
        if current != revision:
            raise Conflict(f"{loop}: expected revision {revision} in the ledger, found {current}; read it again")
        self._kept[loop] = (status, revision + 1)
        self._events.setdefault(loop, []).extend(events)
        for handled in status.handled:
            self._inbox.get(loop, {}).pop(handled, None)

    def ask(self, loop: str, request: Request) -> None:
        """Put a request into the inbox; the same id twice is one request, the first."""
        self._reach()
        self._inbox.setdefault(loop, {}).setdefault(request.id, request)

    def events(self, loop: str, limit: int = 100) -> tuple[Event, ...]:
        """The latest events, oldest first."""
        self._reach()
        return tuple(self._events.get(loop, ())[-limit:]) if limit > 0 else ()

    def _reach(self) -> None:
        if self.away:
            raise Unavailable(self.away)
