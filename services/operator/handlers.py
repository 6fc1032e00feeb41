"""What kopf watches, and what each event means: a loop is there, a loop should look now. Nothing is written here.

Handlers of raw events only: kopf then leaves neither finalizer nor annotation on anything. Pods are not watched, since
kopf would be sent every pod of the cluster: a version's readiness is in its InferenceService, and while something is
on its way a loop looks every two seconds anyway.
"""

from __future__ import annotations

import json
import logging
from typing import Any

import kopf

from serinus.adapters.kube import HTTP_ROUTES, INFERENCE_SERVICES, LOOP_REQUESTS, MODEL_APPROVALS, MODEL_LOOPS, Kind
from serinus.render.names import GROUP, LOOK, LOOP
from services.operator.loops import Loops
from services.platform import Mode

OURS = (MODEL_LOOPS, LOOP_REQUESTS, MODEL_APPROVALS)


def settings() -> kopf.OperatorSettings:
    """kopf as we need it: quiet, alone (the lease decides), with watches that end and begin anew."""
    made = kopf.OperatorSettings()
    made.posting.enabled = False  # its Events are about its handlers; ours are about loops
    made.posting.level = logging.WARNING
    made.peering.standalone = True
    made.scanning.disabled = True  # else it watches every CRD and namespace, which needs rights for the whole cluster
    made.queueing.idle_timeout = 0.5  # handlers take no time, and the end waits for idle workers
    made.queueing.exit_timeout = 0.5
    made.watching.server_timeout = 240
    made.watching.client_timeout = 300
    made.watching.connect_timeout = 10
    made.networking.request_timeout = 30
    made.networking.connect_timeout = 10
    # Nothing of these is ever written, as no handler needs it; should one do, then under our name.
    made.persistence.finalizer = f"{GROUP}/kopf"
    made.persistence.progress_storage = kopf.AnnotationsProgressStorage(prefix=GROUP)
    made.persistence.diffbase_storage = kopf.AnnotationsDiffBaseStorage(prefix=GROUP)
    return made


def serving(mode: Mode) -> tuple[Kind, ...]:
    """The kinds whose objects say who is served."""
    return (INFERENCE_SERVICES,) if mode == "Knative" else (INFERENCE_SERVICES, HTTP_ROUTES)


def registry(loops: Loops, kinds: tuple[Kind, ...]) -> kopf.OperatorRegistry:
    """The handlers. kinds: those of `serving` that the cluster has."""
    made = kopf.OperatorRegistry()

    wanted: dict[str, str] = {}  # uid -> the latest look that somebody asked for by annotation

    async def loop(type: str | None, meta: Any, **_: Any) -> None:
        if type == "DELETED":
            wanted.pop(meta["uid"], None)
            loops.gone(meta["namespace"], meta["name"])
            return
        look = (meta.get("annotations") or {}).get(LOOK, "")
        changed = bool(meta.get("deletionTimestamp")) or wanted.get(meta["uid"], "") != look
        wanted[meta["uid"]] = look
        loops.noticed(meta["namespace"], meta["name"], meta["generation"], changed)

    async def asked(type: str | None, body: Any, **_: Any) -> None:
        loops.put(json.loads(json.dumps(dict(body))), gone=type == "DELETED")

    seen: dict[str, str] = {}  # uid -> what matters of the object

    async def served(type: str | None, body: Any, meta: Any, labels: Any, **_: Any) -> None:
        matters = _matters(body)
        if type == "DELETED":
            seen.pop(meta["uid"], None)
        elif seen.get(meta["uid"]) == matters:
            return
        else:
            seen[meta["uid"]] = matters
        if type is not None:  # the first listing tells nothing that the first look does not see
            loops.wake(meta["namespace"], labels[LOOP])

    async def login(**arguments: Any) -> kopf.ConnectionInfo | None:
        return kopf.login_via_client(**arguments)  # as Kube does: the pod's account, else KUBECONFIG

    kopf.on.login(registry=made)(login)
    kopf.on.event(*_of(MODEL_LOOPS), registry=made)(loop)
    kopf.on.event(*_of(LOOP_REQUESTS), registry=made)(asked)
    kopf.on.event(*_of(MODEL_APPROVALS), registry=made)(asked)
    for kind in kinds:
        kopf.on.event(*_of(kind), registry=made, labels={LOOP: kopf.PRESENT})(served)
    return made


def _of(kind: Kind) -> tuple[str, str, str]:
    group, version = kind.api.split("/")
    return group, version, kind.plural


def _matters(body: Any) -> str:
    """What of an object's change is worth a look: its spec, and how its conditions stand. Not times and counts."""
    conditions = (body.get("status") or {}).get("conditions") or ()
    stand = sorted((c.get("type", ""), c.get("status", "")) for c in conditions)
    about = body["metadata"]
    return json.dumps([about.get("generation"), about.get("deletionTimestamp"), stand])
