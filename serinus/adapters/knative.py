"""Traffic on a cluster, KServe's Knative mode: one InferenceService a loop, split over its revisions by KServe.

The rules of `canaryTrafficPercent` were seen live with KServe 0.20 and Knative Serving 0.48; what is here is tested
against an API server on which a test plays KServe's part.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from serinus.adapters.kserve_pods import by_version, numbered, state, version_of
from serinus.adapters.kube import INFERENCE_SERVICES, PODS, REVISIONS, Kube, Object
from serinus.adapters.kube_owned import Owned
from serinus.facts import Routing, RoutingState, VariantState
from serinus.render import kserve, names
from serinus.render.revisions import Revisions, step

_REVISION = "serving.knative.dev/revision"


@dataclass(frozen=True)
class _Sight:
    """What there is; revisions by name."""

    service: Object | None
    revisions: Mapping[str, Object]
    pods: Mapping[int, list[Object]]

    @property
    def status(self) -> dict[str, Any]:
        components = ((self.service or {}).get("status") or {}).get("components") or {}
        return components.get("predictor") or {}

    def version(self, revision: str | None) -> int | None:
        """Whose revision it is; None when it is nobody's, or gone."""
        found = self.revisions.get(revision or "")
        return version_of(found) if found is not None else None

    @property
    def weights(self) -> dict[int, int]:
        weights: dict[int, int] = {}
        for target in self.status.get("traffic") or ():
            version = self.version(target.get("revisionName"))
            if version is not None:
                weights[version] = weights.get(version, 0) + int(target.get("percent") or 0)
        return weights


class KnativeRouter:
    """`ports.Router` for one loop, whose InferenceService `service` renders, of a version and its percent.

    Two versions at most have a share, and one more is ready without one. uid: the ModelLoop's.
    """

    def __init__(self, kube: Kube, namespace: str, service: Callable[[int, int | None], Object], uid: str = "") -> None:
        self._kube, self._namespace, self._service = kube, namespace, service
        self._owned = Owned(kube, namespace, uid)

    def apply(self, loop: str, routing: Routing) -> None:
        """Bring KServe one step nearer to `routing`; it gives no share to what is not ready.

        Raises Fatal when the loop's name is somebody else's InferenceService, Unavailable when the API server cannot be
        asked.
        """
        sight = self._see(loop)
        if routing.variants:
            version, percent = step(routing, _revisions(sight))
            self._owned.put(INFERENCE_SERVICES, self._service(version, percent), sight.service)
        elif sight.service is not None:
            self._owned.delete(INFERENCE_SERVICES, sight.service)

    def observe(self, loop: str) -> RoutingState:
        """What KServe says that Knative splits. Raises Unavailable when the API server cannot be asked."""
        sight = self._see(loop)
        if sight.service is None:
            return RoutingState()
        named = (
            version_of(sight.service),
            *(sight.version(sight.status.get(key)) for key in ("latestRolledoutRevision", "previousRolledoutRevision")),
        )
        versions = {version for version in named if version is not None} | sight.weights.keys()
        return RoutingState(tuple(_state(sight, version) for version in sorted(versions)))

    def _see(self, loop: str) -> _Sight:
        found = self._kube.get(INFERENCE_SERVICES, self._namespace, loop)
        ours = found is not None and self._owned.ours(found) and numbered(found)
        revisions = self._kube.list(REVISIONS, self._namespace, {names.LOOP: loop})
        return _Sight(
            found if ours else None,
            {revision["metadata"]["name"]: revision for revision in revisions if numbered(revision)},
            by_version(self._kube.list(PODS, self._namespace, kserve.predictor_labels(loop))),
        )


def _revisions(sight: _Sight) -> Revisions | None:
    if sight.service is None:
        return None
    status = sight.status
    return Revisions(
        latest=version_of(sight.service),
        ready=sight.version(status.get("latestReadyRevision")),
        rolled_out=sight.version(status.get("latestRolledoutRevision")),
        before=sight.version(status.get("previousRolledoutRevision")),
    )


def _state(sight: _Sight, version: int) -> VariantState:
    """Ready is what Knative says of the newest revision: one that was scaled to none is woken by a request."""
    revisions = sorted(
        (revision for revision in sight.revisions.values() if version_of(revision) == version),
        key=lambda revision: (revision["metadata"].get("creationTimestamp", ""), revision["metadata"]["name"]),
    )
    condition = _ready(revisions)
    pods = state(version, sight.weights.get(version, 0), sight.service, sight.pods.get(version, []), ())
    ready = condition.get("status") == "True"
    said = f"{condition.get('reason', '')}: {condition.get('message', '')}".strip(": ")
    message = "" if ready else (pods.message if sight.pods.get(version) else said) or pods.message
    return VariantState(version, ready, pods.weight, message, pods.restarts)


def _ready(revisions: Sequence[Object]) -> dict[str, Any]:
    conditions = (revisions[-1].get("status") or {}).get("conditions") or () if revisions else ()
    return next((condition for condition in conditions if condition.get("type") == "Ready"), {})
