"""KServe's and Knative's part in Knative mode, played by a test: what `canaryTrafficPercent` does, as seen live.

Its rules are those of KServe 0.20's ksvc reconciler and of `PropagateStatus`.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any


@dataclass
class Played:
    """One InferenceService's revisions; each change of the version it names is a new one."""

    broken: set[int] = field(default_factory=set)  # versions whose revisions never get ready
    revisions: list[int] = field(default_factory=list)  # the version of each revision, oldest first
    ready: int | None = None  # the latest ready revision, by index
    rolled_out: int | None = None
    before: int | None = None
    traffic: dict[int, int] = field(default_factory=dict)  # revision -> percent

    def reconcile(self, version: int, percent: int | None) -> None:
        """KServe looks at the spec; Knative makes the revision and, unless it is broken, gets it ready afterwards."""
        if not self.revisions or self.revisions[-1] != version:
            self.revisions.append(version)
        self._route(percent)
        if self.revisions[-1] not in self.broken:
            self.ready = len(self.revisions) - 1
        self._route(percent)

    def _route(self, percent: int | None) -> None:
        if self.ready is None:
            return
        latest = 100 if percent is None or self.rolled_out is None else percent
        self.traffic = {self.ready: latest}
        if latest < 100:
            assert self.rolled_out is not None
            self.traffic[self.rolled_out] = self.traffic.get(self.rolled_out, 0) + 100 - latest
        if self.rolled_out != self.ready:
            if latest == 100:
                self.before, self.rolled_out = self.rolled_out, self.ready
        elif self.ready == len(self.revisions) - 1 and latest < 100 and self.before is not None:
            self.rolled_out = self.before  # rolled back after it had everything
            self._route(percent)

    @property
    def shares(self) -> dict[int, int]:
        """Version -> percent."""
        shares: dict[int, int] = {}
        for revision, percent in self.traffic.items():
            if percent:
                shares[self.revisions[revision]] = shares.get(self.revisions[revision], 0) + percent
        return shares

    def version(self, revision: int | None) -> int | None:
        return None if revision is None else self.revisions[revision]

    def status(self, name: str) -> dict[str, Any]:
        """The InferenceService's, as KServe writes it."""
        known = {
            "latestCreatedRevision": len(self.revisions) - 1,
            "latestReadyRevision": self.ready,
            "latestRolledoutRevision": self.rolled_out,
            "previousRolledoutRevision": self.before,
        }
        said: dict[str, Any] = {key: revision_name(name, at) for key, at in known.items() if at is not None}
        said["traffic"] = [
            {"revisionName": revision_name(name, at), "percent": percent, "latestRevision": at == self.ready}
            for at, percent in self.traffic.items()
        ]
        return {"components": {"predictor": said}}


def revision_name(name: str, at: int) -> str:
    """As Knative calls a revision."""
    return f"{name}-predictor-{at + 1:05d}"
