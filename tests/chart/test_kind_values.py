"""What `make kind-up` gives the chart."""

from __future__ import annotations

from typing import Any

import yaml

from serinus import loading
from tools import chart

ROOT = chart.ROOT
VALUES = ROOT / "tools" / "kind"


def _made() -> list[dict[str, Any]]:
    return chart.rendered("--values", str(VALUES / "serinus-values.yaml"))


def test_the_chart_takes_the_values_of_the_kind_cluster_and_makes_what_prometheus_needs() -> None:
    kinds = [o["kind"] for o in _made()]
    assert {"PodMonitor", "PrometheusRule", "ConfigMap"} <= set(kinds)


def test_the_kind_cluster_keeps_what_its_loop_answers() -> None:
    made = {(o["kind"], o["metadata"]["name"]) for o in _made()}
    assert {("Deployment", "serinus-collector"), ("PersistentVolumeClaim", "serinus-collector")} <= made
    loop = loading.read(ROOT / "examples" / "flights" / "kubernetes.yaml")
    assert loop.spec.collect is not None


def test_what_the_chart_expects_is_what_the_kind_cluster_has() -> None:
    given = yaml.safe_load((chart.CHART / "values.yaml").read_text())
    gateway = next(o for o in yaml.safe_load_all((VALUES / "gateway.yaml").read_text()) if o["kind"] == "Gateway")
    assert given["serving"]["gateway"] == f"{gateway['metadata']['namespace']}/{gateway['metadata']['name']}"
    kserve = yaml.safe_load((VALUES / "kserve-values.yaml").read_text())["kserve"]["controller"]
    assert kserve["deploymentMode"] == given["serving"]["mode"]
    assert kserve["gateway"]["ingressGateway"]["kserveGateway"] == given["serving"]["gateway"]
    assert kserve["gateway"]["domain"] == given["serving"]["domain"]
    assert given["prometheus"]["url"] == "http://prometheus-operated.monitoring:9090"
    assert given["kfp"]["url"] == "http://ml-pipeline.kubeflow:8888"


def test_prometheus_selects_monitors_and_rules_whatever_their_labels() -> None:
    spec = yaml.safe_load((VALUES / "prometheus-values.yaml").read_text())["prometheus"]["prometheusSpec"]
    assert spec["podMonitorSelectorNilUsesHelmValues"] is False
    assert spec["ruleSelectorNilUsesHelmValues"] is False
