"""Traffic on a cluster, KServe's Standard mode: an InferenceService a version, and an HTTPRoute that splits.

What is true is read from the API server each time, and what has to be remembered (since when a version that leaves is
without traffic) stands on the route: a router is made anew for each look and has no memory.
"""

from __future__ import annotations

import json
import re
from collections.abc import Callable, Collection, Mapping
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from typing import Any

from serinus.adapters.kserve_pods import state
from serinus.adapters.kube import HTTP_ROUTES, INFERENCE_SERVICES, PODS, Kind, Kube, Object
from serinus.errors import Fatal, Unavailable
from serinus.facts import Routing, RoutingState, VariantState
from serinus.render import gateway as render
from serinus.render import kserve, names
from serinus.render.shares import shares
from serinus.spec import ModelLoop

IDLE = f"{names.GROUP}/idle"
"""Annotation of the route: since when the gateway has had each version without a share, as JSON."""
WARM = timedelta(seconds=1)
"""How long a gateway knows a version before it gets a share. Without that, Contour's Envoy answered 503 for some 20 ms:
it heard of the share before it heard of the addresses."""
LINGER = timedelta(seconds=5)
"""How long a version stays after its share was taken away: a request may be on its way to it."""
# KServe copies every annotation of an InferenceService to its pods, so that a new value would replace them, but for
# this one, which is meant for just what it is used for here: what was applied, to see what has to be applied anew.
_APPLIED = "kubectl.kubernetes.io/last-applied-configuration"


@dataclass(frozen=True)
class _Sight:
    """What there is."""

    services: Mapping[int, Object]  # ours, by version
    pods: Mapping[int, list[Object]]
    route: Object | None

    @property
    def weights(self) -> dict[int, int]:
        return _weights(self.route) if self.route is not None else {}


class KServeRouter:
    """`ports.Router` for one loop, whose objects `service` (of a version) and `route` (of weights) render.

    uid: the ModelLoop's; objects of an earlier loop of the same name are left to the garbage collector.
    """

    def __init__(
        self,
        kube: Kube,
        namespace: str,
        service: Callable[[int], Object],
        route: Callable[[Mapping[int, int]], Object],
        uid: str = "",
        linger: timedelta = LINGER,
        clock: Callable[[], datetime] = lambda: datetime.now(UTC),
    ) -> None:
        self._kube, self._namespace = kube, namespace
        self._service, self._route = service, route
        self._uid, self._linger, self._clock = uid, linger, clock

    def apply(self, loop: str, routing: Routing) -> None:
        """Move towards `routing`: servers, then the gateway knows them, then shares; what leaves the other way around.

        Returns at once; call it again until `observe` shows it. Raises Fatal when an object of a name of ours belongs
        to somebody else, Unavailable when the API server cannot be asked or an earlier loop's objects still end.
        """
        sight, now = self._see(loop), self._clock()
        desired = [variant.version for variant in routing.variants]
        if not desired:
            self._remove(sight)
            return
        for version in desired:
            self._put(INFERENCE_SERVICES, self._service(version), sight.services.get(version))
        ready = [version for version in desired if self._state(sight, version).ready]
        idle = self._idle(sight.route, now) if sight.route is not None else {}
        weights = _split(routing, ready, sight.weights, {v for v, since in idle.items() if now - since >= WARM})
        over = {v for v, since in idle.items() if now - since >= self._linger} - set(desired)
        gone = over if sight.route is not None and _accepted(sight.route) else set()
        for version in gone:
            weights.pop(version, None)
        if weights:
            self._put(HTTP_ROUTES, self._route(weights), sight.route)
        for version, service in sight.services.items():
            if version not in desired and version not in weights:
                self._delete(INFERENCE_SERVICES, service)

    def observe(self, loop: str) -> RoutingState:
        """What the route splits now, and how the servers are.

        Raises Unavailable when the API server cannot be asked, or the gateway has not taken the route up: the shares
        are then unknown.
        """
        sight = self._see(loop)
        if sight.route is not None:
            _accepted(sight.route, complain=True)
        versions = sorted(sight.services.keys() | sight.weights.keys())
        return RoutingState(tuple(self._state(sight, version) for version in versions))

    def _state(self, sight: _Sight, version: int) -> VariantState:
        return state(version, sight.weights.get(version, 0), sight.services.get(version), sight.pods.get(version, []))

    def _see(self, loop: str) -> _Sight:
        services = self._kube.list(INFERENCE_SERVICES, self._namespace, names.labels(loop))
        pods: dict[int, list[Object]] = {}
        for pod in self._kube.list(PODS, self._namespace, kserve.predictor_labels(loop)):
            if _numbered(pod):
                pods.setdefault(_version(pod), []).append(pod)
        route = self._kube.get(HTTP_ROUTES, self._namespace, loop)
        return _Sight(
            {_version(service): service for service in services if self._ours(service) and _numbered(service)},
            pods,
            route if route is not None and self._ours(route) else None,
        )

    def _put(self, kind: Kind, wanted: Object, found: Object | None) -> Object:
        """Make `wanted` so, unless it is."""
        name = wanted["metadata"]["name"]
        if found is None:
            other = self._kube.get(kind, self._namespace, name)
            if other is not None:
                self._disown(kind, other)
        elif found["metadata"].get("deletionTimestamp"):
            return found  # it can only be made again once it is gone
        text = json.dumps(wanted, sort_keys=True)
        if found is not None and _annotations(found).get(_APPLIED) == text and _contains(found, wanted):
            return found
        about = {**wanted["metadata"], "annotations": {**_annotations(wanted), _APPLIED: text}}
        return self._kube.apply(kind, self._namespace, {**wanted, "metadata": about})

    def _idle(self, route: Object, now: datetime) -> Mapping[int, datetime]:
        """Since when the gateway has had versions in the route without a share; notes those it sees first now."""
        noted = json.loads(_annotations(route).get(IDLE, "{}"))
        without = [version for version, weight in _weights(route).items() if weight == 0]
        idle = {v: datetime.fromisoformat(noted[str(v)]) for v in without if str(v) in noted}
        if not _accepted(route):
            return idle
        idle = {version: idle.get(version, now) for version in without}
        text = {str(version): since.isoformat() for version, since in sorted(idle.items())}
        if text != noted:
            about = {"annotations": {IDLE: json.dumps(text)}}
            self._kube.patch(HTTP_ROUTES, self._namespace, route["metadata"]["name"], {"metadata": about})
        return idle

    def _remove(self, sight: _Sight) -> None:
        if sight.route is not None:
            self._delete(HTTP_ROUTES, sight.route)
        for service in sight.services.values():
            self._delete(INFERENCE_SERVICES, service)

    def _delete(self, kind: Kind, found: Object) -> None:
        if not found["metadata"].get("deletionTimestamp"):
            self._kube.delete(kind, self._namespace, found["metadata"]["name"])

    def _ours(self, found: Object) -> bool:
        if (found["metadata"].get("labels") or {}).get("app.kubernetes.io/managed-by") != names.MANAGER:
            return False
        owners = found["metadata"].get("ownerReferences") or ()
        return not self._uid or any(owner["uid"] == self._uid for owner in owners)

    def _disown(self, kind: Kind, found: Object) -> None:
        about = found["metadata"]
        what = f"{kind.kind} {self._namespace}/{about['name']}"
        if any(owner.get("kind") == "ModelLoop" for owner in about.get("ownerReferences") or ()):
            raise Unavailable(f"{what} belongs to an earlier ModelLoop of this name, and is being removed")
        raise Fatal(f"{what} is there and not ours; rename it, or the loop")


def _split(routing: Routing, ready: Collection[int], now: Mapping[int, int], warm: Collection[int]) -> dict[int, int]:
    """What the route should say next, towards `routing`: version -> percent, of all that the gateway should know.

    now: what it says; empty when there is no route yet. warm: without a share, but known to the gateway for a while.
    """
    if not now:
        first = shares(routing, ready)
        return {version: first.get(version, 0) for version in ready} if first else {}
    may = [version for version in ready if version in warm or now.get(version)]
    # Nobody who is wanted is ready: what there is may yet be right, nothing else can be.
    split = shares(routing, may) or {version: weight for version, weight in now.items() if weight}
    return {version: split.get(version, 0) for version in sorted({*now, *ready})}


def _accepted(route: Object, complain: bool = False) -> bool:
    """Whether the gateway has taken up the route as it is now."""
    about, wanted = route["metadata"], route["spec"]["parentRefs"][0]
    why = "it has not looked at it yet"
    for parent in (route.get("status") or {}).get("parents") or ():
        ref = parent["parentRef"]
        if (ref.get("namespace"), ref["name"]) != (wanted["namespace"], wanted["name"]):
            continue
        for condition in parent.get("conditions") or ():
            if (
                condition["type"] == "Accepted"
                and condition.get("observedGeneration", about["generation"]) >= about["generation"]
            ):
                if condition["status"] == "True":
                    return True
                why = f"{condition.get('reason')}: {condition.get('message')}"
    if complain:
        gate = f"{wanted['namespace']}/{wanted['name']}"
        raise Unavailable(f"gateway {gate} has not taken up HTTPRoute {about['namespace']}/{about['name']}: {why}")
    return False


def _weights(route: Object) -> dict[int, int]:
    """Version -> percent, of a route that `render.gateway` rendered."""
    before, _, after = names.service(_loop(route), 0).rpartition("0")
    pattern = re.escape(before) + r"(\d+)" + re.escape(after)
    refs = (ref for rule in route["spec"].get("rules") or () for ref in rule.get("backendRefs") or ())
    found = ((re.fullmatch(pattern, ref["name"]), int(ref.get("weight", 1))) for ref in refs)
    return {int(named[1]): weight for named, weight in found if named is not None}


def _contains(there: Any, wanted: Any) -> bool:
    """Whether every field of `wanted` is there with its value; what the server added is its own."""
    if isinstance(wanted, dict):
        return isinstance(there, dict) and all(k in there and _contains(there[k], v) for k, v in wanted.items())
    if isinstance(wanted, list):
        same = isinstance(there, list) and len(there) == len(wanted)
        return same and all(_contains(a, b) for a, b in zip(there, wanted, strict=True))
    return bool(there == wanted)


def _annotations(of: Object) -> dict[str, str]:
    return of["metadata"].get("annotations") or {}


def _loop(of: Object) -> str:
    return str(of["metadata"]["labels"][names.LOOP])


def _version(of: Object) -> int:
    return int(of["metadata"]["labels"][names.VERSION_LABEL])


def _numbered(of: Object) -> bool:
    """Whether it says which version it is: not all that carries a loop's label was made here."""
    return str((of["metadata"].get("labels") or {}).get(names.VERSION_LABEL, "")).isdecimal()


def standard(
    kube: Kube, loop: ModelLoop, namespace: str, gateway: str, domain: str, uid: str = "", service_account: str = ""
) -> KServeRouter:
    """The router of `loop` as its spec is now. gateway: `namespace/name`; its host is below `domain`."""

    def service(version: int) -> Object:
        return kserve.inference_service(loop, version, namespace, uid, service_account)

    def route(weights: Mapping[int, int]) -> Object:
        host = names.host(loop.name, namespace, domain)
        return render.http_route(loop.name, namespace, host, gateway, weights, loop.spec.serving.timeout, uid)

    return KServeRouter(kube, namespace, service, route, uid)
