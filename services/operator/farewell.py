"""Taking a deleted loop down: the route, then the run, then everything that was made for it; models stay.

Callers lose the route first, so that none is sent to a server that is going. Level-triggered like a look: it is
repeated until all is gone, and lets go after `PATIENCE` of what cannot be asked, since a finalizer that waits for a
dead Kubeflow would keep the namespace for ever.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from typing import Any

from serinus.adapters.kube import (
    CRON_JOBS,
    HTTP_ROUTES,
    INFERENCE_SERVICES,
    LOOP_REQUESTS,
    ROLE_BINDINGS,
    ROLES,
    SERVICE_ACCOUNTS,
    Kind,
    Kube,
)
from serinus.errors import SerinusError
from serinus.facts import Routing
from serinus.render import names
from services.driver import Ports
from services.platform import Mode

PATIENCE = timedelta(minutes=1)  # from the deletion on, with what cannot be asked
_BOTH: tuple[Kind, ...] = (INFERENCE_SERVICES, CRON_JOBS, ROLE_BINDINGS, ROLES, SERVICE_ACCOUNTS, LOOP_REQUESTS)


def made(mode: Mode) -> tuple[Kind, ...]:
    """The kinds of a loop's objects, in the order in which they go. ModelApprovals are the audit trail and stay."""
    return _BOTH if mode == "Knative" else (HTTP_ROUTES, *_BOTH)  # the Gateway API need not be there for Knative


@dataclass
class Farewell:
    """How far a loop's end has come."""

    left: dict[str, str] = field(default_factory=dict)  # part -> what is still there, or why it cannot be asked

    @property
    def over(self) -> bool:
        """Whether nothing is left."""
        return not self.left


def take_down(kube: Kube, ports: Ports, mode: Mode, namespace: str, loop: str, uid: str) -> Farewell:
    """Do what can be done now. Never raises what a part raises: one that is away does not keep the others."""
    end = Farewell()
    _try(end, "router", lambda: _unroute(ports, loop, end))
    _try(end, "runner", lambda: _cancel(ports, loop))
    if "router" not in end.left:
        for kind in made(mode):
            _try(end, kind.plural, lambda kind=kind: _sweep(kube, kind, namespace, loop, uid))  # type: ignore[misc]
    return end


def force(kube: Kube, mode: Mode, namespace: str, loop: str, uid: str) -> None:
    """What is left after all patience, by kind, whatever the router says of it."""
    ignored = Farewell()
    for kind in made(mode):
        _try(ignored, kind.plural, lambda kind=kind: _sweep(kube, kind, namespace, loop, uid))  # type: ignore[misc]


def too_long(deleted: datetime, now: datetime) -> bool:
    """Whether all patience is used up; counted from the deletion, so that a restart does not begin anew."""
    return now - deleted >= PATIENCE


def _unroute(ports: Ports, loop: str, end: Farewell) -> None:
    ports.router.apply(loop, Routing())
    serving = ports.router.observe(loop).variants
    if serving:
        end.left["router"] = f"still serving: {', '.join(f'version {v.version}' for v in serving)}"


def _cancel(ports: Ports, loop: str) -> None:
    for run in ports.runner.active(loop):
        ports.runner.cancel(run.key)


def _sweep(kube: Kube, kind: Kind, namespace: str, loop: str, uid: str) -> None:
    """Everything of `kind` that carries our labels, unless it says that it belongs to another ModelLoop."""
    for item in kube.list(kind, namespace, names.labels(loop)):
        if _owners(item) <= {uid}:
            kube.delete(kind, namespace, item["metadata"]["name"])


def _owners(item: dict[str, Any]) -> set[str]:
    references = item["metadata"].get("ownerReferences") or ()
    return {reference["uid"] for reference in references if reference.get("kind") == "ModelLoop"}


def _try(end: Farewell, part: str, do: Callable[[], None]) -> None:
    try:
        do()
    except (SerinusError, OSError) as error:
        end.left[part] = str(error)
