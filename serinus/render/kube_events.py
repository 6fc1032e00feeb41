"""A loop's events as Kubernetes shows them: `kubectl describe loop`, `kubectl get events`."""

from __future__ import annotations

import hashlib
from datetime import UTC
from typing import Any  # Kubernetes objects are JSON

from serinus.facts import Event
from serinus.render.names import MANAGER

WARNINGS = frozenset({"RolledBack", "BroughtBack", "RunFailed", "DriftFound", "CannotSee", "RecordLost"})
"""Events that somebody should look at; all others are Normal."""
_LONGEST = 1024  # characters of a message; the API refuses more
COMPONENT = f"{MANAGER}-operator"


def kube_event(loop: dict[str, Any], event: Event, *, warning: bool | None = None) -> dict[str, Any]:
    """The Kubernetes Event for `event` of the ModelLoop `loop`. Telling it twice is one Event: its name is its content.

    warning: whether its type is Warning; None goes by WARNINGS.
    """
    about = loop["metadata"]
    at = event.at.astimezone(UTC).strftime("%Y-%m-%dT%H:%M:%SZ")
    content = f"{about['uid']}|{event.at.isoformat()}|{event.kind}|{event.message}"
    worrying = event.kind in WARNINGS if warning is None else warning
    return {
        "apiVersion": "v1",
        "kind": "Event",
        "metadata": {
            "name": f"{about['name']}.{hashlib.sha256(content.encode()).hexdigest()[:16]}",
            "namespace": about["namespace"],
        },
        "involvedObject": {
            "apiVersion": "serinus.dev/v1alpha1",
            "kind": "ModelLoop",
            "name": about["name"],
            "namespace": about["namespace"],
            "uid": about["uid"],
        },
        "reason": event.kind,
        "message": event.message if len(event.message) <= _LONGEST else event.message[: _LONGEST - 3] + "...",
        "type": "Warning" if worrying else "Normal",
        "firstTimestamp": at,
        "lastTimestamp": at,
        "count": 1,
        "source": {"component": COMPONENT},
        "reportingComponent": COMPONENT,
        "reportingInstance": COMPONENT,
    }
