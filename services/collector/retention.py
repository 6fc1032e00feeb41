"""What is old is forgotten: after the time that a loop's own file names, else after the collector's."""

from __future__ import annotations

import logging
from collections.abc import Callable
from datetime import datetime, timedelta
from typing import Protocol

from serinus import durations
from serinus.adapters.kube import MODEL_LOOPS, Kube
from serinus.errors import Fatal, SerinusError
from services.collector.metrics import CollectorMetrics
from services.collector.store import Store

log = logging.getLogger("serinus.collector")


class Retention(Protocol):
    """How long the records of a loop are kept."""

    def __call__(self, namespace: str, loop: str) -> timedelta:
        """Raises SerinusError when it cannot be known now: then nothing is forgotten."""
        ...


def same(length: timedelta) -> Retention:
    """The same of every loop."""
    return lambda namespace, loop: length  # noqa: ARG005


def of_model_loops(kube: Kube, otherwise: timedelta) -> Retention:
    """What each ModelLoop says; `otherwise` where there is none of this name, or it says nothing."""

    def length(namespace: str, loop: str) -> timedelta:
        found = kube.get(MODEL_LOOPS, namespace, loop)
        said = (((found or {}).get("spec") or {}).get("collect") or {}).get("retention")
        try:
            return otherwise if said is None else durations.parse(said)
        except ValueError as error:
            raise Fatal(f"ModelLoop {namespace}/{loop}: spec.collect.retention: {error}") from None

    return length


def forget(store: Store, retention: Retention, metrics: CollectorMetrics, now: Callable[[], datetime]) -> int:
    """One round over all loops; returns how many rows went. What fails of one loop is said, and the others go on.

    Raises Unavailable when the loops cannot even be listed.
    """
    total = 0
    for namespace, loop in store.loops():
        try:
            gone = store.records(namespace).expire(loop, now() - retention(namespace, loop))
        except SerinusError as error:
            metrics.retention_failures.inc()
            log.warning("old records of %s/%s are still there: %s", namespace, loop, error)
            continue
        metrics.expired(namespace, loop, gone)
        total += gone
    return total
