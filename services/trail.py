"""A loop's events in the audit trail: once each, whatever is killed or away in between."""

from __future__ import annotations

from collections import deque
from collections.abc import Sequence
from operator import attrgetter

from serinus.decide.audit import deed
from serinus.errors import SerinusError
from serinus.facts import Event
from serinus.ports import Audit, Ledger

LATEST = 1000  # events of the ledger that are looked through; a cluster's keeps a hundred
_AT_ONCE = 500  # deeds of one append; each may have 2 kB of message, and a request has its limits
_OWED = 10_000  # events that are remembered while the trail is away


class Trail:
    """Keeps one loop's events in `audit`.

    The ledger has them first. Between its write and the trail's, the driver may be killed and the trail may be away;
    so at its first call, and after any that failed, this one takes the ledger's latest events too. The trail itself
    leaves out what it has.

    namespace: the loop's, on a cluster.
    """

    def __init__(self, audit: Audit, namespace: str = "") -> None:
        self._audit, self._namespace = audit, namespace
        self._behind = True
        self._owed: deque[Event] = deque(maxlen=_OWED)  # a ledger may forget what it had before the trail is back

    def keep(self, loop: str, events: Sequence[Event], ledger: Ledger) -> str:
        """Append `events`, which the ledger has, and what lacks before them; returns why it could not, "" if it did."""
        if not events and not self._behind:
            return ""
        self._owed.extend(events)
        try:
            told = [*self._owed, *(ledger.events(loop, LATEST) if self._behind else ())]
            told.sort(key=attrgetter("at"))  # stable: events of one look stay in their order
            deeds = [deed(loop, event, self._namespace) for event in told]
            for start in range(0, len(deeds), _AT_ONCE):
                self._audit.append(deeds[start : start + _AT_ONCE])
        except (SerinusError, OSError) as error:
            self._behind = True
            return f"{error}; what happens is in the loop's history and is added later"
        self._behind = False
        self._owed.clear()
        return ""
