"""The collector put together."""

from __future__ import annotations

from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from pathlib import Path

from services.collector import retention
from services.collector.auth import Anybody, Cluster, Guard
from services.collector.desk import Desk
from services.collector.door import Crew, Door, Life, Limits
from services.collector.logged import Logged
from services.collector.metrics import CollectorMetrics
from services.collector.server import Chores, Collector
from services.collector.store import InTurn, Store, hash_key
from services.collector.table import router


@dataclass(frozen=True)
class Settings:
    """What the command line says; the address apart."""

    database: str = field(repr=False)  # its URL, which holds a password
    hash_key_file: Path | None = None
    audit_file: Path | None = None
    kubernetes: bool = False  # who may do what is asked of the API server
    home: str = ""  # the one namespace that it is for, "": all
    events_of: frozenset[str] = frozenset()  # namespaces whose payload loggers need no token
    retention: timedelta = timedelta(days=90)
    forget_every: timedelta = timedelta(hours=1)
    threads: int = 4  # that write; the database's adapter has ten connections for all of them
    queue: int = 64
    body: int = 8 * 1024 * 1024
    pending: int = 64 * 1024 * 1024
    upload: float = 30.0  # seconds
    drain: float = 5.0  # seconds
    grace: float = 30.0  # seconds


def collector(settings: Settings, now: Callable[[], datetime]) -> Collector:
    """The server, ready to listen; it has asked the database nothing yet. Raises Fatal."""
    import prometheus_client

    prometheus_client.disable_created_metrics()  # type: ignore[no-untyped-call]  # a second series for each counter
    audit = None
    if settings.audit_file is not None:
        from serinus.adapters.audit_file import FileAudit

        audit = InTurn(FileAudit(settings.audit_file))
    store = Store(settings.database, hash_key(settings.hash_key_file), audit)
    metrics = CollectorMetrics()
    guard: Guard = Anybody()
    kept = retention.same(settings.retention)
    if settings.kubernetes:
        from serinus.adapters.kube import Kube

        kube = Kube.connect(timeout=5.0)
        guard, kept = Cluster(kube), retention.of_model_loops(kube, settings.retention)
    desk = Desk(store, metrics, now)
    logged, life = Logged(desk, now, settings.events_of), Life()
    crew = Crew(
        _threads("write", settings.threads), _threads("read", max(1, settings.threads // 2)), _threads("ask", 4)
    )
    limits = Limits(settings.body, settings.queue, settings.pending, 4 * settings.body, settings.upload)
    door = Door(router(desk, logged, life, settings.home), guard, crew, metrics, limits, life)
    chores = Chores(
        executor=_threads("tidy", 2),
        sweep=logged.sweep,
        forget=lambda: retention.forget(store, kept, metrics, now),
        every=settings.forget_every.total_seconds(),
    )
    return Collector(door, store, chores, settings.drain, settings.grace)


def _threads(name: str, most: int) -> ThreadPoolExecutor:
    return ThreadPoolExecutor(most, thread_name_prefix=name)
