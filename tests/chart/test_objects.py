"""What switches change, compared whole. The default is compared whole with manifests/base, which is made of it."""

from __future__ import annotations

from tests.chart.scenarios import Object, kinds, objects, only

TCP, UDP = "TCP", "UDP"
DNS = {"ports": [{"port": 53, "protocol": UDP}, {"port": 53, "protocol": TCP}]}
SCRAPERS = {"namespaceSelector": {"matchLabels": {"kubernetes.io/metadata.name": "monitoring"}}}
CALLERS = {"namespaceSelector": {"matchLabels": {"kubernetes.io/metadata.name": "projectcontour"}}}


def test_by_default_nothing_is_made_that_other_parts_would_have_to_be_there_for() -> None:
    assert kinds("default").isdisjoint({"PodMonitor", "PrometheusRule", "NetworkPolicy"})


def test_a_namespaced_installation_makes_nothing_for_the_whole_cluster() -> None:
    assert kinds("namespaced") == {
        "ConfigMap", "Deployment", "Pod", "Role", "RoleBinding", "ServiceAccount", "ServingRuntime",
    }  # fmt: skip


def test_a_namespaced_operator_has_the_rights_of_a_clusters_but_in_its_namespace() -> None:
    assert only("namespaced", "Role", "-operator")["rules"] == only("default", "ClusterRole", "-operator")["rules"]


def test_an_mlflow_of_ones_own_takes_the_place_of_the_charts() -> None:
    assert [o["metadata"]["name"] for o in objects("external-mlflow") if "mlflow" in o["metadata"]["name"]] == [
        "serinus-mlflow"  # the ClusterStorageContainer
    ]
    assert "PersistentVolumeClaim" not in kinds("external-mlflow")


def test_models_survive_an_uninstall_unless_told() -> None:
    assert only("default", "PersistentVolumeClaim")["metadata"]["annotations"] == {"helm.sh/resource-policy": "keep"}
    assert "annotations" not in only("everything", "PersistentVolumeClaim")["metadata"]


def test_the_token_for_kubeflow_pipelines_is_mounted_where_the_operator_is_told() -> None:
    pod = _pod("multi-user")
    assert pod["volumes"] == [
        {"name": "tmp", "emptyDir": {}},
        {
            "name": "kfp-token",
            "projected": {
                "sources": [
                    {
                        "serviceAccountToken": {
                            "audience": "pipelines.kubeflow.org",
                            "path": "token",
                            "expirationSeconds": 7200,
                        }
                    }
                ]
            },
        },
    ]
    assert pod["containers"][0]["volumeMounts"] == [
        {"name": "tmp", "mountPath": "/tmp"},  # noqa: S108
        {"name": "kfp-token", "mountPath": "/var/run/secrets/kubeflow/pipelines", "readOnly": True},
    ]
    assert _pod("default")["volumes"] == [{"name": "tmp", "emptyDir": {}}]


def test_a_postgres_is_asked_by_a_url_that_only_a_secret_knows() -> None:
    pod = only("everything", "Deployment", "-mlflow")["spec"]["template"]["spec"]
    secret = {"valueFrom": {"secretKeyRef": {"name": "mlflow-database", "key": "url"}}}
    for container in (*pod["initContainers"], *pod["containers"]):
        assert container["env"][0] == {"name": "DATABASE_URL", **secret}
    sqlite = only("default", "Deployment", "-mlflow")["spec"]["template"]["spec"]["containers"][0]["env"][0]
    assert sqlite == {"name": "DATABASE_URL", "value": "sqlite:////data/mlflow.db"}


def test_mlflow_answers_to_its_own_names_and_to_those_it_was_given() -> None:
    pod = only("everything", "Deployment", "-mlflow")["spec"]["template"]["spec"]
    (hosts,) = (e["value"] for e in pod["containers"][0]["env"] if e["name"] == "MLFLOW_SERVER_ALLOWED_HOSTS")
    assert hosts.split(",") == [
        "localhost", "localhost:*", "127.0.0.1:*",
        "serinus-loops-mlflow:5000", "serinus-loops-mlflow.serinus:5000", "serinus-loops-mlflow.serinus.svc:5000",
        "serinus-loops-mlflow.serinus.svc.cluster.local:5000", "mlflow.example.com",
    ]  # fmt: skip


def test_pods_go_where_the_values_say() -> None:
    pod = _pod("everything")
    assert pod["nodeSelector"] == {"kubernetes.io/os": "linux"}
    assert pod["tolerations"] == [{"key": "control", "operator": "Exists", "effect": "NoSchedule"}]
    assert pod["priorityClassName"] == "system-cluster-critical"
    assert pod["imagePullSecrets"] == [{"name": "registry-login"}]
    assert pod["affinity"].keys() == {"nodeAffinity"}
    assert _pod("default")["affinity"].keys() == {"podAntiAffinity"}


def test_two_operators_may_not_be_drained_at_once_and_one_alone_may() -> None:
    assert only("default", "PodDisruptionBudget")["spec"] == {
        "minAvailable": 1,
        "unhealthyPodEvictionPolicy": "AlwaysAllow",
        "selector": {"matchLabels": _selector("operator")},
    }
    assert "PodDisruptionBudget" not in kinds("namespaced")


def test_the_network_policies_let_through_what_is_needed_and_nothing_else() -> None:
    assert only("everything", "NetworkPolicy", "-operator")["spec"] == {
        "podSelector": {"matchLabels": _selector("operator", name="loops")},
        "policyTypes": ["Ingress", "Egress"],
        "ingress": [{"ports": [{"port": "metrics", "protocol": TCP}], "from": [SCRAPERS]}],
        "egress": [DNS, _out(443, 6443, 5000, 9090, 8888, 8085)],
    }
    assert only("everything", "NetworkPolicy", "-predictors")["spec"] == {
        "podSelector": {
            "matchLabels": {"component": "predictor"},
            "matchExpressions": [{"key": "serinus.dev/loop", "operator": "Exists"}],
        },
        "policyTypes": ["Ingress", "Egress"],
        "ingress": [{"ports": [{"port": 8080, "protocol": TCP}], "from": [CALLERS, SCRAPERS]}],
        "egress": [DNS, _out(5000, 443, 8085)],
    }
    assert only("everything", "NetworkPolicy", "-mlflow")["spec"] == {
        "podSelector": {"matchLabels": _selector("mlflow", name="loops")},
        "policyTypes": ["Ingress", "Egress"],
        "ingress": [{"ports": [{"port": "http", "protocol": TCP}], "from": [{"namespaceSelector": {}}]}],
        "egress": [DNS, _out(5432)],
    }


def test_monitors_scrape_operators_collector_and_predictors_of_every_namespace() -> None:
    assert only("everything", "PodMonitor", "-operator")["spec"] == {
        "selector": {"matchLabels": _selector("operator", name="loops")},
        "podMetricsEndpoints": [{"port": "metrics", "path": "/metrics", "interval": "15s", "honorLabels": True}],
    }
    assert only("everything", "PodMonitor", "-predictors")["spec"] == {
        "namespaceSelector": {"any": True},
        "selector": {
            "matchLabels": {"component": "predictor"},
            "matchExpressions": [{"key": "serinus.dev/loop", "operator": "Exists"}],
        },
        "podMetricsEndpoints": [{"port": "http1", "path": "/metrics", "interval": "15s"}],
    }
    assert only("everything", "PodMonitor", "-collector")["spec"] == {
        "selector": {"matchLabels": _selector("collector", name="loops")},
        "podMetricsEndpoints": [{"port": "http", "path": "/metrics", "interval": "15s"}],
    }
    # Knative calls the container's port so, whatever the runtime calls it.
    assert only("knative", "PodMonitor", "-predictors")["spec"]["podMetricsEndpoints"][0]["port"] == "user-port"


def test_the_test_asks_as_the_operator_does_what_the_values_say() -> None:
    pod = only("everything", "Pod", "-test")
    assert pod["metadata"]["annotations"] == {
        "helm.sh/hook": "test",
        "helm.sh/hook-delete-policy": "before-hook-creation",
    }
    (container,) = pod["spec"]["containers"]
    assert container["command"] == ["python", "-m", "services.smoke"]
    assert container["args"] == ["--loop", "team-a/flight-delay", "--gateway", "http://envoy.projectcontour"]
    operator = _pod("everything")
    assert container["env"] == operator["containers"][0]["env"]
    assert (container["image"], pod["spec"]["volumes"]) == (operator["containers"][0]["image"], operator["volumes"])
    assert pod["spec"]["serviceAccountName"] == operator["serviceAccountName"]


def test_people_get_their_rights_from_the_clusters_own_roles_but_for_approving_and_auditing() -> None:
    prefix = "rbac.authorization.k8s.io/aggregate-to-"
    aggregated = {
        role: sorted(
            k.removeprefix(prefix) for k in only("default", "ClusterRole", role)["metadata"]["labels"] if prefix in k
        )
        for role in ("-viewer", "-editor", "-approver", "-eraser", "-auditor")
    }
    assert aggregated == {
        "-viewer": ["admin", "edit", "view"], "-editor": ["admin", "edit"], "-approver": [],
        "-eraser": ["admin"], "-auditor": [],
    }  # fmt: skip


def _pod(scenario: str) -> Object:
    spec: Object = only(scenario, "Deployment", "-operator")["spec"]["template"]["spec"]
    return spec


def _selector(component: str, name: str = "serinus") -> dict[str, str]:
    return {
        "app.kubernetes.io/name": name,
        "app.kubernetes.io/instance": "serinus",
        "app.kubernetes.io/component": component,
    }


def _out(*ports: int) -> Object:
    return {"ports": [{"port": port, "protocol": TCP} for port in ports]}
