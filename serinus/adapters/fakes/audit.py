"""The port Audit in memory."""

from __future__ import annotations

from collections.abc import Sequence

from serinus.decide.audit import link
from serinus.errors import Unavailable
from serinus.facts import AuditEntry, Deed


class FakeAudit:
    """A trail in a list; `away` plays one that cannot be asked.

    >>> from datetime import UTC, datetime
    >>> audit = FakeAudit()
    >>> audit.append([Deed("a", "flights", datetime.now(UTC), "Promoted", "ann", "it is better")])
    1
    >>> audit.entries()[0].number
    1
    """

    def __init__(self) -> None:
        self.away = ""  # why nothing can be asked; empty: it can
        self._kept: list[AuditEntry] = []

    def append(self, deeds: Sequence[Deed]) -> int:
        """Keep those whose id is not there yet, in this order, in one step; returns how many those were."""
        self._reach()
        before = len(self._kept)
        for deed in deeds:
            entry = link(self._kept[-1] if self._kept else None, deed)
            if all(entry.deed.id != kept.deed.id for kept in self._kept):
                self._kept.append(entry)
        return len(self._kept) - before

    def entries(self, after: int = 0, limit: int = 1000) -> tuple[AuditEntry, ...]:
        """Entries with numbers greater than `after`, oldest first."""
        self._reach()
        return tuple(self._kept[max(0, after) :][: max(0, limit)])

    def _reach(self) -> None:
        if self.away:
            raise Unavailable(self.away)
