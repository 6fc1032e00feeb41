"""Objects that belong to one loop: put as they should be with as few writes as can be, and never somebody else's."""

from __future__ import annotations

import json
from dataclasses import dataclass
from typing import Any

from serinus.adapters.kube import Kind, Kube, Object
from serinus.errors import Fatal, Unavailable
from serinus.render import names

# KServe copies the annotations of an InferenceService to its pods, so that a new value would replace them, but for
# this one, which is meant for just what it is used for here: what was applied, to see what has to be applied anew.
_APPLIED = "kubectl.kubernetes.io/last-applied-configuration"


@dataclass(frozen=True)
class Owned:
    """What carries our label in `namespace` and is owned by the ModelLoop `uid`; "" is any owner, or none."""

    kube: Kube
    namespace: str
    uid: str = ""

    def ours(self, found: Object) -> bool:
        """Whether it is: an earlier loop's of the same name is left to the garbage collector."""
        if (found["metadata"].get("labels") or {}).get("app.kubernetes.io/managed-by") != names.MANAGER:
            return False
        return not self.uid or any(owner["uid"] == self.uid for owner in found["metadata"].get("ownerReferences") or ())

    def put(self, kind: Kind, wanted: Object, found: Object | None) -> None:
        """Make `wanted` so, unless it is; `found` is what there is of ours.

        One that is being deleted is left alone: it can be made again once it is gone. Raises Fatal when somebody else
        has the name, Unavailable when an earlier loop still has it.
        """
        if found is None:
            other = self.kube.get(kind, self.namespace, wanted["metadata"]["name"])
            if other is not None:
                self._disown(kind, other)
        elif found["metadata"].get("deletionTimestamp"):
            return
        text = json.dumps(wanted, sort_keys=True)
        if found is not None and noted_on(found).get(_APPLIED) == text and _contains(found, wanted):
            return
        about = {**wanted["metadata"], "annotations": {**noted_on(wanted), _APPLIED: text}}
        self.kube.apply(kind, self.namespace, {**wanted, "metadata": about})

    def delete(self, kind: Kind, found: Object) -> None:
        """Take it away, with what it owns."""
        if not found["metadata"].get("deletionTimestamp"):
            self.kube.delete(kind, self.namespace, found["metadata"]["name"])

    def _disown(self, kind: Kind, found: Object) -> None:
        what = f"{kind.kind} {self.namespace}/{found['metadata']['name']}"
        if any(owner.get("kind") == "ModelLoop" for owner in found["metadata"].get("ownerReferences") or ()):
            raise Unavailable(f"{what} belongs to an earlier ModelLoop of this name, and is being removed")
        raise Fatal(f"{what} is there and not ours; rename it, or the loop")


def noted_on(of: Object) -> dict[str, str]:
    """Empty when it has none."""
    return of["metadata"].get("annotations") or {}


def _contains(there: Any, wanted: Any) -> bool:
    """Whether every field of `wanted` is there with its value; what the server added is its own."""
    if isinstance(wanted, dict):
        return isinstance(there, dict) and all(k in there and _contains(there[k], v) for k, v in wanted.items())
    if isinstance(wanted, list):
        same = isinstance(there, list) and len(there) == len(wanted)
        return same and all(_contains(a, b) for a, b in zip(there, wanted, strict=True))
    return bool(there == wanted)
