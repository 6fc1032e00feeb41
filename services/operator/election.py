"""Who drives: a Lease that one replica holds, as every Kubernetes controller does it (client-go's rules).

A lease counts as held until `DURATION` has passed on the observer's own monotonic clock since it last saw the lease
change: nobody's wall clock decides. A holder that cannot renew for `PATIENCE` stops itself well before that.
"""

from __future__ import annotations

import logging
import threading
import time
from collections.abc import Callable
from contextlib import suppress
from dataclasses import dataclass, field
from datetime import UTC, datetime
from typing import Any

from serinus.adapters.kube import LEASES, Kube
from serinus.errors import Conflict, SerinusError

log = logging.getLogger(__name__)

NAME = "serinus-operator"
DURATION = 15.0  # seconds a silent holder keeps the lease
RENEW = 5.0  # seconds between two renewals
PATIENCE = 10.0  # seconds without a renewal after which a holder ends itself
RETRY = 1.0  # seconds between two looks of a standby at the lease, and between tries to renew

_Mark = tuple[str, str, str]  # holder, renewTime, resourceVersion


@dataclass
class Election:
    """One replica's part in it. `identity` names the replica; nobody else may have it."""

    kube: Kube
    namespace: str
    identity: str
    name: str = NAME
    leading: bool = False
    holder: str = ""  # as last seen
    told: Callable[[str], None] = lambda _: None  # is told of the holder at every look
    _renewed: float = 0.0  # monotonic; of our own latest renewal
    _trouble: str = ""  # why the latest renewal failed
    _mark: _Mark | None = None
    _marked: float = 0.0  # monotonic; when `_mark` was first seen
    _stop: threading.Event = field(default_factory=threading.Event)
    _thread: threading.Thread | None = None

    def acquire(self, stop: threading.Event) -> bool:
        """Wait until this replica leads; False when `stop` came first."""
        while not stop.is_set():
            with suppress(SerinusError):  # an API server that is away has no lease to give
                if self.attempt(time.monotonic()):
                    return True
            stop.wait(RETRY)
        return False

    def attempt(self, now: float) -> bool:
        """One try to take or to renew the lease at `now` (monotonic); whether it is ours. Raises what Kube does."""
        lease = self.kube.get(LEASES, self.namespace, self.name)
        try:
            if lease is None:
                body = {"metadata": {"name": self.name}, "spec": self._spec(0)}
                self._took(now, self.kube.create(LEASES, self.namespace, body))
                return True
            if not self._free(lease, now):
                self.leading = False
                return False
            transitions = int(lease["spec"].get("leaseTransitions") or 0)
            mine = lease["spec"].get("holderIdentity") == self.identity
            body = {
                "metadata": {"resourceVersion": lease["metadata"]["resourceVersion"]},
                "spec": self._spec(transitions + (not mine), None if mine else datetime.now(UTC)),
            }
            self._took(now, self.kube.patch(LEASES, self.namespace, self.name, body))
        except Conflict:
            return False  # another replica was quicker
        return True

    def keep(self, lost: Callable[[str], None]) -> None:
        """Renew in a thread of its own; `lost` is told when the lease is gone or could not be renewed in time.

        Another thread watches the time, since a request that hangs must not let the lease run out unnoticed.
        """
        self._thread = threading.Thread(target=self._renew, args=(lost,), name="lease", daemon=True)
        self._thread.start()
        threading.Thread(target=self._guard, args=(lost,), name="lease guard", daemon=True).start()

    def release(self) -> None:
        """Stop renewing and give the lease up, so that a standby takes over at once."""
        self._stop.set()
        if self._thread is not None:
            self._thread.join(PATIENCE)
        if not self.leading:
            return
        self.leading = False
        with suppress(SerinusError):
            lease = self.kube.get(LEASES, self.namespace, self.name)
            if lease is not None and lease["spec"].get("holderIdentity") == self.identity:
                body = {
                    "metadata": {"resourceVersion": lease["metadata"]["resourceVersion"]},
                    "spec": {"holderIdentity": "", "leaseDurationSeconds": 1, "renewTime": _micro(datetime.now(UTC))},
                }
                self.kube.patch(LEASES, self.namespace, self.name, body)

    def _renew(self, lost: Callable[[str], None]) -> None:
        wait = RENEW
        while not self._stop.wait(wait):
            wait = RETRY
            try:
                if self.attempt(time.monotonic()):
                    wait = RENEW
                elif self.holder != self.identity:
                    self.leading = False
                    lost(f"{self.holder or 'nobody'} holds the lease")
                    return
            except SerinusError as error:
                self._trouble = str(error)

    def _guard(self, lost: Callable[[str], None]) -> None:
        while not self._stop.wait(RETRY / 2):
            if time.monotonic() - self._renewed > PATIENCE:
                self.leading = False
                lost(f"the lease could not be renewed for {PATIENCE:.0f} s: {self._trouble or 'no answer'}")
                return

    def _free(self, lease: dict[str, Any], now: float) -> bool:
        """Whether the lease is nobody's, ours, or of somebody who has been silent for too long."""
        spec = lease.get("spec") or {}
        self.holder = spec.get("holderIdentity") or ""
        self.told(self.holder)
        mark = (self.holder, str(spec.get("renewTime")), lease["metadata"]["resourceVersion"])
        if mark != self._mark:
            self._mark, self._marked = mark, now
        silent = now - self._marked
        return self.holder in ("", self.identity) or silent >= float(spec.get("leaseDurationSeconds") or DURATION)

    def _took(self, now: float, lease: dict[str, Any]) -> None:
        self._renewed, self.leading, self.holder = now, True, self.identity
        self._mark, self._marked = None, now
        log.debug("lease %s is ours at %s", self.name, lease["metadata"]["resourceVersion"])

    def _spec(self, transitions: int, acquired: datetime | None = None) -> dict[str, Any]:
        now = datetime.now(UTC)
        return {
            "holderIdentity": self.identity,
            "leaseDurationSeconds": int(DURATION),
            "renewTime": _micro(now),
            "leaseTransitions": transitions,
            **({"acquireTime": _micro(acquired or now)} if acquired is not None or transitions == 0 else {}),
        }


def _micro(at: datetime) -> str:
    """Kubernetes' MicroTime."""
    return at.strftime("%Y-%m-%dT%H:%M:%S.%fZ")
