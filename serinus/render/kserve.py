"""A loop's serving as KServe's objects: plain dicts from plain arguments.

Standard mode: one InferenceService a version; Knative mode: one a loop, which KServe splits over its revisions.
How KServe 0.20 puts a pod together, which decides what has to stand where: of the runtime it takes containers, volumes
and node placement, and appends the InferenceService's args to the runtime's; env and resources of the container are
merged by name, image replaced; everything else of the pod (security context, grace period) counts in the
InferenceService alone.
"""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence

from serinus.render import collecting, names
from serinus.render.collecting import Collector
from serinus.render.objects import Rendered, metadata
from serinus.spec import ModelLoop

PORT = 8080
MODELS = "/mnt/models"
"""Where the storage initializer writes, and KServe mounts it for the predictor."""
MODEL = f"{MODELS}/model"
CONTAINER = "kserve-container"
"""KServe knows the model server's container by this name."""
INITIALIZER = "storage-initializer"
"""And the init container by this one."""
DRAIN, WORK, MARGIN = 5, 30, 5
"""Seconds after SIGTERM: the predictor answers on, finishes what is in work, and what is left before SIGKILL."""
USER = 10001
_COMPONENT = {"component": "predictor"}  # KServe's label


def predictor_labels(loop: str) -> dict[str, str]:
    """What the pods of all versions of a loop have in common, and no other pod has."""
    return {names.LOOP: loop, **_COMPONENT}


def inference_service(
    loop: ModelLoop,
    version: int,
    namespace: str,
    uid: str = "",
    service_account: str = "",
    collector: Collector | None = None,
) -> Rendered:
    """Standard mode: one version's InferenceService; `uid` is the ModelLoop's, "" for no owner.

    collector: where predictions go if the loop collects; the pods then have an account of the loop's own.
    """
    serving = loop.spec.serving
    fewest = max(1, serving.min_replicas)  # nothing wakes a Deployment that was scaled to none
    predictor = {
        **_predictor(loop, version, namespace, service_account, collector),
        "minReplicas": fewest,
        "maxReplicas": serving.max_replicas,
        "securityContext": {
            "runAsNonRoot": True,
            "runAsUser": USER,
            "seccompProfile": {"type": "RuntimeDefault"},
        },
        "terminationGracePeriodSeconds": DRAIN + WORK + MARGIN,
        "topologySpreadConstraints": [
            {
                "maxSkew": 1,
                "topologyKey": "kubernetes.io/hostname",
                "whenUnsatisfiable": "ScheduleAnyway",
                "labelSelector": {"matchLabels": names.labels(loop.name, version)},
            }
        ],
        # A change of the spec never takes a pod away before its successor is ready.
        "deploymentStrategy": {"type": "RollingUpdate", "rollingUpdate": {"maxUnavailable": 0, "maxSurge": 1}},
    }
    annotations = {
        "serving.kserve.io/deploymentMode": "Standard",
        # Without this every version gets an autoscaler, also where there is nothing to scale.
        "serving.kserve.io/autoscalerClass": "none" if fewest == serving.max_replicas else "hpa",
    }
    labels = {
        **names.labels(loop.name, version),
        # KServe then makes no route of its own, by which callers could go around the split.
        "networking.kserve.io/visibility": "cluster-local",
    }
    return {
        "apiVersion": "serving.kserve.io/v1beta1",
        "kind": "InferenceService",
        "metadata": metadata(
            names.variant(loop.name, version), namespace, labels, annotations=annotations, loop=loop.name, uid=uid
        ),
        "spec": {"predictor": predictor},
    }


def knative_service(
    loop: ModelLoop,
    version: int,
    percent: int | None,
    namespace: str,
    uid: str = "",
    service_account: str = "",
    collector: Collector | None = None,
) -> Rendered:
    """Knative mode: the loop's one InferenceService with `version` as its latest revision.

    percent: the share of this revision, the rest goes to the one that had everything before; None is everything.
    """
    serving = loop.spec.serving
    predictor = {
        **_predictor(loop, version, namespace, service_account, collector),
        "minReplicas": serving.min_replicas,
        "maxReplicas": serving.max_replicas,
        "timeout": math.ceil(serving.timeout.total_seconds()),
        **({"canaryTrafficPercent": percent} if percent is not None else {}),
    }
    annotations = {"serving.kserve.io/deploymentMode": "Knative"}
    return {
        "apiVersion": "serving.kserve.io/v1beta1",
        "kind": "InferenceService",
        "metadata": metadata(
            loop.name, namespace, names.labels(loop.name, version), annotations=annotations, loop=loop.name, uid=uid
        ),
        "spec": {"predictor": predictor},
    }


def serving_runtime(image: str, pull_policy: str = "IfNotPresent", namespace: str | None = None) -> Rendered:
    """How a version is served: a ServingRuntime of one namespace, or the ClusterServingRuntime (None) for all."""
    probe = {"path": "/v2/health/ready", "port": PORT}
    container = {
        "name": CONTAINER,
        "image": image,
        "imagePullPolicy": pull_policy,
        "command": ["python", "-m", "services.predictor"],
        "args": [
            *("--model-dir", MODEL, "--host", "0.0.0.0", "--port", str(PORT)),  # noqa: S104 - inside a pod
            *("--drain", str(DRAIN), "--grace", str(WORK)),
        ],
        "ports": [{"name": "http1", "containerPort": PORT, "protocol": "TCP"}],
        # Where programs write that insist on a home or a temporary folder; the root file system is read-only.
        "volumeMounts": [{"name": "tmp", "mountPath": "/tmp"}],  # noqa: S108
        "securityContext": container_security(),
        # It listens once the model is loaded and has answered its examples: up to five minutes for that.
        "startupProbe": {"httpGet": probe, "periodSeconds": 1, "timeoutSeconds": 2, "failureThreshold": 300},
        "readinessProbe": {"httpGet": probe, "periodSeconds": 2, "timeoutSeconds": 2, "failureThreshold": 3},
        "livenessProbe": {
            "httpGet": {"path": "/v2/health/live", "port": PORT},
            "periodSeconds": 10,
            "timeoutSeconds": 5,
            "failureThreshold": 3,
        },
        "resources": {"requests": {"cpu": "200m", "memory": "512Mi"}, "limits": {"memory": "1Gi"}},
        # What it says on stderr before it gives up is what people should see.
        "terminationMessagePolicy": "FallbackToLogsOnError",
    }
    about: Rendered = {"name": names.RUNTIME, "labels": _shared_labels()}
    if namespace is not None:
        about["namespace"] = namespace
    return {
        "apiVersion": "serving.kserve.io/v1alpha1",
        "kind": "ClusterServingRuntime" if namespace is None else "ServingRuntime",
        "metadata": about,
        "spec": {
            "supportedModelFormats": [{"name": names.RUNTIME, "version": "1", "autoSelect": False}],
            "protocolVersions": ["v1", "v2"],
            "multiModel": False,
            "annotations": {
                "prometheus.io/scrape": "true",
                "prometheus.io/port": str(PORT),
                "prometheus.io/path": "/metrics",
            },
            "containers": [container],
            "volumes": [{"name": "tmp", "emptyDir": {}}],
        },
    }


def cluster_storage_container(
    image: str, mlflow_url: str, pull_policy: str = "IfNotPresent", env: Sequence[Mapping[str, object]] = ()
) -> Rendered:
    """Who fetches `mlflow://LOOP/VERSION`: KServe runs it as an init container with args [uri, /mnt/models].

    env: further variables, MLflow's credentials for one; a Secret is looked up in the namespace of the predictor.
    """
    container = {
        "name": INITIALIZER,
        "image": image,
        "imagePullPolicy": pull_policy,
        "command": ["python", "-m", "services.fetch"],
        "env": [{"name": "SERINUS_MLFLOW_URL", "value": mlflow_url}, *(dict(variable) for variable in env)],
        "securityContext": container_security(),
        "resources": {"requests": {"cpu": "100m", "memory": "128Mi"}, "limits": {"memory": "512Mi"}},
    }
    return {
        "apiVersion": "serving.kserve.io/v1alpha1",
        "kind": "ClusterStorageContainer",
        "metadata": {"name": f"{names.MANAGER}-mlflow", "labels": _shared_labels()},
        "spec": {
            "container": container,
            "supportedUriFormats": [{"prefix": "mlflow://"}],
            "workloadType": "initContainer",
            "supportsMultiModelDownload": False,
        },
    }


def container_security() -> Rendered:
    """A container as PodSecurity `restricted` wants it, its root file system read-only besides."""
    return {
        "allowPrivilegeEscalation": False,
        "capabilities": {"drop": ["ALL"]},
        "readOnlyRootFilesystem": True,
        "runAsNonRoot": True,
        "runAsUser": USER,
        "seccompProfile": {"type": "RuntimeDefault"},
    }


def _predictor(
    loop: ModelLoop, version: int, namespace: str, service_account: str, collector: Collector | None
) -> Rendered:
    """What both modes have in common; Knative refuses most other fields of a pod unless flags allow them."""
    serving, latency = loop.spec.serving, loop.spec.rollout.guardrails.latency
    args = ["--loop", loop.name, "--version", str(version), "--unseen", serving.unseen_categories]
    if latency is not None:
        args += ["--latency-threshold", f"{latency.threshold.total_seconds():g}"]
    for trusted in loop.spec.training.trust:
        args += ["--trust", trusted]
    model: Rendered = {
        "modelFormat": {"name": names.RUNTIME},
        "runtime": names.RUNTIME,
        "protocolVersion": "v2",
        "storageUri": names.storage_uri(loop.name, version),
        "args": args,
    }
    if serving.image is not None:
        model["image"] = serving.image
    if serving.resources:
        model["resources"] = {kind: dict(amounts) for kind, amounts in serving.resources.items()}
    volumes: Rendered = {}
    if loop.spec.collect is not None and loop.spec.collect.key is not None:
        args += ["--key", loop.spec.collect.key]  # also where nobody collects: callers send it all the same
    if loop.spec.collect is not None and collector is not None:
        args += collecting.arguments(loop.spec.collect, collector, namespace)
        service_account = service_account or names.predictor(loop.name)
        if collector.volume is not None:
            volume, model["volumeMounts"] = collector.volume[0], [collector.volume[1]]
            volumes = {"volumes": [volume]}
    return {
        "model": model,
        **({"serviceAccountName": service_account} if service_account else {}),
        **volumes,
        "automountServiceAccountToken": False,
        "enableServiceLinks": False,
    }


def _shared_labels() -> dict[str, str]:
    return {"app.kubernetes.io/managed-by": names.MANAGER, "app.kubernetes.io/part-of": "serinus"}
