"""A namespace in which a KServe router has something to route: small servers in the predictor's stead.

The rest is as on any cluster: KServe makes the pods, the Gateway splits.
"""

from __future__ import annotations

import contextlib
import uuid
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from datetime import timedelta
from functools import partial
from pathlib import Path
from typing import Any

from serinus.adapters.kserve import KServeRouter
from serinus.adapters.kube import CONFIG_MAPS, PODS, SERVICES, SERVING_RUNTIMES, Kind, Kube, Object
from serinus.facts import Routing
from serinus.render import gateway as routes
from serinus.render import kserve, names
from serinus.spec import ModelLoop
from tests import data_sets
from tests.cluster import installation
from tests.servers.callers import Door
from tests.servers.envoy import until

PROGRAM = Path(__file__).with_name("answering.py")
IMAGE = "serinus/predictor:0.1.0"
LOOP = "flights"
PVCS = Kind("v1", "persistentvolumeclaims", "PersistentVolumeClaim")


@dataclass
class Serving:
    """One namespace, one loop `flights`, and the hand of fate on its servers."""

    kube: Kube
    namespace: str
    loop: ModelLoop
    broken: set[int] = field(default_factory=set)

    def router(self, linger: timedelta = timedelta(seconds=2), kube: Kube | None = None) -> KServeRouter:
        return KServeRouter(kube or self.kube, self.namespace, self.service, self.route, linger=linger)

    def service(self, version: int) -> Object:
        """A version's InferenceService, but for the model, which these servers have none of."""
        made = kserve.inference_service(self.loop, version, self.namespace)
        made["spec"]["predictor"]["model"]["storageUri"] = "pvc://nothing"
        return made

    def route(self, weights: Mapping[int, int], mirrors: Mapping[int, int]) -> Object:
        host = names.host(LOOP, self.namespace, installation.DOMAIN)
        timeout = timedelta(seconds=10)
        return routes.http_route(LOOP, self.namespace, host, installation.GATEWAY, weights, timeout, mirrors=mirrors)

    @property
    def door(self) -> Door:
        """Where callers ask."""
        host, port = installation.gateway(self.kube)
        return Door(LOOP, host, port, names.host(LOOP, self.namespace, installation.DOMAIN))

    def pods(self, version: int) -> list[Object]:
        labels = {**kserve.predictor_labels(LOOP), names.VERSION_LABEL: str(version)}
        return list(self.kube.list(PODS, self.namespace, labels))

    def breaks(self, version: int) -> None:
        """It is not ready from now on."""
        self.broken.add(version)
        self._say()

    def heals(self, version: int) -> None:
        """It may be ready again."""
        self.broken.discard(version)
        self._say()

    def dies(self, version: int) -> None:
        """Its server ends without a word, and Kubernetes starts it again."""
        for pod in self.pods(version):
            name = pod["metadata"]["name"]
            before = _restarts(pod)
            with contextlib.suppress(Exception):  # the connection ends with the server
                self._ask(name, "die")
            until(partial(self._restarted, name, before), f"{name} is started again", 60)

    def clear(self) -> None:
        """Nothing is routed, nothing broken."""
        self.broken.clear()
        self._say()
        self.router().apply(LOOP, Routing())
        until(lambda: not self.kube.list(PODS, self.namespace, kserve.predictor_labels(LOOP)), "all pods are gone", 60)

    def _restarted(self, name: str, before: int) -> bool:
        pod = self.kube.get(PODS, self.namespace, name)
        return pod is not None and _restarts(pod) > before

    def _say(self) -> None:
        self._ask("fate", ",".join(map(str, sorted(self.broken))))

    def _ask(self, pod: str, path: str) -> None:
        self.kube.create(Kind("v1", f"pods/{pod}:8080/proxy/{path}", ""), self.namespace, {})


def _restarts(pod: Object) -> int:
    return sum(int(s["restartCount"]) for s in pod["status"].get("containerStatuses") or ())


@contextlib.contextmanager
def serving(**spec: Any) -> Iterator[Serving]:
    """The namespace, gone again afterwards."""
    made, _ = data_sets.binary(10, **spec)
    loop = made.model_copy(update={"metadata": made.metadata.model_copy(update={"name": LOOP})})
    kube = Kube.connect()
    namespace = f"routes-{uuid.uuid4().hex[:5]}"
    labels = {"pod-security.kubernetes.io/enforce": "restricted"}
    about = {"apiVersion": "v1", "kind": "Namespace", "metadata": {"name": namespace, "labels": labels}}
    kube.apply(installation.NAMESPACES, None, about)
    try:
        for kind, what in _surroundings(namespace):
            kube.apply(kind, namespace, what)
        until(lambda: _ready(kube.get(PODS, namespace, "fate")), "fate is ready", 60)
        yield Serving(kube, namespace, loop)
    finally:
        kube.delete(installation.NAMESPACES, None, namespace)


def _ready(pod: Object | None) -> bool:
    conditions = (pod or {}).get("status", {}).get("conditions") or ()
    return any(c["type"] == "Ready" and c["status"] == "True" for c in conditions)


def _surroundings(namespace: str) -> list[tuple[Kind, Object]]:
    code = {"name": "code", "configMap": {"name": "code"}}
    mount = {"name": "code", "mountPath": "/code"}
    runtime = kserve.serving_runtime(IMAGE, namespace=namespace)
    container = runtime["spec"]["containers"][0]
    container["command"] = ["python", "/code/answering.py", "serve"]
    container["resources"] = {"requests": {"cpu": "10m", "memory": "32Mi"}, "limits": {"memory": "128Mi"}}
    container["volumeMounts"].append(mount)
    runtime["spec"]["volumes"].append(code)
    fate = {
        "name": "fate",
        "image": IMAGE,
        "imagePullPolicy": "IfNotPresent",
        "command": ["python", "/code/answering.py", "fate"],
        "securityContext": kserve.container_security(),
        "readinessProbe": {"httpGet": {"path": "/", "port": 8080}, "periodSeconds": 1},
        "volumeMounts": [mount],
    }
    claim = {"accessModes": ["ReadWriteOnce"], "resources": {"requests": {"storage": "1Mi"}}}
    return [
        (CONFIG_MAPS, _object("v1", "ConfigMap", "code", data={"answering.py": PROGRAM.read_text()})),
        (PVCS, _object("v1", "PersistentVolumeClaim", "nothing", spec=claim)),
        (SERVING_RUNTIMES, runtime),
        (SERVICES, _object("v1", "Service", "fate", spec={"selector": {"app": "fate"}, "ports": [{"port": 8080}]})),
        (PODS, _object("v1", "Pod", "fate", {"app": "fate"}, spec={"containers": [fate], "volumes": [code]})),
    ]


def _object(api: str, kind: str, name: str, labels: Mapping[str, str] | None = None, **parts: Any) -> Object:
    return {"apiVersion": api, "kind": kind, "metadata": {"name": name, "labels": dict(labels or {})}, **parts}
