"""From one installation's addresses to the ports of any of its loops."""

from __future__ import annotations

import threading
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass
from datetime import timedelta

from serinus.adapters.collector_api import CollectorClient
from serinus.adapters.knative import KnativeRouter
from serinus.adapters.kserve import KServeRouter
from serinus.adapters.kube import Kube, Object
from serinus.adapters.kube_ledger import KubeLedger
from serinus.adapters.mlflow import MlflowRegistry
from serinus.adapters.prometheus import PrometheusMetrics
from serinus.decide import counts
from serinus.errors import Fatal
from serinus.facts import Routing, RoutingState
from serinus.ports import Router, Runner
from serinus.render import gateway, kserve, names
from serinus.spec import ModelLoop
from services import runs
from services.driver import Ports
from services.operator.breaker import Breaker, GuardedAudit, GuardedMetrics, GuardedRegistry, GuardedRunner
from services.operator.jobs import LoopJobs
from services.platform import Platform
from services.trail import Trail

Inbox = Callable[[str, str], Iterable[Object]]
"""A namespace and a loop to its LoopRequests and ModelApprovals."""
_AUDIT_TIMEOUT = 5.0  # seconds; a look waits for it, when something happened
_DEADLINE = timedelta(hours=1)  # of runs of a loop whose spec nobody can read; they are about to be ended anyway


@dataclass
class Current:
    """A loop as the look under way has read it: what is rendered is rendered from this."""

    uid: str = ""
    spec: ModelLoop | None = None

    @property
    def known(self) -> ModelLoop:
        """The spec. Raises Fatal when none was read: nothing can be made for such a loop."""
        if self.spec is None:
            raise Fatal("expected a valid spec to make objects from, got none yet")
        return self.spec


class ClusterWiring:
    """The ports of every loop. What loops can share they share: connections, versions, experiments."""

    def __init__(self, platform: Platform, kube: Kube, inbox: Inbox) -> None:
        self._platform, self._kube, self._inbox = platform, kube, inbox
        self._registry = MlflowRegistry(platform.mlflow_url)
        self._metrics: dict[str, PrometheusMetrics] = {}  # by namespace
        self._runners: dict[timedelta, Runner] = {}  # that look, and make no runs; by deadline
        self._lock = threading.Lock()
        self._prometheus, self._mlflow, self._kfp, self._collector = Breaker(), Breaker(), Breaker(), Breaker()
        at = platform.collector
        self._audit = CollectorClient(at.url, token_path=at.token_path, timeout=_AUDIT_TIMEOUT) if at else None

    def ports(self, namespace: str, loop: str, current: Current) -> Ports:
        """The ports of a loop; they follow `current`."""
        return Ports(
            GuardedMetrics(self._counters(namespace), self._prometheus),
            _Router(lambda: self._router(namespace, loop, current)),
            GuardedRegistry(self._registry, self._mlflow),
            GuardedRunner(lambda: self._looking(current), lambda: self._making(current), self._kfp),
            KubeLedger(self._kube, namespace, lambda name: self._inbox(namespace, name)),
            Trail(GuardedAudit(self._audit, self._collector), namespace) if self._audit is not None else None,
        )

    def jobs(self) -> LoopJobs:
        """What keeps a loop's jobs."""
        return LoopJobs(self._kube, self._platform)

    def close(self) -> None:
        """Close the connections."""
        for metrics in self._metrics.values():
            metrics.close()
        if self._audit is not None:
            self._audit.close()

    def _counters(self, namespace: str) -> PrometheusMetrics:
        if namespace not in self._metrics:
            self._metrics[namespace] = PrometheusMetrics(
                self._platform.prometheus_url,
                where={"namespace": namespace},
                instead={counts.LABELLED: {"loop_namespace": namespace}},  # the collector's, for all namespaces
            )
        return self._metrics[namespace]

    def _router(self, namespace: str, loop: str, current: Current) -> Router:
        collector = self._platform.collector
        if self._platform.serving_mode == "Knative":

            def knative(version: int, percent: int | None) -> Object:
                return kserve.knative_service(
                    current.known, version, percent, namespace, current.uid, collector=collector
                )

            return KnativeRouter(self._kube, namespace, knative, current.uid)

        host = names.host(loop, namespace, self._platform.domain)

        def service(version: int) -> Object:
            return kserve.inference_service(current.known, version, namespace, current.uid, collector=collector)

        def route(weights: Mapping[int, int], mirrors: Mapping[int, int]) -> Object:
            timeout, at = current.known.spec.serving.timeout, self._platform.gateway
            return gateway.http_route(loop, namespace, host, at, weights, timeout, current.uid, mirrors)

        return KServeRouter(self._kube, namespace, service, route, current.uid)

    def _looking(self, current: Current) -> Runner:
        """A runner for questions: whose pipeline it is does not matter to them, when a run is late does."""
        from serinus.adapters.kfp_api import KfpRunner

        platform, spec = self._platform, current.spec
        deadline = spec.spec.training.deadline if spec is not None else _DEADLINE
        with self._lock:
            if deadline not in self._runners:
                self._runners[deadline] = KfpRunner(
                    platform.kfp_url, runs.compiled(), platform.mlflow_url, platform.kfp_namespace,
                    platform.kfp_token_path, deadline, self._registry.reason, refuse=self._registry.refuse,
                )  # fmt: skip
            return self._runners[deadline]

    def _making(self, current: Current) -> Runner:
        """A runner that makes the loop's own runs; rendering its pipeline takes a tenth of a second, seldom."""
        return runs.runner(self._platform, current.known, self._registry)


@dataclass(frozen=True)
class _Router:
    """A router made anew for each call, from the spec as it is then."""

    made: Callable[[], Router]

    def apply(self, loop: str, routing: Routing) -> None:
        self.made().apply(loop, routing)

    def observe(self, loop: str) -> RoutingState:
        return self.made().observe(loop)
