"""Operator processes against a real API server, and players of the parts that an API server without nodes lacks."""

from __future__ import annotations

import os
import re
import signal
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import httpx
import yaml

from serinus.adapters.kube import (
    ENDPOINT_SLICES,
    HTTP_ROUTES,
    INFERENCE_SERVICES,
    MODEL_LOOPS,
    PODS,
    SERVICE_ACCOUNTS,
    Kind,
    Kube,
    Object,
)
from serinus.errors import Conflict, Fatal, SerinusError
from services.cli.tools import EXAMPLE
from services.platform import Platform
from tests.servers import kube_ledgers
from tests.servers.kubernetes import ApiServer
from tests.servers.prometheus import until

NAMESPACES = Kind("v1", "namespaces", "Namespace", namespaced=False)


@dataclass
class Operator:
    """A running `python -m services.operator`."""

    process: subprocess.Popen[bytes]
    log: Path
    port: int = 0

    @property
    def said(self) -> str:
        """All that it has logged."""
        return self.log.read_text()

    def get(self, path: str) -> httpx.Response:
        """What it answers on its port."""
        return httpx.get(f"http://127.0.0.1:{self.port}{path}", timeout=10, trust_env=False)

    def metric(self, series: str) -> float | None:
        """The value of one series, written as Prometheus' text has it."""
        found = re.search(rf"^{re.escape(series)} (\S+)$", self.get("/metrics").text, re.MULTILINE)
        return float(found.group(1)) if found else None

    @property
    def leads(self) -> bool:
        """Whether it says so."""
        return self.get("/readyz").text.startswith("leading")

    def kill(self) -> None:
        """SIGKILL: no goodbye."""
        self.process.kill()
        self.process.wait(30)

    def end(self, seconds: float = 30) -> int:
        """SIGTERM; its exit code."""
        if self.process.poll() is None:
            self.process.send_signal(signal.SIGTERM)
        try:
            return self.process.wait(seconds)
        except subprocess.TimeoutExpired:
            self.process.kill()
            self.process.wait(10)
            raise AssertionError(f"it did not end within {seconds} s:\n{self.said[-3000:]}") from None


@dataclass
class Stage:
    """An API server with Serinus' kinds, and everything that an operator needs around it."""

    server: ApiServer
    platform: Platform
    folder: Path
    operators: list[Operator] = field(default_factory=list)
    python: str = sys.executable  # that operators run in

    @property
    def kube(self) -> Kube:
        return self.server.kube

    def start(self, kubeconfig: Path | None = None, **environment: str) -> Operator:
        """Start one and wait until it answers its probes; whether it leads is another question."""
        log = self.folder / f"operator-{len(self.operators)}.log"
        given = {
            **os.environ,
            **self.platform.environment(),
            "KUBECONFIG": str(kubeconfig or self.server.kubeconfig),
            "SERINUS_METRICS_PORT": "0",
            **environment,
        }
        with log.open("wb") as sink:
            process = subprocess.Popen([self.python, "-m", "services.operator"], env=given, stdout=sink, stderr=sink)
        operator = Operator(process, log)
        self.operators.append(operator)
        operator.port = until(lambda: _port(operator), "the operator says where it listens", 60)
        return operator

    def leading(self, kubeconfig: Path | None = None, **environment: str) -> Operator:
        """Start one and wait until it leads."""
        operator = self.start(kubeconfig, **environment)
        until(lambda: operator.leads, "it leads", 60)
        return operator

    def loop(self, namespace: str, name: str) -> Object:
        """The ModelLoop as it is now; fails when there is none."""
        found = self.kube.get(MODEL_LOOPS, namespace, name)
        assert found is not None, f"there is no ModelLoop {namespace}/{name}"
        return found

    def status(self, namespace: str, name: str) -> Object:
        """Its status; empty when it has none."""
        return dict(self.loop(namespace, name).get("status") or {})

    def apply(self, namespace: str, name: str, **changes: Any) -> Object:
        """Make a ModelLoop from the example with `changes` to parts of its spec, or change one."""
        return self.kube.apply(MODEL_LOOPS, namespace, model_loop(name, **changes), manager="a person")

    def until(self, ask: Callable[[], Any], what: str, seconds: float = 60) -> Any:
        """As `until`, with the latest operator's log when it does not come."""
        try:
            return until(ask, what, seconds)
        except AssertionError as error:
            raise AssertionError(f"{error}\n{self.operators[-1].said[-6000:] if self.operators else ''}") from None


def model_loop(name: str, **changes: Any) -> Object:
    """The example as a loop `name`; `changes` replace keys of parts: `drift=None`, `rollout={"watch": "1s"}`."""
    document: Object = yaml.safe_load(EXAMPLE)
    spec = dict(document["spec"])
    for part, value in changes.items():
        spec[part] = {**(spec.get(part) or {}), **value} if isinstance(value, dict) else value
    return {**document, "metadata": {"name": name}, "spec": spec}


@contextmanager
def stage(server: ApiServer, platform: Platform, folder: Path) -> Iterator[Stage]:
    """The stage for one test; afterwards its operators have ended and no ModelLoop is left."""
    install(server)
    server.namespace(platform.pod_namespace)
    made = Stage(server, platform, folder)
    try:
        yield made
    finally:
        for operator in made.operators:
            operator.end()
        for loop in made.kube.list(MODEL_LOOPS, None):
            about = loop["metadata"]
            made.kube.delete(MODEL_LOOPS, about["namespace"], about["name"])
            with suppress(Fatal):  # gone already
                made.kube.patch(MODEL_LOOPS, about["namespace"], about["name"], {"metadata": {"finalizers": None}})


def install(server: ApiServer) -> None:
    """Serinus' kinds, and stand-ins for those of KServe and the Gateway API: any fields, a status subresource."""
    kube_ledgers.install(server)
    for kind in (INFERENCE_SERVICES, HTTP_ROUTES):
        group, version = kind.api.split("/")
        singular = kind.kind.lower()
        definition = {
            "apiVersion": kube_ledgers.CRDS.api,
            "kind": kube_ledgers.CRDS.kind,
            "metadata": {
                "name": f"{kind.plural}.{group}",
                "annotations": {"api-approved.kubernetes.io": "unapproved, a stand-in"},
            },
            "spec": {
                "group": group,
                "scope": "Namespaced",
                "names": {"kind": kind.kind, "plural": kind.plural, "singular": singular},
                "versions": [
                    {
                        "name": version,
                        "served": True,
                        "storage": True,
                        "schema": {"openAPIV3Schema": {"type": "object", "x-kubernetes-preserve-unknown-fields": True}},
                        "subresources": {"status": {}},
                    }
                ],
            },
        }
        server.kube.apply(kube_ledgers.CRDS, None, definition)
        until(lambda kind=kind: _served(server.kube, kind), f"{kind.plural} are served")  # type: ignore[misc]


@dataclass
class KServe:
    """Plays KServe and the gateway: an InferenceService gets a ready pod, a route is accepted.

    `broken`: names of InferenceServices whose pods never get ready.
    """

    kube: Kube
    namespace: str
    broken: set[str] = field(default_factory=set)
    routes: list[tuple[float, dict[str, int]]] = field(default_factory=list)  # (monotonic, backend -> weight)

    def play(self) -> None:
        """One turn."""
        services = {s["metadata"]["name"]: s for s in self.kube.list(INFERENCE_SERVICES, self.namespace)}
        pods = {p["metadata"]["name"]: p for p in self.kube.list(PODS, self.namespace)}
        for name, service in services.items():
            if name not in pods:
                self._pod(name, service)
            elif name not in self.broken and not pods[name].get("status", {}).get("conditions"):
                self._ready(name, pods[name]["metadata"]["labels"])
        for name in pods.keys() - services.keys():
            self.kube.delete(PODS, self.namespace, name)
            self.kube.delete(ENDPOINT_SLICES, self.namespace, name)
        for route in self.kube.list(HTTP_ROUTES, self.namespace):
            self._accept(route)

    def serve(self, name: str) -> None:
        """Give one InferenceService its ready pod."""
        service = self.kube.get(INFERENCE_SERVICES, self.namespace, name)
        assert service is not None, f"there is no InferenceService {name}"
        self._ready(name, self._pod(name, service))

    def route(self, name: str) -> None:
        """Take one route up."""
        route = self.kube.get(HTTP_ROUTES, self.namespace, name)
        assert route is not None, f"there is no HTTPRoute {name}"
        self._accept(route)

    def _pod(self, name: str, service: Object) -> Object:
        with suppress(Conflict):
            self.kube.create(SERVICE_ACCOUNTS, self.namespace, {"metadata": {"name": "default"}})
        labels = {**service["metadata"]["labels"], "component": "predictor"}
        spec = {"containers": [{"name": "kserve-container", "image": "none"}], "terminationGracePeriodSeconds": 0}
        self.kube.create(PODS, self.namespace, {"metadata": {"name": name, "labels": labels}, "spec": spec})
        return labels

    def _ready(self, name: str, labels: Object) -> None:
        endpoint = {"addresses": ["10.1.2.3"], "conditions": {"ready": True}}
        about = {"metadata": {"name": name, "labels": labels}, "addressType": "IPv4"}
        with suppress(Conflict):
            self.kube.create(ENDPOINT_SLICES, self.namespace, {**about, "endpoints": [endpoint]})
        now = time.strftime("%Y-%m-%dT%H:%M:%SZ", time.gmtime())
        ready = [{"type": "Ready", "status": "True", "lastTransitionTime": now}]
        self.kube.patch(PODS, self.namespace, name, {"status": {"conditions": ready}}, "status")
        self.kube.patch(INFERENCE_SERVICES, self.namespace, name, {"status": {"conditions": ready}}, "status")

    def _accept(self, route: Object) -> None:
        about = route["metadata"]
        parents = [
            {
                "controllerName": "test/gateway",
                "parentRef": {k: ref[k] for k in ("namespace", "name")},
                "conditions": [{"type": "Accepted", "status": "True", "observedGeneration": about["generation"]}],
            }
            for ref in route["spec"]["parentRefs"]
        ]
        weights = {ref["name"]: ref["weight"] for rule in route["spec"]["rules"] for ref in rule["backendRefs"]}
        if not self.routes or self.routes[-1][1] != weights:
            self.routes.append((time.monotonic(), weights))
        if (route.get("status") or {}).get("parents") != parents:
            self.kube.patch(HTTP_ROUTES, self.namespace, about["name"], {"status": {"parents": parents}}, "status")


@contextmanager
def kserve(kube: Kube, namespace: str) -> Iterator[KServe]:
    """One that plays in a thread until the block ends."""
    player, over = KServe(kube, namespace), threading.Event()

    def play() -> None:
        while not over.wait(0.1):
            with suppress(SerinusError):  # the operator changes things at the same time
                player.play()

    thread = threading.Thread(target=play, daemon=True)
    thread.start()
    try:
        yield player
    finally:
        over.set()
        thread.join(10)


def _port(operator: Operator) -> int | None:
    assert operator.process.poll() is None, f"the operator ended: {operator.said[-4000:]}"
    found = re.search(r"health and metrics on [\d.]+:(\d+)", operator.said)
    return int(found.group(1)) if found else None


def _served(kube: Kube, kind: Kind) -> bool:
    with suppress(SerinusError):
        return kube.list(kind, "default") is not None
    return False
