"""One installation of the chart on the cluster, with the stand-in for Kubeflow Pipelines, for all tests of a session.

Needs of the cluster: KServe, a Gateway, Prometheus that scrapes annotated pods, the images of `make images`, and those
whose contexts `python -m tests.cluster.images` writes.
"""

from __future__ import annotations

import contextlib
import fcntl
import json
import os
import re
import shutil
import socket
import subprocess
import time
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from serinus.adapters.kube import PODS, Kind, Kube
from serinus.render.collecting import Collector
from tests.cluster import images

ROOT = images.ROOT
RELEASE, NAMESPACE = "serinus", "serinus-test"
DOMAIN = "models.test"
GATEWAY = os.environ.get("SERINUS_TEST_GATEWAY", "kserve/kserve-ingress-gateway")
PROMETHEUS = os.environ.get("SERINUS_TEST_PROMETHEUS", "http://prometheus.monitoring:9090")
GATEWAYS = Kind("gateway.networking.k8s.io/v1", "gateways", "Gateway")
NAMESPACES = Kind("v1", "namespaces", "Namespace", namespaced=False)
PVCS = Kind("v1", "persistentvolumeclaims", "PersistentVolumeClaim")
STANDIN, RUNNER = "kfp-standin", "pipeline-runner"
"""The stand-in for Kubeflow Pipelines, and the account of its runs, as a standalone Kubeflow names it."""
LEFT = "serinus-test/loop"
"""Label of the namespaces that tests make for loops."""

VALUES: dict[str, Any] = {
    "prometheus": {"url": PROMETHEUS, "scrapeInterval": "5s"},
    "kfp": {"url": f"http://{STANDIN}.{NAMESPACE}:8888"},
    "serving": {"gateway": GATEWAY, "domain": DOMAIN},
    "collector": {"enabled": True},
}


def program(name: str) -> str:
    """kubectl or helm: of PATH, else what `make setup` has put into .cache/bin. Its absence is a failure."""
    found = shutil.which(name) or shutil.which(name, path=str(ROOT / ".cache" / "bin"))
    assert found is not None, f"expected {name} on PATH or in .cache/bin: run `make setup`"
    return found


def run(name: str, *words: str, stdin: str = "", timeout: float = 300) -> str:
    """What the program says. Fails the test with what it complains about."""
    done = subprocess.run(
        [program(name), *words], input=stdin, capture_output=True, text=True, timeout=timeout, check=False
    )
    assert done.returncode == 0, f"{name} {' '.join(words)}\n{done.stdout}\n{done.stderr}"
    return done.stdout


def kubectl(*words: str, stdin: str = "", timeout: float = 300) -> str:
    """kubectl by KUBECONFIG."""
    return run("kubectl", *words, stdin=stdin, timeout=timeout)


@dataclass(frozen=True)
class Installation:
    """What tests need of it."""

    kube: Kube
    took: float  # seconds from `helm install` until the operator was ready

    @property
    def gateway(self) -> tuple[str, int]:
        """The Gateway's address, as this machine reaches it. Some gateways listen only once they have a route."""
        return gateway(self.kube)

    def host(self, loop: str, namespace: str) -> str:
        """The Host header of a loop."""
        return f"{loop}.{namespace}.{DOMAIN}"

    def operator(self) -> list[dict[str, Any]]:
        """The operator's pods that run."""
        pods = self.kube.list(PODS, NAMESPACE, {"app.kubernetes.io/component": "operator"})
        return [p for p in pods if "deletionTimestamp" not in p["metadata"]]


@contextlib.contextmanager
def installed(folder: Path) -> Iterator[Installation]:
    """The chart, installed, and gone again afterwards. Processes that name the same folder share one installation."""
    kube = Kube.connect()
    with _alone(folder) as users:
        if not users.exists():
            users.write_text("0 " + str(_install(kube, folder)))
        count, took = users.read_text().split()
        users.write_text(f"{int(count) + 1} {took}")
    try:
        yield Installation(kube, float(took))
    finally:
        with _alone(folder) as users:
            count, took = users.read_text().split()
            users.write_text(f"{int(count) - 1} {took}")
            if int(count) == 1:
                _remove(kube)
                users.unlink()


def _install(kube: Kube, folder: Path) -> float:
    """From nothing; the seconds from `helm install` until all is ready."""
    _remove(kube)
    kube.apply(NAMESPACES, None, {"apiVersion": "v1", "kind": "Namespace", "metadata": {"name": NAMESPACE}})
    kubectl("-n", NAMESPACE, "apply", "--server-side", "-f", "-", stdin=json.dumps(_standin()))
    values = folder / "values.json"
    values.write_text(json.dumps(VALUES))
    began = time.monotonic()
    upgrade(values)
    took = time.monotonic() - began
    kubectl("-n", NAMESPACE, "rollout", "status", f"deployment/{STANDIN}", "--timeout", "180s")
    return took


@contextlib.contextmanager
def _alone(folder: Path) -> Iterator[Path]:
    """The file that counts who uses the installation, while nobody else looks at it."""
    with (folder / "installation.lock").open("w") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        yield folder / "installation"


def upgrade(values: Path, *words: str) -> None:
    """`helm upgrade --install`, until everything is ready."""
    chart = str(ROOT / "charts" / "serinus")
    wait = ["--wait", "--timeout", "240s"]
    run("helm", "upgrade", "--install", RELEASE, chart, "-n", NAMESPACE, "-f", str(values), *wait, *words)


def gateway(kube: Kube) -> tuple[str, int]:
    """Where this machine reaches the Gateway: SERINUS_TEST_GATEWAY_ADDRESS, else by what the Gateway says of itself.

    Some gateways listen 8000 above the listener's port.
    """
    if given := os.environ.get("SERINUS_TEST_GATEWAY_ADDRESS"):
        host, _, number = given.partition(":")
        return host, int(number)
    namespace, _, name = GATEWAY.partition("/")
    found = kube.get(GATEWAYS, namespace, name)
    assert found is not None, f"expected the Gateway {GATEWAY}; name another by SERINUS_TEST_GATEWAY"
    address = found["status"]["addresses"][0]["value"]
    listener = int(found["spec"]["listeners"][0]["port"])
    deadline = time.monotonic() + 30
    while time.monotonic() < deadline:
        for port in (listener + 8000, listener):
            with contextlib.suppress(OSError), socket.create_connection((address, port), timeout=1):
                return address, port
        time.sleep(0.2)
    raise AssertionError(f"expected the Gateway at {address} to answer; say where by SERINUS_TEST_GATEWAY_ADDRESS")


@contextlib.contextmanager
def forwarded(namespace: str, target: str, port: int) -> Iterator[str]:
    """The URL of a port of a pod or service of the cluster, for as long as the block lasts."""
    command = [program("kubectl"), "-n", namespace, "port-forward", target, f":{port}"]
    with subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True) as process:
        try:
            assert process.stdout is not None
            line = process.stdout.readline()
            found = re.match(r"Forwarding from 127\.0\.0\.1:(\d+)", line)
            assert found is not None, f"{' '.join(command)}: {line}"
            yield f"http://127.0.0.1:{found[1]}"
        finally:
            process.terminate()


def _remove(kube: Kube) -> None:
    """What an earlier session left: loops first, while their operator lives to let go of them."""
    if kube.get(NAMESPACES, None, NAMESPACE) is None:
        return
    for left in kube.list(NAMESPACES, None, {LEFT: "true"}):
        name = left["metadata"]["name"]
        kubectl("-n", name, "delete", "modelloop", "--all", "--timeout", "60s")
        kube.delete(NAMESPACES, None, name)
    helm = [program("helm"), "uninstall", RELEASE, "-n", NAMESPACE, "--ignore-not-found", "--wait", "--timeout", "60s"]
    subprocess.run(helm, capture_output=True, timeout=90, check=False)
    kube.delete(NAMESPACES, None, NAMESPACE)
    kubectl("wait", "--for=delete", f"namespace/{NAMESPACE}", "--timeout", "120s")


def _standin() -> dict[str, Any]:
    labels = {"app": STANDIN}
    token = Collector("", "/var/run/secrets/serinus/collector/token").volume  # as docs/pipeline-runs.md has it mounted
    assert token is not None
    container = {
        "name": STANDIN,
        "image": images.PIPELINE,
        "imagePullPolicy": "IfNotPresent",
        "command": [
            "python",
            "-m",
            "tests.standins.kfp",
            "--host",
            "0.0.0.0",  # noqa: S104  # in a pod
            "--port",
            "8888",
            "--folder",
            "/tmp/kfp",  # noqa: S108  # of the container
        ],
        "ports": [{"containerPort": 8888}],
        "readinessProbe": {"httpGet": {"path": "/apis/v2beta1/healthz", "port": 8888}, "periodSeconds": 1},
        "resources": {"requests": {"cpu": "50m", "memory": "256Mi"}, "limits": {"memory": "2Gi"}},
        "volumeMounts": [{"name": "tmp", "mountPath": "/tmp"}, token[1]],  # noqa: S108
    }
    volumes = [{"name": "tmp", "emptyDir": {}}, token[0]]
    pod = {"serviceAccountName": RUNNER, "containers": [container], "volumes": volumes}
    meta = {"name": STANDIN, "namespace": NAMESPACE, "labels": labels}
    return {
        "apiVersion": "v1",
        "kind": "List",
        "items": [
            {"apiVersion": "v1", "kind": "ServiceAccount", "metadata": {**meta, "name": RUNNER}},
            {
                "apiVersion": "apps/v1",
                "kind": "Deployment",
                "metadata": meta,
                "spec": {
                    "selector": {"matchLabels": labels},
                    "strategy": {"type": "Recreate"},
                    "template": {"metadata": {"labels": labels}, "spec": pod},
                },
            },
            {
                "apiVersion": "v1",
                "kind": "Service",
                "metadata": meta,
                "spec": {"selector": labels, "ports": [{"port": 8888}]},
            },
        ],
    }
