"""What the chart says twice is the same both times: here, in the library, and in the project's files."""

from __future__ import annotations

import re
import tomllib
from typing import Any

import pytest
import yaml

from serinus.render import crd, kserve, names
from services import platform
from services.platform import Platform
from tests.chart.scenarios import NAMES, kinds, objects, only
from tools import chart

MLFLOW = "http://serinus-mlflow.serinus:5000"


def test_generated_files_are_fresh() -> None:
    for path, text in chart.pages().items():
        assert path.read_text() == text, f"{path.relative_to(chart.ROOT)} is stale; run `make compile`"


def test_the_charts_version_is_the_projects() -> None:
    project = tomllib.loads((chart.ROOT / "pyproject.toml").read_text())["project"]
    about = yaml.safe_load((chart.CHART / "Chart.yaml").read_text())
    assert (about["version"], about["appVersion"]) == (project["version"], project["version"])


def test_the_platforms_default_images_are_the_charts() -> None:
    default = _platform("default")
    assert (default.pipeline_image, default.predictor_image, default.control_image) == (
        Platform.pipeline_image,
        Platform.predictor_image,
        Platform.control_image,
    )


def test_the_operator_reads_its_surroundings_from_the_charts_variables() -> None:
    assert _platform("default") == Platform(
        mlflow_url=MLFLOW,
        prometheus_url="http://prometheus-operated.monitoring:9090",
        kfp_url="http://ml-pipeline.kubeflow:8888",
        pod_namespace="metadata.namespace",
    )
    assert _platform("everything") == Platform(
        mlflow_url="http://serinus-loops-mlflow.serinus:5000",
        prometheus_url="http://prometheus-operated.monitoring:9090",
        kfp_url="http://ml-pipeline.kubeflow:8888",
        kfp_namespace="team-a",
        kfp_token_path="/var/run/secrets/kubeflow/pipelines/token",  # noqa: S106 - a file
        collector_url="http://serinus-loops-collector.serinus:8085",
        collector_token_path="/var/run/secrets/serinus/collector/token",  # noqa: S106 - a file
        domain="models.example.com",
        scrape_interval="15s",
        pipeline_image="registry.example.com/ml/serinus/pipeline:0.1.0-rc.1",
        predictor_image="registry.example.com/ml/serinus/predictor:0.1.0-rc.2",
        control_image="registry.example.com/ml/serinus/control:0.1.0-rc.1",
        image_pull_policy="Always",
        pod_namespace="metadata.namespace",
    )


@pytest.mark.parametrize("scenario", NAMES)
def test_each_scenario_gives_the_operator_all_it_needs(scenario: str) -> None:
    seen = _platform(scenario)
    assert seen.watch_namespace == ("serinus" if scenario == "namespaced" else "")
    assert seen.serving_mode == ("Knative" if scenario == "knative" else "Standard")
    assert bool(seen.collector_url) is (scenario in ("collector", "everything", "namespaced"))
    assert bool(seen.collector_url) is bool(seen.collector_token_path)
    assert seen.mlflow_url.startswith("https://mlflow.example" if scenario == "external-mlflow" else "http://serinus")


def test_the_runtime_is_the_one_of_the_library() -> None:
    ours = only("default", "ClusterServingRuntime")
    expected = kserve.serving_runtime("serinus/predictor:0.1.0")
    assert ours["spec"] == expected["spec"]
    assert (ours["apiVersion"], ours["metadata"]["name"]) == (expected["apiVersion"], expected["metadata"]["name"])
    assert only("namespaced", "ServingRuntime")["spec"] == expected["spec"]


def test_what_podmonitors_scrape_has_no_annotations_to_be_scraped_by() -> None:
    expected = kserve.serving_runtime("serinus/predictor:0.1.0")["spec"]
    assert only("knative", "ClusterServingRuntime")["spec"] == {k: v for k, v in expected.items() if k != "annotations"}
    template = only("knative", "Deployment", "-operator")["spec"]["template"]
    assert not any(key.startswith("prometheus.io/") for key in template["metadata"]["annotations"])


def test_the_storage_container_is_the_one_of_the_library() -> None:
    ours = only("default", "ClusterStorageContainer")
    expected = kserve.cluster_storage_container("serinus/control:0.1.0", MLFLOW)
    assert ours["spec"] == expected["spec"]
    assert ours["metadata"]["name"] == expected["metadata"]["name"]
    secret = [{"name": n, "valueFrom": {"secretKeyRef": {"name": "mlflow-credentials", "key": k}}} for n, k in (
        ("MLFLOW_TRACKING_USERNAME", "username"), ("MLFLOW_TRACKING_PASSWORD", "password")
    )]  # fmt: skip
    expected = kserve.cluster_storage_container("serinus/control:0.1.0", "https://mlflow.example.com", env=secret)
    assert only("external-mlflow", "ClusterStorageContainer")["spec"] == expected["spec"]


def test_the_kinds_are_those_of_the_library_and_survive_an_uninstall_unless_told() -> None:
    expected = {c["metadata"]["name"]: c for c in crd.crds()}
    for scenario, keep in (("default", True), ("everything", False)):
        found = {o["metadata"]["name"]: o for o in objects(scenario) if o["kind"] == "CustomResourceDefinition"}
        assert found.keys() == expected.keys()
        for name, definition in found.items():
            assert definition["spec"] == expected[name]["spec"]
            notes = definition["metadata"].get("annotations", {})
            assert (notes.get("helm.sh/resource-policy") == "keep") is keep
    assert "CustomResourceDefinition" not in kinds("namespaced")


def test_the_policy_that_writes_names_is_there_unless_somebody_else_installs_it() -> None:
    policies = {"ValidatingAdmissionPolicy", "ValidatingAdmissionPolicyBinding"}
    assert policies <= kinds("default")
    assert not policies & kinds("namespaced")


def test_alerts_are_those_of_the_file_with_runbooks_where_the_values_say() -> None:
    text = (chart.CHART / "files" / "alerts.yaml").read_text()
    expected = yaml.safe_load(text.replace("docs/runbooks/", "https://example.com/runbooks/"))
    assert only("everything", "PrometheusRule")["spec"] == expected
    assert "PrometheusRule" not in kinds("default")


def test_the_dashboard_is_the_file_and_grafana_finds_it() -> None:
    board = only("default", "ConfigMap", "-dashboard")
    assert board["metadata"]["labels"]["grafana_dashboard"] == "1"
    assert list(board["data"].values()) == [(chart.CHART / "files" / "dashboard.json").read_text()]


def test_monitors_and_rules_carry_the_label_that_the_stack_selects_by() -> None:
    found = [o for o in objects("everything") if o["kind"] in ("PodMonitor", "PrometheusRule")]
    assert len(found) == 4
    assert all(o["metadata"]["labels"]["release"] == "kube-prometheus-stack" for o in found)


def test_monitors_scrape_as_often_as_the_judge_is_told() -> None:
    for thing in objects("everything"):
        if thing["kind"] == "PodMonitor":
            assert [e["interval"] for e in thing["spec"]["podMetricsEndpoints"]] == [
                _platform("everything").scrape_interval
            ]


def test_predictors_are_selected_by_the_labels_that_the_library_gives_them() -> None:
    labels = kserve.predictor_labels("any")
    for kind in ("PodMonitor", "NetworkPolicy"):
        spec = only("everything", kind, "-predictors")["spec"]
        selector = spec.get("podSelector") or spec["selector"]
        assert selector["matchLabels"].items() <= labels.items()
        assert selector["matchExpressions"] == [{"key": names.LOOP, "operator": "Exists"}]


def test_the_lease_is_the_one_that_the_operator_takes() -> None:
    from services.operator import election

    rules = only("default", "Role", "-lease")["rules"]
    assert [r.get("resourceNames") for r in rules] == [None, [election.NAME]]


def test_every_value_stands_in_the_readme_and_in_the_schema() -> None:
    values = (chart.CHART / "values.yaml").read_text()
    paths = {path for path, _, _ in chart.documented(values)}
    assert set(re.findall(r"^\| `([\w.]+)`", (chart.CHART / "README.md").read_text(), re.M)) == paths
    schema = yaml.safe_load((chart.CHART / "values.schema.json").read_text())
    for path in paths:
        node: Any = schema
        for key in path.split("."):
            node = _resolved(schema, node)["properties"][key]


def test_a_value_without_a_comment_is_refused_by_the_readme() -> None:
    with pytest.raises(ValueError, match=r"values.yaml:4: expected a comment .* above a.c"):
        list(chart.documented("a:\n  # -- text\n  b: 1\n  c: 2\n"))


def _platform(scenario: str) -> Platform:
    container = only(scenario, "Deployment", "-operator")["spec"]["template"]["spec"]["containers"][0]
    env = {
        e["name"]: e.get("value") or e.get("valueFrom", {}).get("fieldRef", {}).get("fieldPath", "")
        for e in container["env"]
    }
    return platform.from_environment(env)


def _resolved(schema: Any, node: Any) -> Any:
    return schema["definitions"][node["$ref"].rpartition("/")[2]] if "$ref" in node else node
