"""Each image as a pod of a namespace that admits only restricted ones, on a root file system that cannot be written."""

from __future__ import annotations

import json
import uuid
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import httpx
import pytest

from components.image import IMAGE as PIPELINE
from serinus import artifact, models, sources, wire
from serinus.adapters.kube import PODS, Kube
from serinus.adapters.mlflow import MlflowRegistry
from serinus.facts import Contract
from services.local import mlflow_server
from services.platform import Platform
from tests import data_sets
from tests.cluster.installation import NAMESPACES, forwarded, kubectl
from tests.servers.envoy import until

PLATFORM = Platform("http://mlflow", "http://prometheus", "http://kfp")
PREDICTOR, CONTROL = PLATFORM.predictor_image, PLATFORM.control_image
TMP = "/tmp"  # noqa: S108  # of a container
PATIENCE = 180.0  # seconds until a pod is where it should be; a few on an idle machine

# What a container finds of itself, as JSON.
PROBE = """
import importlib.util, json, os, shutil, socket, ssl
places = ":".join(["/bin", "/sbin", "/usr/bin", "/usr/sbin", "/usr/local/bin", "/usr/local/sbin", os.environ["PATH"]])
names = ["sh", "bash", "dash", "busybox", "mktemp", "gcc", "cc", "ld", "make", "uv", "pip", "pip3", "apt-get", "dpkg",
         "apk", "curl", "wget", "perl"]
def refused(folder):
    try:
        open(folder + "/probe", "w")
    except OSError as error:
        return error.strerror
print(json.dumps({
    "user": [os.getuid(), os.getgid()],
    "programs": sorted(name for name in names if shutil.which(name, path=places)),
    "modules": sorted(name for name in ("pip", "uv", "alibi_detect") if importlib.util.find_spec(name)),
    "localhost": socket.gethostbyname("localhost"),
    "authorities": ssl.create_default_context().cert_store_stats()["x509_ca"] > 50,
    "writable": [folder for folder in ("", "/opt/serinus", "/etc", "/tmp") if not refused(folder)],
}))
"""


@pytest.fixture(scope="module")
def kube() -> Kube:
    return Kube.connect()


@pytest.fixture(scope="module")
def namespace(kube: Kube) -> Iterator[str]:
    name = f"serinus-images-{uuid.uuid4().hex[:6]}"
    labels = {f"pod-security.kubernetes.io/{mode}": "restricted" for mode in ("enforce", "warn")}
    kube.create(
        NAMESPACES, None, {"apiVersion": "v1", "kind": "Namespace", "metadata": {"name": name, "labels": labels}}
    )
    yield name
    kube.delete(NAMESPACES, None, name)


def container(name: str, image: str, *command: str, **more: Any) -> dict[str, Any]:
    """A container as the chart makes them: no right that it does not need."""
    security = {"allowPrivilegeEscalation": False, "readOnlyRootFilesystem": True, "capabilities": {"drop": ["ALL"]}}
    made = {"name": name, "image": image, "imagePullPolicy": "IfNotPresent", "securityContext": security, **more}
    return made | ({"command": list(command)} if command else {})


def tmp(name: str = "tmp", path: str = TMP) -> dict[str, str]:
    return {"name": name, "mountPath": path}


def started(kube: Kube, namespace: str, name: str, **spec: Any) -> None:
    kube.create(
        PODS,
        namespace,
        {
            "apiVersion": "v1",
            "kind": "Pod",
            "metadata": {"name": name, "namespace": namespace},
            "spec": {
                "restartPolicy": "Never",
                "automountServiceAccountToken": False,
                "enableServiceLinks": False,
                # No runAsUser: it is the image that says who runs.
                "securityContext": {"runAsNonRoot": True, "seccompProfile": {"type": "RuntimeDefault"}},
                "terminationGracePeriodSeconds": 1,
                "volumes": [{"name": "tmp", "emptyDir": {}}, {"name": "models", "emptyDir": {}}],
                **spec,
            },
        },
    )


def status(kube: Kube, namespace: str, name: str) -> dict[str, Any]:
    found = kube.get(PODS, namespace, name)
    assert found is not None
    return dict(found["status"])


def reached(kube: Kube, namespace: str, name: str, *phases: str) -> dict[str, Any]:
    """The pod's status once it is in one of the phases."""
    until(lambda: status(kube, namespace, name).get("phase") in phases, f"pod {name} {' or '.join(phases)}", PATIENCE)
    return status(kube, namespace, name)


def ready(kube: Kube, namespace: str, name: str) -> bool:
    """Whether the pod may be asked; fails when it never will be."""
    now = status(kube, namespace, name)
    assert now.get("phase") != "Failed", now
    return any(c["type"] == "Ready" and c["status"] == "True" for c in now.get("conditions", ()))


def said(namespace: str, pod: str, name: str) -> str:
    return kubectl("-n", namespace, "logs", pod, "-c", name)


@pytest.mark.parametrize(
    ("name", "image", "programs"),
    [
        ("predictor", PREDICTOR, []),
        ("control", CONTROL, []),
        # sh and mktemp are what KFP's launcher calls; the rest is the base image's, which images of users build on.
        ("pipeline", PIPELINE, ["apt-get", "bash", "dash", "dpkg", "mktemp", "perl", "pip", "pip3", "sh"]),
    ],
)
def test_an_image_is_nobody_and_holds_no_tools(
    kube: Kube, namespace: str, name: str, image: str, programs: list[str]
) -> None:
    probe = container("probe", image, "python", "-c", PROBE, volumeMounts=[tmp()])
    started(kube, namespace, f"probe-{name}", containers=[probe])
    assert reached(kube, namespace, f"probe-{name}", "Succeeded", "Failed")["phase"] == "Succeeded"
    found = json.loads(said(namespace, f"probe-{name}", "probe"))
    assert set(found.pop("programs")) <= set(programs)
    assert found == {
        "user": [10001, 10001],
        "modules": [],
        "localhost": "127.0.0.1",
        "authorities": True,
        "writable": [TMP],
    }


@pytest.mark.parametrize(
    ("name", "image", "modules"),
    [
        ("control", CONTROL, [f"services.{n}" for n in ("operator", "drift", "quality", "collector", "fetch")]),
        ("predictor", PREDICTOR, ["services.predictor"]),
        ("pipeline", PIPELINE, ["kfp.dsl.executor_main", "mlflow", "services.intake"]),
    ],
)
def test_an_images_programs_say_how_they_are_used(
    kube: Kube, namespace: str, name: str, image: str, modules: list[str]
) -> None:
    parts = [
        container(
            module.replace(".", "-").replace("_", "-"), image, "python", "-m", module, "--help", volumeMounts=[tmp()]
        )
        for module in modules
    ]
    started(kube, namespace, f"help-{name}", containers=parts)
    reached(kube, namespace, f"help-{name}", "Succeeded", "Failed")
    for part in parts:
        assert "usage:" in said(namespace, f"help-{name}", part["name"]).lower(), part["name"]
    assert status(kube, namespace, f"help-{name}")["phase"] == "Succeeded"


def test_a_pipelines_step_finds_what_kubeflow_needs(kube: Kube, namespace: str) -> None:
    script = 'program=$(mktemp -d); printf "%s" "print(6 * 7)" > "$program/step.py"; python3 "$program/step.py"'
    step = container("step", PIPELINE, "sh", "-ec", script, volumeMounts=[tmp()])
    started(kube, namespace, "step", containers=[step])
    assert reached(kube, namespace, "step", "Succeeded", "Failed")["phase"] == "Succeeded"
    assert said(namespace, "step", "step") == "42\n"


@pytest.fixture(scope="module")
def mlflow(kube: Kube, namespace: str) -> str:
    """The address, inside the cluster, of an MLflow server from the pipeline's image."""
    launch = mlflow_server.launch("0.0.0.0", 5000, Path(TMP))  # noqa: S104  # in a pod
    server = container(
        "mlflow",
        PIPELINE,
        "python",
        *launch.argv[1:],
        env=[{"name": name, "value": value} for name, value in launch.env.items()],
        volumeMounts=[tmp()],
        readinessProbe={
            "httpGet": {"path": mlflow_server.READY, "port": 5000},
            "periodSeconds": 1,
            "timeoutSeconds": 5,
        },
    )
    started(kube, namespace, "mlflow", containers=[server])

    until(lambda: ready(kube, namespace, "mlflow"), "MLflow ready", PATIENCE)
    return f"http://{status(kube, namespace, 'mlflow')['podIP']}:5000"


@pytest.fixture(scope="module")
def model(mlflow: str, namespace: str, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A model directory; the registry has it as version 1 of `parcels`, and a changed one as version 1 of `changed`."""
    folder = tmp_path_factory.mktemp("parcels")
    spec, frame = data_sets.binary(rows=400)
    dataset = sources.snapshot(frame, "made up", spec.spec.data.time, folder / "data")
    artifact.save(folder / "model", *models.fit(spec, frame, dataset, None))
    other = folder / "other"
    artifact.save(other, *models.fit(spec, frame[:300], dataset, None))
    with forwarded(namespace, "pod/mlflow", 5000) as url:
        from mlflow.tracking import MlflowClient

        registry, client = MlflowRegistry(url), MlflowClient(url, url)
        for loop in ("parcels", "changed"):
            registry.register(loop, "by-hand", folder / "model", {}, {})
        client.log_artifacts(str(client.get_model_version("changed", "1").run_id), str(other), "model")
    return folder / "model"


def predictor(kube: Kube, namespace: str, mlflow: str, loop: str) -> None:
    """A pod as KServe makes it of our ServingRuntime and ClusterStorageContainer."""
    fetch = container(
        "storage-initializer",
        CONTROL,
        "python",
        "-m",
        "services.fetch",
        args=[f"mlflow://{loop}/1", "/mnt/models"],
        env=[{"name": "SERINUS_MLFLOW_URL", "value": mlflow}],
        volumeMounts=[tmp("models", "/mnt/models")],  # and no /tmp
    )
    arguments = ["--model-dir", "/mnt/models/model", "--loop", loop, "--version", "1", "--host", "0.0.0.0"]  # noqa: S104
    serve = container(
        "kserve-container",
        PREDICTOR,
        args=arguments,
        volumeMounts=[tmp(), {**tmp("models", "/mnt/models"), "readOnly": True}],
        readinessProbe={"httpGet": {"path": "/v2/health/ready", "port": 8080}, "periodSeconds": 1},
    )
    started(kube, namespace, loop, initContainers=[fetch], containers=[serve])


def test_a_predictor_serves_what_was_fetched_from_mlflow(kube: Kube, namespace: str, mlflow: str, model: Path) -> None:
    predictor(kube, namespace, mlflow, "parcels")

    until(lambda: ready(kube, namespace, "parcels"), "the predictor ready", PATIENCE)
    contract = wire.load(Contract, (model / artifact.CONTRACT).read_bytes())
    with forwarded(namespace, "pod/parcels", 8080) as url:
        answer = httpx.post(f"{url}/v1/models/parcels:predict", json={"instances": list(contract.examples)}, timeout=30)
    assert answer.status_code == httpx.codes.OK, answer.text
    scores = [prediction["score"] for prediction in answer.json()["predictions"]]
    assert scores == pytest.approx(list(contract.expected), rel=1e-6)


def test_a_model_that_is_not_the_one_registered_is_refused_where_kubectl_shows_it(
    kube: Kube, namespace: str, mlflow: str, model: Path
) -> None:
    predictor(kube, namespace, mlflow, "changed")
    (fetched,) = reached(kube, namespace, "changed", "Failed")["initContainerStatuses"]
    ended = fetched["state"]["terminated"]
    assert ended["exitCode"] == 1
    assert artifact.verify(model) in ended["message"]
    assert "as registered" in ended["message"]
