from __future__ import annotations

from datetime import timedelta

import pytest

from serinus.render import jobs
from serinus.render.collecting import Collector
from tests.unit.loop_cases import spec

MINUTE, HOUR, DAY = timedelta(minutes=1), timedelta(hours=1), timedelta(days=1)
HERE = jobs.Surroundings("serinus/control:0.1.0", {"SERINUS_MLFLOW_URL": "http://mlflow"})
OWNER = {
    "apiVersion": "serinus.dev/v1alpha1",
    "kind": "ModelLoop",
    "name": "flights",
    "uid": "u-1",
    "controller": True,
    "blockOwnerDeletion": True,
}
ABOUT = {
    "name": "flights-drift",
    "namespace": "team",
    "labels": {
        "app.kubernetes.io/managed-by": "serinus",
        "app.kubernetes.io/part-of": "serinus",
        "serinus.dev/loop": "flights",
    },
    "ownerReferences": [OWNER],
}


def rendered(text: str = "", here: jobs.Surroundings = HERE, suspend: bool = False) -> tuple[dict, ...]:  # type: ignore[type-arg]
    return of("drift", text, here, suspend)


def of(
    kind: jobs.Kind, text: str, here: jobs.Surroundings = HERE, suspend: bool = False, training: str = ""
) -> tuple[dict, ...]:  # type: ignore[type-arg]
    loop = spec(text, training=training)
    (job,) = (job for job in jobs.jobs(loop, here) if job.kind == kind)
    return jobs.objects(loop, job, "team", here, suspend=suspend, uid="u-1")


def test_the_jobs_account_may_read_its_loop_and_write_requests_and_nothing_else() -> None:
    account, role, binding, _ = rendered()
    assert account == {
        "apiVersion": "v1",
        "kind": "ServiceAccount",
        "metadata": ABOUT,
        "automountServiceAccountToken": False,
    }
    assert role == {
        "apiVersion": "rbac.authorization.k8s.io/v1",
        "kind": "Role",
        "metadata": ABOUT,
        "rules": [
            {"apiGroups": ["serinus.dev"], "resources": ["modelloops"], "resourceNames": ["flights"], "verbs": ["get"]},
            {"apiGroups": ["serinus.dev"], "resources": ["looprequests"], "verbs": ["create", "get", "list"]},
            {"apiGroups": ["serinus.dev"], "resources": ["modelapprovals"], "verbs": ["get", "list"]},
        ],
    }
    assert binding == {
        "apiVersion": "rbac.authorization.k8s.io/v1",
        "kind": "RoleBinding",
        "metadata": ABOUT,
        "roleRef": {"apiGroup": "rbac.authorization.k8s.io", "kind": "Role", "name": "flights-drift"},
        "subjects": [{"kind": "ServiceAccount", "name": "flights-drift", "namespace": "team"}],
    }


def test_the_cron_job_whole() -> None:
    *_, job = rendered(suspend=True)
    labels = ABOUT["labels"]
    assert job == {
        "apiVersion": "batch/v1",
        "kind": "CronJob",
        "metadata": ABOUT,
        "spec": {
            "schedule": jobs.schedule(HOUR, "team/flights-drift"),
            "timeZone": "Etc/UTC",
            "suspend": True,
            "concurrencyPolicy": "Forbid",
            "startingDeadlineSeconds": 600,
            "successfulJobsHistoryLimit": 1,
            "failedJobsHistoryLimit": 3,
            "jobTemplate": {
                "metadata": {"labels": labels},
                "spec": {
                    "backoffLimit": 1,
                    "activeDeadlineSeconds": 600,
                    "ttlSecondsAfterFinished": 86400,
                    "template": {
                        "metadata": {"labels": labels},
                        "spec": {
                            "serviceAccountName": "flights-drift",
                            "automountServiceAccountToken": True,
                            "enableServiceLinks": False,
                            "restartPolicy": "Never",
                            "securityContext": {"runAsNonRoot": True, "seccompProfile": {"type": "RuntimeDefault"}},
                            "containers": [
                                {
                                    "name": "drift",
                                    "image": "serinus/control:0.1.0",
                                    "imagePullPolicy": "IfNotPresent",
                                    "command": ["python", "-m", "services.drift"],
                                    "args": ["--cluster", "--namespace", "team", "--loop", "flights"],
                                    "env": [{"name": "SERINUS_MLFLOW_URL", "value": "http://mlflow"}],
                                    "resources": {
                                        "requests": {"cpu": "100m", "memory": "256Mi"},
                                        "limits": {"memory": "1Gi"},
                                    },
                                    "securityContext": {
                                        "allowPrivilegeEscalation": False,
                                        "capabilities": {"drop": ["ALL"]},
                                        "readOnlyRootFilesystem": True,
                                        "runAsNonRoot": True,
                                        "runAsUser": 10001,
                                        "seccompProfile": {"type": "RuntimeDefault"},
                                    },
                                    "volumeMounts": [{"name": "tmp", "mountPath": "/tmp"}],  # noqa: S108
                                }
                            ],
                            "volumes": [{"name": "tmp", "emptyDir": {"sizeLimit": "1Gi"}}],
                        },
                    },
                },
            },
        },
    }


def test_on_a_multi_user_kubeflow_the_job_has_a_token_for_it() -> None:
    path = "/var/run/secrets/kubeflow/pipelines/token"
    *_, job = rendered(here=jobs.Surroundings("image", {}, kfp_token_path=path))
    pod = job["spec"]["jobTemplate"]["spec"]["template"]["spec"]
    assert pod["containers"][0]["volumeMounts"][-1] == {
        "name": "kfp-token",
        "mountPath": "/var/run/secrets/kubeflow/pipelines",
        "readOnly": True,
    }
    source = {"audience": "pipelines.kubeflow.org", "path": "token", "expirationSeconds": 7200}
    assert pod["volumes"][-1] == {"name": "kfp-token", "projected": {"sources": [{"serviceAccountToken": source}]}}


LABELLED = """collect: {}
  labels: {every: 30m, source: {sql: {url: "postgresql://${NAME}@db/x", query: "SELECT 1"}, key: k, value: v}}
  newData: {share: 0.5, every: 2h}
  quality: {every: 15m}
"""
TOKEN = "/var/run/secrets/serinus/collector/token"  # noqa: S105 - a file
COLLECTED = jobs.Surroundings(
    "serinus/control:0.1.0",
    {
        "SERINUS_COLLECTOR_TOKEN_PATH": TOKEN,
        "SERINUS_KFP_TOKEN_PATH": "/var/run/kfp/token",
        "SERINUS_MLFLOW_URL": "http://mlflow",
    },
    kfp_token_path="/var/run/kfp/token",  # noqa: S106
    pipeline_image="serinus/pipeline:0.1.0",
    collector=Collector("http://collector:8080", TOKEN),
)
COLLECTOR_VOLUME = {
    "name": "collector-token",
    "projected": {
        "sources": [
            {"serviceAccountToken": {"audience": "serinus-collector", "path": "token", "expirationSeconds": 3600}}
        ]
    },
}


def pod(cron: dict) -> dict:  # type: ignore[type-arg]
    found: dict = cron["spec"]["jobTemplate"]["spec"]["template"]["spec"]  # type: ignore[type-arg]
    return found


def rights(role: dict) -> dict[str, list[str]]:  # type: ignore[type-arg]
    """Resource, of this loop alone where it says so, to verbs."""
    return {
        " ".join([*rule["resources"], *rule.get("resourceNames", ())]): rule["verbs"] for rule in role["rules"]
    }  # fmt: skip


COMMON = {
    "modelloops flights": ["get"],
    "looprequests": ["create", "get", "list"],
    "modelapprovals": ["get", "list"],
}


def test_the_quality_job_reads_records_by_a_token_of_its_own_and_asks_for_no_run_itself() -> None:
    account, role, _, cron = of("quality", LABELLED, COLLECTED)
    assert account["metadata"]["name"] == "flights-quality"
    assert rights(role) == {**COMMON, "modelloops/records flights": ["get"]}
    assert cron["spec"]["schedule"] == jobs.schedule(15 * MINUTE, "team/flights-quality")
    made = pod(cron)
    (container,) = made["containers"]
    assert container["image"] == "serinus/control:0.1.0"
    assert container["command"] == ["python", "-m", "services.quality"]
    assert container["args"] == ["--cluster", "--namespace", "team", "--loop", "flights"]
    assert container["env"] == [
        {"name": "SERINUS_COLLECTOR_TOKEN_PATH", "value": TOKEN},
        {"name": "SERINUS_MLFLOW_URL", "value": "http://mlflow"},
    ]
    assert container["volumeMounts"] == [
        {"name": "tmp", "mountPath": "/tmp"},  # noqa: S108
        {"name": "collector-token", "mountPath": "/var/run/secrets/serinus/collector", "readOnly": True},
    ]
    assert made["volumes"] == [{"name": "tmp", "emptyDir": {"sizeLimit": "1Gi"}}, COLLECTOR_VOLUME]
    assert "nodeSelector" not in made


def test_the_intake_runs_the_users_code_as_a_step_of_a_run_does() -> None:
    training = """image: example.com/mine:1, nodeSelector: {disk: fast},
      resources: {requests: {cpu: "2", memory: 2Gi}, limits: {nvidia.com/gpu: "1"}},
      secrets: {NAME: {secret: database, key: user}, DB_PASSWORD: {secret: database}}"""
    _, role, _, cron = of("intake", LABELLED, COLLECTED, training=training)
    assert rights(role) == {
        **COMMON,
        "modelloops/labels flights": ["create"],
        "modelloops/records flights": ["get"],
    }
    assert cron["spec"]["schedule"] == jobs.schedule(30 * MINUTE, "team/flights-intake")  # the quicker of the two
    assert cron["spec"]["jobTemplate"]["spec"]["activeDeadlineSeconds"] == 1800
    made = pod(cron)
    (container,) = made["containers"]
    assert (container["name"], container["image"]) == ("intake", "example.com/mine:1")
    assert container["resources"] == {"requests": {"cpu": "2", "memory": "2Gi"}}
    assert container["env"][-2:] == [
        {"name": "DB_PASSWORD", "valueFrom": {"secretKeyRef": {"name": "database", "key": "DB_PASSWORD"}}},
        {"name": "NAME", "valueFrom": {"secretKeyRef": {"name": "database", "key": "user"}}},
    ]
    assert made["nodeSelector"] == {"disk": "fast"}


def test_new_data_is_counted_without_a_collector_as_well() -> None:
    here = jobs.Surroundings("serinus/control:0.1.0", {}, pipeline_image="serinus/pipeline:0.1.0")
    _, role, _, cron = of("intake", "newData: {rows: 1000, every: 6h}", here)
    assert rights(role) == COMMON
    (container,) = pod(cron)["containers"]
    assert container["image"] == "serinus/pipeline:0.1.0"
    assert container["resources"] == {"requests": {"cpu": "100m", "memory": "256Mi"}, "limits": {"memory": "1Gi"}}


def test_a_second_look_at_drift_reads_records_too() -> None:
    for text, more in (
        ("drift: {confirm: {detector: mmd}}", {"modelloops/records flights": ["get"]}),
        ("drift: {}", {}),
    ):
        _, role, _, cron = of("drift", "collect: {}\n  " + text, COLLECTED)
        assert rights(role) == {**COMMON, **more}
        assert (COLLECTOR_VOLUME in pod(cron)["volumes"]) is bool(more)
        variables = {each["name"] for each in pod(cron)["containers"][0]["env"]}
        assert ("SERINUS_COLLECTOR_TOKEN_PATH" in variables) is bool(more)
        assert "SERINUS_KFP_TOKEN_PATH" in variables


def test_a_collector_that_asks_for_no_token_is_shown_none() -> None:
    here = jobs.Surroundings("serinus/control:0.1.0", {}, collector=Collector("http://collector:8080"))
    *_, cron = of("quality", "collect: {}\n  quality: {}", here)
    assert pod(cron)["volumes"] == [{"name": "tmp", "emptyDir": {"sizeLimit": "1Gi"}}]


@pytest.mark.parametrize(
    ("text", "here", "kinds"),
    [
        ("drift: null", COLLECTED, []),
        ("", HERE, ["drift"]),
        (LABELLED, COLLECTED, ["drift", "quality", "intake"]),
        (LABELLED, HERE, ["drift", "intake"]),  # rows can be counted where nothing is collected
        ("drift: null\n  collect: {}\n  quality: {}", HERE, []),
    ],
)
def test_a_loop_has_the_jobs_that_its_spec_asks_for_and_that_can_work(
    text: str, here: jobs.Surroundings, kinds: list[str]
) -> None:
    assert [job.kind for job in jobs.jobs(spec(text), here)] == kinds
