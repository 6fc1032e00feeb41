"""Requests as Kubernetes objects and back: LoopRequest, ModelApproval. Pure."""

from __future__ import annotations

import json
from datetime import UTC, datetime
from typing import TypeVar

from serinus import wire
from serinus.adapters.kube import LOOP_REQUESTS, MODEL_APPROVALS, MODEL_LOOPS, Kind, Object
from serinus.errors import Fatal
from serinus.facts import DriftFinding, QualityFinding, Request
from serinus.render import names

T = TypeVar("T")


def object_of(loop: str, request: Request, user: str, owner: str) -> tuple[Kind, Object]:
    """The object that asks `request` of `loop` in the name of `user`, who is the one that makes it.

    owner: uid of the ModelLoop. LoopRequests go when it goes; ModelApprovals stay, they are the audit trail.
    """
    about: Object = {"name": names.request(loop, request.id), "labels": names.labels(loop)}
    if request.kind in ("approve", "reject"):
        kind, spec = MODEL_APPROVALS, _approval(loop, request, user)
    else:
        kind, spec = LOOP_REQUESTS, _request(loop, request, user)
        reference = {"apiVersion": MODEL_LOOPS.api, "kind": MODEL_LOOPS.kind, "name": loop, "uid": owner}
        about["ownerReferences"] = [reference]
    return kind, {"apiVersion": kind.api, "kind": kind.kind, "metadata": about, "spec": spec}


def request_of(item: Object) -> Request:
    """What a LoopRequest or a ModelApproval asks for.

    A ModelApproval's id is its uid and its time is when the API server took it: nobody can choose either.
    """
    spec, about = item["spec"], item["metadata"]
    if item["kind"] == MODEL_APPROVALS.kind:
        reason = spec.get("reason") or ""
        return Request(about["uid"], spec["decision"], created(item), spec["approver"], spec["version"], reason)
    return Request(
        spec.get("id", about["uid"]),
        spec["kind"],
        _at(spec.get("at") or "") or created(item),
        spec["by"],
        spec.get("version"),
        spec.get("reason") or "",
        _found(DriftFinding, spec.get("finding")),
        spec.get("run") or "",
        _found(QualityFinding, spec.get("quality")),
        spec.get("rows"),
        spec.get("learned"),
        _at(spec.get("pulled") or ""),
    )


def created(item: Object) -> datetime:
    """When the API server made the object, to the second."""
    return datetime.fromisoformat(item["metadata"]["creationTimestamp"]).astimezone(UTC)


def _approval(loop: str, request: Request, user: str) -> Object:
    return {
        "loop": loop,
        "version": request.version,
        "decision": request.kind,
        "reason": request.reason,
        "approver": user,
    }


def _request(loop: str, request: Request, user: str) -> Object:
    spec: Object = {
        "loop": loop,
        "id": request.id,
        "kind": request.kind,
        "by": user,
        "at": request.at.astimezone(UTC).isoformat(),
    }
    if request.version is not None:
        spec["version"] = request.version
    if request.reason:
        spec["reason"] = request.reason
    if request.run:
        spec["run"] = request.run
    if request.finding is not None:
        spec["finding"] = json.loads(wire.dump(request.finding))
    if request.quality is not None:
        spec["quality"] = json.loads(wire.dump(request.quality))
    if request.rows is not None:
        spec["rows"] = request.rows
    if request.learned is not None:
        spec["learned"] = request.learned
    if request.pulled is not None:
        spec["pulled"] = request.pulled.astimezone(UTC).isoformat()
    return spec


# Who may write LoopRequests must not be able to stop a loop by a wrong one: what is no time or no finding is none.


def _at(text: str) -> datetime | None:
    try:
        at = datetime.fromisoformat(text)
    except ValueError:
        return None
    return at if at.tzinfo is not None else None


def _found(kind: type[T], found: object) -> T | None:
    try:
        return wire.load(kind, json.dumps(found).encode()) if found is not None else None
    except Fatal:
        return None
