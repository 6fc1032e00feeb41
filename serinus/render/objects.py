"""What every rendered Kubernetes object has: a name, labels, and the ModelLoop that it belongs to."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
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


def account(
    name: str, namespace: str, rules: Sequence[Rendered], *, loop: str, uid: str
) -> tuple[Rendered, Rendered, Rendered]:
    """ServiceAccount, Role and RoleBinding, in the order in which they are made: whoever runs by it may do `rules` in
    its namespace, and nothing else.
    """
    about = metadata(name, namespace, names.labels(loop), loop=loop, uid=uid)
    rbac = "rbac.authorization.k8s.io"
    return (
        {"apiVersion": "v1", "kind": "ServiceAccount", "metadata": about, "automountServiceAccountToken": False},
        {"apiVersion": f"{rbac}/v1", "kind": "Role", "metadata": about, "rules": list(rules)},
        {
            "apiVersion": f"{rbac}/v1",
            "kind": "RoleBinding",
            "metadata": about,
            "roleRef": {"apiGroup": rbac, "kind": "Role", "name": name},
            "subjects": [{"kind": "ServiceAccount", "name": name, "namespace": namespace}],
        },
    )


def token(name: str, path: str, audience: str, seconds: int) -> tuple[Rendered, Rendered]:
    """The volume `name` with a token of the pod's account that only `audience` takes, and its mount: the file `path`.

    The kubelet renews it before its `seconds` are over.
    """
    folder, _, file = path.rpartition("/")
    source = {"audience": audience, "path": file, "expirationSeconds": seconds}
    volume = {"name": name, "projected": {"sources": [{"serviceAccountToken": source}]}}
    return volume, {"name": name, "mountPath": folder, "readOnly": True}
