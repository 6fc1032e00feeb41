"""KServe's objects, compared whole."""

from __future__ import annotations

from datetime import timedelta
from typing import Any

import pytest

from serinus.render import gateway, kserve
from serinus.spec import ModelLoop
from tests import data_sets

SECURITY = {
    "allowPrivilegeEscalation": False,
    "capabilities": {"drop": ["ALL"]},
    "readOnlyRootFilesystem": True,
    "runAsNonRoot": True,
    "runAsUser": 10001,
    "seccompProfile": {"type": "RuntimeDefault"},
}
OWNER = {
    "apiVersion": "serinus.dev/v1alpha1",
    "kind": "ModelLoop",
    "name": "flights",
    "uid": "u-1",
    "controller": True,
    "blockOwnerDeletion": True,
}


def loop(**spec: Any) -> ModelLoop:
    made, _ = data_sets.binary(10, **spec)
    return made.model_copy(update={"metadata": made.metadata.model_copy(update={"name": "flights"})})


def predictor(version: int = 3, **spec: Any) -> dict[str, Any]:
    found: dict[str, Any] = kserve.inference_service(loop(**spec), version, "models")["spec"]["predictor"]
    return found


def test_a_version_is_an_inference_service_owned_by_its_loop() -> None:
    assert kserve.inference_service(loop(), 3, "models", "u-1", "reader") == {
        "apiVersion": "serving.kserve.io/v1beta1",
        "kind": "InferenceService",
        "metadata": {
            "name": "flights-v3",
            "namespace": "models",
            "labels": {
                "app.kubernetes.io/managed-by": "serinus",
                "app.kubernetes.io/part-of": "serinus",
                "serinus.dev/loop": "flights",
                "serinus.dev/version": "3",
                "networking.kserve.io/visibility": "cluster-local",
            },
            "annotations": {
                "serving.kserve.io/deploymentMode": "Standard",
                "serving.kserve.io/autoscalerClass": "none",
            },
            "ownerReferences": [OWNER],
        },
        "spec": {
            "predictor": {
                "model": {
                    "modelFormat": {"name": "serinus"},
                    "runtime": "serinus",
                    "protocolVersion": "v2",
                    "storageUri": "mlflow://flights/3",
                    "args": [
                        "--loop", "flights", "--version", "3", "--unseen", "reject", "--latency-threshold", "0.25",
                    ],
                },
                "serviceAccountName": "reader",
                "automountServiceAccountToken": False,
                "enableServiceLinks": False,
                "minReplicas": 1,
                "maxReplicas": 1,
                "securityContext": {
                    "runAsNonRoot": True,
                    "runAsUser": 10001,
                    "seccompProfile": {"type": "RuntimeDefault"},
                },
                "terminationGracePeriodSeconds": 40,
                "topologySpreadConstraints": [
                    {
                        "maxSkew": 1,
                        "topologyKey": "kubernetes.io/hostname",
                        "whenUnsatisfiable": "ScheduleAnyway",
                        "labelSelector": {
                            "matchLabels": {
                                "app.kubernetes.io/managed-by": "serinus",
                                "app.kubernetes.io/part-of": "serinus",
                                "serinus.dev/loop": "flights",
                                "serinus.dev/version": "3",
                            }
                        },
                    }
                ],
                "deploymentStrategy": {"type": "RollingUpdate", "rollingUpdate": {"maxUnavailable": 0, "maxSurge": 1}},
            }
        },
    }  # fmt: skip


def test_what_the_spec_says_of_serving_is_in_the_predictor() -> None:
    made = predictor(
        serving={
            "minReplicas": 0,
            "maxReplicas": 4,
            "unseenCategories": "accept",
            "image": "example.com/mine:1",
            "resources": {"requests": {"cpu": "2"}, "limits": {"memory": "2Gi"}},
        },
        training={"python": "mine:fit", "trust": ["mine.Tree", "mine.Leaf"]},
        rollout={"guardrails": {"latency": None}},
    )
    assert made["model"] == {
        "modelFormat": {"name": "serinus"},
        "runtime": "serinus",
        "protocolVersion": "v2",
        "storageUri": "mlflow://flights/3",
        "args": [
            "--loop", "flights", "--version", "3", "--unseen", "accept", "--trust", "mine.Tree", "--trust", "mine.Leaf",
        ],
        "image": "example.com/mine:1",
        "resources": {"requests": {"cpu": "2"}, "limits": {"memory": "2Gi"}},
    }  # fmt: skip
    # A Deployment that was scaled to nothing is woken by nobody.
    assert (made["minReplicas"], made["maxReplicas"]) == (1, 4)


@pytest.mark.parametrize(("fewest", "most", "scaler"), [(0, 1, "none"), (2, 2, "none"), (1, 2, "hpa"), (0, 2, "hpa")])
def test_an_autoscaler_is_made_only_where_there_is_something_to_scale(fewest: int, most: int, scaler: str) -> None:
    made = kserve.inference_service(loop(serving={"minReplicas": fewest, "maxReplicas": most}), 3, "models")
    assert made["metadata"]["annotations"]["serving.kserve.io/autoscalerClass"] == scaler
    assert "ownerReferences" not in made["metadata"]


@pytest.mark.parametrize(
    ("percent", "said"), [(None, {}), (0, {"canaryTrafficPercent": 0}), (20, {"canaryTrafficPercent": 20})]
)
def test_knative_has_one_inference_service_whose_latest_revision_is_the_canary(
    percent: int | None, said: dict[str, int]
) -> None:
    assert kserve.knative_service(loop(serving={"timeout": "1500ms"}), 3, percent, "models", "u-1") == {
        "apiVersion": "serving.kserve.io/v1beta1",
        "kind": "InferenceService",
        "metadata": {
            "name": "flights",
            "namespace": "models",
            "labels": {
                "app.kubernetes.io/managed-by": "serinus",
                "app.kubernetes.io/part-of": "serinus",
                "serinus.dev/loop": "flights",
                "serinus.dev/version": "3",
            },
            "annotations": {"serving.kserve.io/deploymentMode": "Knative"},
            "ownerReferences": [OWNER],
        },
        "spec": {
            "predictor": {
                "model": {
                    "modelFormat": {"name": "serinus"},
                    "runtime": "serinus",
                    "protocolVersion": "v2",
                    "storageUri": "mlflow://flights/3",
                    "args": [
                        "--loop", "flights", "--version", "3", "--unseen", "reject", "--latency-threshold", "0.25",
                    ],
                },
                "automountServiceAccountToken": False,
                "enableServiceLinks": False,
                "minReplicas": 1,
                "maxReplicas": 1,
                "timeout": 2,
                **said,
            }
        },
    }  # fmt: skip


def test_the_runtime_starts_the_predictor_as_a_restricted_pod() -> None:
    ready = {"httpGet": {"path": "/v2/health/ready", "port": 8080}, "timeoutSeconds": 2}
    assert kserve.serving_runtime("serinus/predictor:1", "Always", "models") == {
        "apiVersion": "serving.kserve.io/v1alpha1",
        "kind": "ServingRuntime",
        "metadata": {
            "name": "serinus",
            "namespace": "models",
            "labels": {"app.kubernetes.io/managed-by": "serinus", "app.kubernetes.io/part-of": "serinus"},
        },
        "spec": {
            "supportedModelFormats": [{"name": "serinus", "version": "1", "autoSelect": False}],
            "protocolVersions": ["v1", "v2"],
            "multiModel": False,
            "annotations": {
                "prometheus.io/scrape": "true",
                "prometheus.io/port": "8080",
                "prometheus.io/path": "/metrics",
            },
            "containers": [
                {
                    "name": "kserve-container",
                    "image": "serinus/predictor:1",
                    "imagePullPolicy": "Always",
                    "command": ["python", "-m", "services.predictor"],
                    "args": [
                        "--model-dir", "/mnt/models/model", "--host", "0.0.0.0", "--port", "8080",  # noqa: S104
                        "--drain", "5", "--grace", "30",
                    ],
                    "ports": [{"name": "http1", "containerPort": 8080, "protocol": "TCP"}],
                    "volumeMounts": [{"name": "tmp", "mountPath": "/tmp"}],  # noqa: S108
                    "securityContext": SECURITY,
                    "startupProbe": {**ready, "periodSeconds": 1, "failureThreshold": 300},
                    "readinessProbe": {**ready, "periodSeconds": 2, "failureThreshold": 3},
                    "livenessProbe": {
                        "httpGet": {"path": "/v2/health/live", "port": 8080},
                        "periodSeconds": 10,
                        "timeoutSeconds": 5,
                        "failureThreshold": 3,
                    },
                    "resources": {"requests": {"cpu": "200m", "memory": "512Mi"}, "limits": {"memory": "1Gi"}},
                    "terminationMessagePolicy": "FallbackToLogsOnError",
                }
            ],
            "volumes": [{"name": "tmp", "emptyDir": {}}],
        },
    }  # fmt: skip


def test_the_runtime_of_all_namespaces_differs_in_kind_and_namespace_alone() -> None:
    one, every = (kserve.serving_runtime("serinus/predictor:1", namespace=namespace) for namespace in ("models", None))
    assert (one.pop("kind"), every.pop("kind")) == ("ServingRuntime", "ClusterServingRuntime")
    assert one["metadata"].pop("namespace") == "models"
    assert one == every


def test_a_model_is_fetched_from_mlflow_by_an_init_container() -> None:
    password = {"name": "MLFLOW_TRACKING_PASSWORD", "valueFrom": {"secretKeyRef": {"name": "mlflow", "key": "word"}}}
    assert kserve.cluster_storage_container("serinus/control:1", "http://mlflow:5000", env=[password]) == {
        "apiVersion": "serving.kserve.io/v1alpha1",
        "kind": "ClusterStorageContainer",
        "metadata": {
            "name": "serinus-mlflow",
            "labels": {"app.kubernetes.io/managed-by": "serinus", "app.kubernetes.io/part-of": "serinus"},
        },
        "spec": {
            "container": {
                "name": "storage-initializer",
                "image": "serinus/control:1",
                "imagePullPolicy": "IfNotPresent",
                "command": ["python", "-m", "services.fetch"],
                "env": [{"name": "SERINUS_MLFLOW_URL", "value": "http://mlflow:5000"}, password],
                "securityContext": SECURITY,
                "resources": {"requests": {"cpu": "100m", "memory": "128Mi"}, "limits": {"memory": "512Mi"}},
            },
            "supportedUriFormats": [{"prefix": "mlflow://"}],
            "workloadType": "initContainer",
            "supportsMultiModelDownload": False,
        },
    }


def test_the_route_splits_over_the_services_of_the_versions() -> None:
    weights = {3: 95, 12: 5}
    made = gateway.http_route(
        "flights", "models", "flights.models.local", "infra/gate", weights, timedelta(seconds=10), "u-1"
    )
    assert made == {
        "apiVersion": "gateway.networking.k8s.io/v1",
        "kind": "HTTPRoute",
        "metadata": {
            "name": "flights",
            "namespace": "models",
            "labels": {
                "app.kubernetes.io/managed-by": "serinus",
                "app.kubernetes.io/part-of": "serinus",
                "serinus.dev/loop": "flights",
            },
            "ownerReferences": [OWNER],
        },
        "spec": {
            "parentRefs": [
                {"group": "gateway.networking.k8s.io", "kind": "Gateway", "namespace": "infra", "name": "gate"},
            ],
            "hostnames": ["flights.models.local"],
            "rules": [
                {
                    "matches": [
                        {"path": {"type": "Exact", "value": "/v1/models/flights:predict"}},
                        {"path": {"type": "Exact", "value": "/v1/models/flights"}},
                        {"path": {"type": "PathPrefix", "value": "/v2/models/flights"}},
                        {"path": {"type": "Exact", "value": "/v2/health/ready"}},
                    ],
                    "backendRefs": [
                        {"group": "", "kind": "Service", "name": "flights-v3-predictor", "port": 80, "weight": 95},
                        {"group": "", "kind": "Service", "name": "flights-v12-predictor", "port": 80, "weight": 5},
                    ],
                    "timeouts": {"request": "10s"},
                }
            ],
        },
    }


def test_copies_go_to_the_service_of_a_version_without_a_weight() -> None:
    def copied(percent: int) -> object:
        made = gateway.http_route("flights", "models", "h", "infra/gate", {3: 100, 12: 0}, mirrors={12: percent})
        return made["spec"]["rules"][0]["filters"]

    service = {"group": "", "kind": "Service", "name": "flights-v12-predictor", "port": 80}
    assert copied(30) == [{"type": "RequestMirror", "requestMirror": {"backendRef": service, "percent": 30}}]
    assert copied(100) == [{"type": "RequestMirror", "requestMirror": {"backendRef": service}}]


@pytest.mark.parametrize(
    ("timeout", "written"),
    [(timedelta(milliseconds=250), "250ms"), (timedelta(minutes=90), "90m"), (timedelta(seconds=61.5), "1m1s500ms")],
)
def test_a_timeout_is_written_as_the_gateway_api_wants(timeout: timedelta, written: str) -> None:
    made = gateway.http_route("flights", "models", "h", "infra/gate", {1: 100}, timeout)
    assert made["spec"]["rules"][0]["timeouts"] == {"request": written}


def test_a_route_may_leave_the_timeout_to_its_gateway() -> None:
    assert "timeouts" not in gateway.http_route("flights", "models", "h", "infra/gate", {1: 100})["spec"]["rules"][0]


def test_the_pods_of_all_versions_are_found_by_what_they_have_in_common() -> None:
    assert kserve.predictor_labels("flights") == {"serinus.dev/loop": "flights", "component": "predictor"}
