"""One loop of the cluster: its looks, and what a look means beside the ports (finalizer, view, events, jobs).

Synchronous: a look runs in a thread of the pool, never two of one loop at a time.
"""

from __future__ import annotations

import logging
from collections.abc import Callable, Mapping
from contextlib import suppress
from dataclasses import dataclass, field, replace
from datetime import UTC, datetime, timedelta

from serinus import loading
from serinus.adapters.kube import EVENTS, MODEL_LOOPS, Kube, Object
from serinus.errors import Conflict, Fatal, SerinusError, SpecError
from serinus.facts import Event
from serinus.render.kube_events import kube_event
from serinus.render.names import FINALIZER
from serinus.spec import ModelLoop
from services import driver
from services.metrics import LoopMetrics
from services.operator import farewell, pace
from services.operator.jobs import LoopJobs
from services.operator.view import Shown, View
from services.operator.wiring import Current
from services.operator.writers import writer_of
from services.platform import Platform

log = logging.getLogger(__name__)

AGAIN = timedelta(milliseconds=100)  # something changed under our hands: look at it as it is now
RECENT = timedelta(minutes=10)  # so old may an event be that a predecessor wrote down and did not tell


@dataclass(frozen=True)
class Turn:
    """How a look ended."""

    wait: timedelta | None  # until the next one, if nothing wakes the loop before; None: the loop is gone
    result: str = "done"  # of metrics.RESULTS
    generation: int | None = None  # of the spec that was read
    handled: tuple[str, ...] = ()  # ids of requests that are done with


class _Instead(Exception):
    """There is something else to do than to look."""

    def __init__(self, do: Callable[[], Turn]) -> None:
        super().__init__()
        self.do = do


@dataclass
class Keeper:
    """What looks at one loop."""

    namespace: str
    name: str
    kube: Kube
    ports: driver.Ports
    current: Current  # what the ports render from
    platform: Platform
    view: View
    jobs: LoopJobs
    metrics: Callable[[], LoopMetrics]
    since: datetime  # when this process began to look at it
    failures: int = 0  # looks in a row in which something failed
    failed: Mapping[str, str] = field(default_factory=dict)  # what the latest look could not carry out
    told_early: bool = False  # whether what a predecessor may not have told was told
    _mine: bool = False  # whether the name is known to be this loop's
    _parsed: tuple[tuple[str, int], ModelLoop] | None = None
    _object: Object | None = None  # as this look read it
    _unadmitted: str = ""  # why its predictors have no account yet

    def look(self) -> Turn:
        """One look. Whatever goes wrong in it is said, and the next one tries again."""
        now = datetime.now(UTC)
        try:
            return self._look(now)
        except _Instead as instead:
            return self._guarded(instead.do)
        except Fatal as error:
            unreadable = str(error)
            return self._guarded(lambda: self._unreadable(unreadable))
        except Exception as error:
            return self._trouble(error)

    def _guarded(self, do: Callable[[], Turn]) -> Turn:
        try:
            return do()
        except Exception as error:
            return self._trouble(error)

    def _unreadable(self, why: str) -> Turn:
        """The ledger cannot be read, and will not be by waiting. The loop may be deleted all the same."""
        loop = self.kube.get(MODEL_LOOPS, self.namespace, self.name)
        if loop is None:
            return Turn(None)
        self.current.uid = loop["metadata"]["uid"]
        if loop["metadata"].get("deletionTimestamp"):
            return self._leave(loop)
        failures = self.failures + 1
        turn = self._refuse(loop, Shown(unreadable=why))
        self.failures = failures
        return replace(turn, wait=pace.backoff(failures), result="failed")

    def recheck(self) -> None:
        """Another loop of this name came or went: whose the name is has to be asked again."""
        self._mine = False

    def _look(self, now: datetime) -> Turn:
        troubles = {**self.failed}
        looked = driver.look(
            self.name, self._read, self.ports, now, self.since, troubles=troubles, scrape=self.platform.scrape,
            writer=lambda: writer_of(self._seen()[0]),
        )  # fmt: skip
        loop, spec = self._seen()
        self.failed = looked.failed
        self._tell(loop, looked.plan.events)
        self.metrics().show(looked.plan, looked.world.routing, spec, self.since)
        extra = {"predictors' account": self._unadmitted} if self._unadmitted else {}
        try:
            self.jobs.keep(loop, spec, looked.plan.status.champion is not None)
        except SerinusError as error:
            extra["jobs"] = str(error)
        self.failed = {**looked.failed, **extra}
        lacks = _lacks(spec, self.platform)
        self.view.show(loop, Shown(spec=spec, looked=looked), now, {**self.failed, **lacks})
        self._tell_early(loop)
        incomplete = bool(self.failed or looked.world.unseen)
        self.failures = self.failures + 1 if incomplete else 0
        wait = pace.after(spec, looked, now, self.platform.scrape, self.failures)
        result = "incomplete" if incomplete else "done"
        wait, generation = pace.spread(wait, f"{self.namespace}/{self.name}"), loop["metadata"].get("generation")
        return Turn(wait, result, generation, looked.plan.status.handled)

    def _read(self) -> ModelLoop:
        """The spec as it is now. Raises _Instead when this is no loop to look at."""
        loop = self.kube.get(MODEL_LOOPS, self.namespace, self.name)
        if loop is None:
            raise _Instead(lambda: Turn(None))
        self._object = loop
        about = loop["metadata"]
        self.current.uid = about["uid"]
        if about.get("deletionTimestamp"):
            raise _Instead(lambda: self._leave(loop))
        holder = None if self._mine else self._holder(loop)
        if holder is not None:
            raise _Instead(lambda: self._refuse(loop, Shown(taken_by=holder)))
        self._mine = True
        try:
            spec = self._spec(loop)
        except SpecError as error:
            problems = tuple(error.problems)
            raise _Instead(lambda: self._refuse(loop, Shown(problems=problems))) from None
        if beyond := self.platform.beyond(spec):
            raise _Instead(lambda: self._refuse(loop, Shown(problems=beyond)))
        self.current.spec = spec
        if FINALIZER not in (about.get("finalizers") or ()):
            self._finalizers(loop, [*(about.get("finalizers") or ()), FINALIZER])
        self._unadmitted = ""
        try:
            self.jobs.admit(loop, spec)
        except SerinusError as error:  # the look goes on: what serves already has its account
            self._unadmitted = str(error)
        return spec

    def _spec(self, loop: Object) -> ModelLoop:
        key = (loop["metadata"]["uid"], loop["metadata"]["generation"])
        if self._parsed is None or self._parsed[0] != key:
            self._parsed = key, loading.held(loop)
        return self._parsed[1]

    def _seen(self) -> tuple[Object, ModelLoop]:
        if self._object is None or self._parsed is None:
            raise RuntimeError("a look reads the loop first")
        return self._object, self._parsed[1]

    def _holder(self, loop: Object) -> str | None:
        """The namespace of another loop that has this name by right: of two, the one that works, else the elder."""
        where = self.platform.watch_namespace or None
        others = [
            other
            for other in self.kube.list(MODEL_LOOPS, where, name=self.name)
            if other["metadata"]["uid"] != loop["metadata"]["uid"]
        ]
        first = min([loop, *others], key=_right)
        return None if first is loop else str(first["metadata"]["namespace"])

    def _refuse(self, loop: Object, shown: Shown) -> Turn:
        """A loop that cannot be driven: everything stays as it is, and its view says why."""
        now = datetime.now(UTC)
        if self.view.show(loop, shown, now):
            self._tell(loop, [Event(now, shown.reason, shown.sentence)], warning=True)
        self.failures = 0
        generation = loop["metadata"].get("generation")
        return Turn(pace.spread(pace.STEADY, f"{self.namespace}/{self.name}"), "incomplete", generation)

    def _leave(self, loop: Object) -> Turn:
        """Take the loop down, and give its object free when nothing of it is left."""
        now, about = datetime.now(UTC), loop["metadata"]
        if FINALIZER not in (about.get("finalizers") or ()):
            return Turn(None)
        mode = self.platform.serving_mode
        end = farewell.take_down(self.kube, self.ports, mode, self.namespace, self.name, about["uid"])
        if not end.over:
            deleted = datetime.fromisoformat(about["deletionTimestamp"])
            if not farewell.too_long(deleted, now):
                return Turn(pace.QUICK / 2, "incomplete")
            farewell.force(self.kube, mode, self.namespace, self.name, about["uid"])
            left = "; ".join(f"{part}: {why}" for part, why in sorted(end.left.items()))
            said = f"deleted without waiting any longer, look after what may be left: {left}"
            self._tell(loop, [Event(now, "LetGo", said)], warning=True)
        self._finalizers(loop, [f for f in about["finalizers"] if f != FINALIZER])
        return Turn(None)

    def _finalizers(self, loop: Object, wanted: list[str]) -> None:
        about = {"finalizers": wanted, "resourceVersion": loop["metadata"]["resourceVersion"]}
        self._object = self.kube.patch(MODEL_LOOPS, self.namespace, self.name, {"metadata": about})

    def _tell(self, loop: Object, events: tuple[Event, ...] | list[Event], warning: bool | None = None) -> None:
        """As Kubernetes Events, each once. They are a courtesy: the ledger's history is the record."""
        for event in events:
            log.info("%s/%s: %s: %s", self.namespace, self.name, event.kind, event.message)
            try:
                with suppress(Conflict):  # told already
                    self.kube.create(EVENTS, self.namespace, kube_event(loop, event, warning=warning))
            except SerinusError as error:
                log.warning("%s/%s: this event could not be posted: %s", self.namespace, self.name, error)

    def _tell_early(self, loop: Object) -> None:
        """What was written down shortly before this process began: whoever wrote it may have died before telling."""
        if not self.told_early:
            self.told_early = True
            late = [e for e in self.ports.ledger.events(self.name, 20) if self.since - RECENT < e.at < self.since]
            self._tell(loop, late)

    def _trouble(self, error: Exception) -> Turn:
        """A look that came to nothing."""
        if isinstance(error, Conflict):
            return Turn(AGAIN, "incomplete")
        self.failures += 1
        if not isinstance(error, SerinusError):
            log.error("%s/%s: this look failed", self.namespace, self.name, exc_info=error)
        elif self.failures == 1 or self.failures % 20 == 0:
            log.warning("%s/%s: this look failed and will be repeated: %s", self.namespace, self.name, error)
        return Turn(pace.backoff(self.failures), "failed")


def _lacks(spec: ModelLoop, platform: Platform) -> Mapping[str, str]:
    """What the spec asks for and this installation does not have: no look will change it."""
    if spec.spec.collect is None or platform.collector is not None:
        return {}
    return {"collector": "expected one for `collect`, got none: this installation has no collector, so nothing is kept"}


def _right(loop: Object) -> tuple[bool, str, str]:
    """What decides between two loops of one name: who has worked already, then age, then anything that is stable."""
    worked = bool((loop.get("status") or {}).get("revision"))
    return (not worked, loop["metadata"]["creationTimestamp"], loop["metadata"]["uid"])
