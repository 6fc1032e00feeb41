"""Traffic on a cluster, KServe's Standard mode: an InferenceService a version, and an HTTPRoute that splits.

What is true is read from the API server each time, and what has to be remembered (since when a version that leaves is
without traffic) stands on the route: a router is made anew for each look and has no memory.
"""

from __future__ import annotations

import json
import re
from collections.abc import Callable, Collection, Iterable, Mapping
from dataclasses import dataclass, replace
from datetime import UTC, datetime, timedelta

from serinus.adapters.kserve_pods import by_version, numbered, state, version_of
from serinus.adapters.kube import ENDPOINT_SLICES, HTTP_ROUTES, INFERENCE_SERVICES, PODS, Kube, Object
from serinus.adapters.kube_owned import Owned, noted_on
from serinus.errors import Unavailable
from serinus.facts import Routing, RoutingState, VariantState
from serinus.render import kserve, names
from serinus.render.shares import copies, shares

IDLE = f"{names.GROUP}/idle"
"""Annotation of the route: since when the gateway has had each version without a share, as JSON."""
WARM = timedelta(seconds=2)
"""How long a gateway knows a version before it gets a share. Without that, Contour's Envoy answered 503 for some 20 ms:
it heard of the share before it heard of the addresses."""
LINGER = timedelta(seconds=5)
"""How long a version stays after its share was taken away: a request may be on its way to it."""


@dataclass(frozen=True)
class _Sight:
    """What there is."""

    services: Mapping[int, Object]  # ours, by version
    pods: Mapping[int, list[Object]]
    slices: Mapping[int, list[Object]]
    route: Object | None

    @property
    def weights(self) -> dict[int, int]:
        return _weights(self.route) if self.route is not None else {}


class KServeRouter:
    """`ports.Router` for one loop, whose objects `service` (of a version) and `route` (of weights and of who gets
    copies, both by version in percent) render.

    uid: the ModelLoop's; objects of an earlier loop of the same name are left to the garbage collector.
    """

    def __init__(
        self,
        kube: Kube,
        namespace: str,
        service: Callable[[int], Object],
        route: Callable[[Mapping[int, int], Mapping[int, int]], Object],
        uid: str = "",
        linger: timedelta = LINGER,
        clock: Callable[[], datetime] = lambda: datetime.now(UTC),
    ) -> None:
        self._kube, self._namespace = kube, namespace
        self._owned = Owned(kube, namespace, uid)
        self._service, self._route = service, route
        self._linger, self._clock = linger, clock

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
            self._owned.put(INFERENCE_SERVICES, self._service(version), sight.services.get(version))
        ready = [version for version in desired if self._state(sight, version).ready]
        broken = set(desired) - set(ready)
        idle = self._idle(sight.route, broken, now) if sight.route is not None else {}
        weights = _split(routing, ready, sight.weights, {v for v, since in idle.items() if now - since >= WARM})
        over = {v for v, since in idle.items() if now - since >= self._linger} - set(desired)
        gone = over if sight.route is not None and _accepted(sight.route) else set()
        for version in gone:
            weights.pop(version, None)
        if weights:
            self._owned.put(HTTP_ROUTES, self._route(weights, copies(routing, ready)), sight.route)
        for version, service in sight.services.items():
            if version not in desired and version not in weights:
                self._owned.delete(INFERENCE_SERVICES, service)

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
        service, weight = sight.services.get(version), sight.weights.get(version, 0)
        seen = state(version, weight, service, sight.pods.get(version, []), sight.slices.get(version, []))
        return replace(seen, mirror=_mirrors(sight.route).get(version, 0)) if sight.route is not None else seen

    def _see(self, loop: str) -> _Sight:
        services = self._kube.list(INFERENCE_SERVICES, self._namespace, names.labels(loop))
        route = self._kube.get(HTTP_ROUTES, self._namespace, loop)
        return _Sight(
            {version_of(service): service for service in services if self._owned.ours(service) and numbered(service)},
            by_version(self._kube.list(PODS, self._namespace, kserve.predictor_labels(loop))),
            by_version(self._kube.list(ENDPOINT_SLICES, self._namespace, kserve.predictor_labels(loop))),
            route if route is not None and self._owned.ours(route) else None,
        )

    def _idle(self, route: Object, broken: Collection[int], now: datetime) -> Mapping[int, datetime]:
        """Since when the gateway has had versions in the route without a share; notes those it sees first now.

        broken: wanted and not ready, whose time begins anew when they are.
        """
        noted = json.loads(noted_on(route).get(IDLE, "{}"))
        without = [version for version, weight in _weights(route).items() if weight == 0 and version not in broken]
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
            self._owned.delete(HTTP_ROUTES, sight.route)
        for service in sight.services.values():
            self._owned.delete(INFERENCE_SERVICES, service)


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
    refs = (ref for rule in route["spec"].get("rules") or () for ref in rule.get("backendRefs") or ())
    return _by_version(route, ((ref["name"], int(ref.get("weight", 1))) for ref in refs))


def _mirrors(route: Object) -> dict[int, int]:
    """Version -> percent of the requests that it gets a copy of, of a route that `render.gateway` rendered."""
    filters = (each for rule in route["spec"].get("rules") or () for each in rule.get("filters") or ())
    copied = [each["requestMirror"] for each in filters if each["type"] == "RequestMirror"]
    return _by_version(route, ((each["backendRef"]["name"], int(each.get("percent", 100))) for each in copied))


def _by_version(route: Object, services: Iterable[tuple[str, int]]) -> dict[int, int]:
    """Of the names of Services, those of the loop's versions."""
    before, _, after = names.service(_loop(route), 0).rpartition("0")
    pattern = re.escape(before) + r"(\d+)" + re.escape(after)
    found = ((re.fullmatch(pattern, name), percent) for name, percent in services)
    return {int(named[1]): percent for named, percent in found if named is not None}


def _loop(of: Object) -> str:
    return str(of["metadata"]["labels"][names.LOOP])
