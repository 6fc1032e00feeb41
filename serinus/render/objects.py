"""What every rendered Kubernetes object has: a name, labels, and the ModelLoop that it belongs to."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any  # Kubernetes objects are JSON

from serinus.render import names

Rendered = dict[str, Any]


def owner(loop: str, uid: str) -> Rendered:
    """The ModelLoop as the one whose deletion takes an object along."""
    return {
        "apiVersion": f"{names.GROUP}/{names.VERSION}",
        "kind": "ModelLoop",
        "name": loop,
        "uid": uid,
        "controller": True,
        "blockOwnerDeletion": True,
    }


def metadata(
    name: str,
    namespace: str,
    labels: Mapping[str, str],
    annotations: Mapping[str, str] | None = None,
    *,
    loop: str,
    uid: str,
) -> Rendered:
    """Of an object that goes with the ModelLoop `loop` of this uid; "" when it has no owner."""
    made: Rendered = {"name": name, "namespace": namespace, "labels": dict(labels)}
    if annotations:
        made["annotations"] = dict(annotations)
    if uid:
        made["ownerReferences"] = [owner(loop, uid)]
    return made
