"""What is rendered for KServe and the Gateway is what they know, and what KServe makes of it is what was meant."""

from __future__ import annotations

import json
import subprocess
from collections.abc import Iterator
from datetime import timedelta

import pytest

from serinus.adapters.kube import (
    HPAS,
    INFERENCE_SERVICES,
    ROLE_BINDINGS,
    ROLES,
    SERVICE_ACCOUNTS,
    SERVING_RUNTIMES,
    Object,
)
from serinus.render import collecting, gateway, kserve, names
from serinus.render.collecting import Collector
from tests.cluster.installation import Installation, program
from tests.cluster.serving import IMAGE, LOOP, Serving, serving
from tests.servers.envoy import until

RESOURCES = {"requests": {"cpu": "20m", "memory": "48Mi"}, "limits": {"memory": "96Mi"}}

COLLECTOR = Collector("http://collector:8085", "/var/run/secrets/serinus/collector/token")


@pytest.fixture(scope="module")
def place() -> Iterator[Serving]:
    mine = {"minReplicas": 1, "maxReplicas": 3, "resources": RESOURCES, "image": IMAGE.replace("serinus", "mine", 1)}
    training = {"python": "mine:fit", "trust": ["mine.Tree"]}
    with serving(serving=mine, training=training, collect={"key": "parcel"}) as made:
        yield made


def objects(place: Serving) -> dict[str, Object]:
    loop, namespace = place.loop, place.namespace
    secret = {"name": "MLFLOW_TRACKING_TOKEN", "valueFrom": {"secretKeyRef": {"name": "mlflow", "key": "token"}}}
    return {
        "inference service": kserve.inference_service(loop, 3, namespace, "u-1", "default"),
        "collecting": kserve.inference_service(loop, 3, namespace, collector=COLLECTOR),
        "collecting in knative": kserve.knative_service(loop, 3, 20, namespace, collector=COLLECTOR),
        "knative": kserve.knative_service(loop, 3, 20, namespace, "u-1", "default"),
        "runtime": kserve.serving_runtime(IMAGE, namespace=namespace),
        "cluster runtime": kserve.serving_runtime(IMAGE),
        "storage container": kserve.cluster_storage_container(IMAGE, "http://mlflow:5000", env=[secret]),
        "route": gateway.http_route(
            LOOP, namespace, "h.models.test", "a/b", {1: 95, 2: 5}, timedelta(seconds=1.5), "u"
        ),
        "copying route": gateway.http_route(LOOP, namespace, "h.models.test", "a/b", {1: 100, 2: 0}, mirrors={2: 30}),
    }


def dry_run(made: Object) -> subprocess.CompletedProcess[str]:
    """What the API server, its schemas and KServe's webhooks say of it; nothing is made."""
    words = ["apply", "--server-side", "--force-conflicts", "--dry-run=server", "--validate=strict", "-f", "-"]
    return subprocess.run(
        [program("kubectl"), *words], input=json.dumps(made), capture_output=True, text=True, timeout=60, check=False
    )


@pytest.mark.parametrize(
    "which",
    [
        *("inference service", "collecting", "knative", "collecting in knative"),
        *("runtime", "cluster runtime", "storage container", "route", "copying route"),
    ],
)
def test_every_field_is_known_to_the_real_schema(place: Serving, which: str) -> None:
    made = objects(place)[which]
    done = dry_run(made)
    assert done.returncode == 0, done.stderr
    made["spec"]["canaryWeihgt"] = 5
    done = dry_run(made)
    assert done.returncode != 0
    assert "canaryWeihgt" in done.stderr


def test_a_pod_is_put_together_from_runtime_and_version(place: Serving) -> None:
    place.kube.apply(INFERENCE_SERVICES, place.namespace, place.service(1))
    until(lambda: bool(place.pods(1)), "a pod is made", 60)
    pod = place.pods(1)[0]
    spec, server = pod["spec"], pod["spec"]["containers"][0]
    runtime = place.kube.get(SERVING_RUNTIMES, place.namespace, "serinus")
    assert runtime is not None
    of_runtime = runtime["spec"]["containers"][0]
    of_version = place.service(1)["spec"]["predictor"]["model"]
    assert server["args"] == of_runtime["args"] + of_version["args"]
    assert server["args"][-4:] == ["--trust", "mine.Tree", "--key", "parcel"]
    assert server["command"] == of_runtime["command"]
    assert server["image"] == "mine/predictor:0.1.0"
    assert server["resources"] == RESOURCES
    assert server["securityContext"] == kserve.container_security()
    assert spec["securityContext"]["runAsNonRoot"] is True
    assert spec["terminationGracePeriodSeconds"] == 40
    assert spec["automountServiceAccountToken"] is False
    assert not [volume for volume in spec["volumes"] if "projected" in volume]
    assert pod["metadata"]["annotations"]["prometheus.io/port"] == "8080"
    scaler = place.kube.get(HPAS, place.namespace, "flights-v1-predictor")
    assert scaler is not None
    assert (scaler["spec"]["minReplicas"], scaler["spec"]["maxReplicas"]) == (1, 3)


def test_a_pod_that_collects_has_a_token_for_the_collector_and_an_account_of_its_own(place: Serving) -> None:
    for kind, made in zip(
        (SERVICE_ACCOUNTS, ROLES, ROLE_BINDINGS), collecting.predictor_account(LOOP, place.namespace), strict=True
    ):
        place.kube.apply(kind, place.namespace, made)
    service = kserve.inference_service(place.loop, 4, place.namespace, collector=COLLECTOR)
    service["spec"]["predictor"]["model"]["storageUri"] = "pvc://nothing"
    place.kube.apply(INFERENCE_SERVICES, place.namespace, service)
    until(lambda: bool(place.pods(4)), "a pod is made", 60)
    spec = place.pods(4)[0]["spec"]
    assert spec["serviceAccountName"] == names.predictor(LOOP)
    assert spec["automountServiceAccountToken"] is False
    (volume,) = (v for v in spec["volumes"] if "projected" in v)
    (source,) = volume["projected"]["sources"]
    assert source == {
        "serviceAccountToken": {"audience": "serinus-collector", "path": "token", "expirationSeconds": 3600}
    }
    server = spec["containers"][0]
    mounts = {m["mountPath"]: m for m in server["volumeMounts"]}
    assert mounts["/var/run/secrets/serinus/collector"]["name"] == volume["name"]
    assert "/tmp" in mounts  # noqa: S108 - the runtime's own is still there
    assert server["args"][-8:] == [
        *("--collector", COLLECTOR.url, "--namespace", place.namespace, "--sample", "1"),
        *("--collector-token", COLLECTOR.token_path),
    ]


def test_an_image_that_cannot_be_had_is_said(place: Serving) -> None:
    place.kube.apply(INFERENCE_SERVICES, place.namespace, place.service(1))
    router = place.router()

    def message() -> str:
        found = router.observe(LOOP).of(1)
        return found.message if found is not None else ""

    until(lambda: "ImagePull" in message() or "ErrImage" in message(), "the message names the image", 60)
    assert "mine/predictor:0.1.0" in message()


def test_a_model_that_cannot_be_fetched_is_said_in_the_fetchers_words(serinus: Installation) -> None:
    with serving() as place:
        made = place.service(1)
        made["spec"]["predictor"]["model"]["storageUri"] = "mlflow://nobodys-model/1"
        place.kube.apply(INFERENCE_SERVICES, place.namespace, made)

        def message() -> str:
            found = place.router().observe(LOOP).of(1)
            return found.message if found is not None else ""

        until(lambda: message().startswith("the model could not be fetched"), "the message says so", 90)
        assert "mlflow://nobodys-model/1" in message()
        fetcher = place.pods(1)[0]["spec"]["initContainers"][0]
        assert (fetcher["command"], fetcher["args"]) == (
            ["python", "-m", "services.fetch"],
            ["mlflow://nobodys-model/1", "/mnt/models"],
        )
        assert fetcher["securityContext"] == kserve.container_security()
