from __future__ import annotations

from datetime import datetime, timedelta
from itertools import pairwise

import pytest
from croniter import croniter
from hypothesis import given
from hypothesis import strategies as st

from serinus.render import drift_job
from tests.unit.loop_cases import NOW, SPEC, spec

MINUTE, HOUR, DAY = timedelta(minutes=1), timedelta(hours=1), timedelta(days=1)
HERE = drift_job.Surroundings("serinus/control:0.1.0", {"SERINUS_MLFLOW_URL": "http://mlflow"})
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


def rendered(text: str = "", here: drift_job.Surroundings = HERE, suspend: bool = False) -> tuple[dict, ...]:  # type: ignore[type-arg]
    loop = spec(text)
    assert loop.spec.drift is not None
    return drift_job.objects(loop, loop.spec.drift, "team", here, suspend=suspend, uid="u-1")


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
            "schedule": drift_job.schedule(HOUR, "team/flights"),
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
    *_, job = rendered(here=drift_job.Surroundings("image", {}, kfp_token_path=path))
    pod = job["spec"]["jobTemplate"]["spec"]["template"]["spec"]
    assert pod["containers"][0]["volumeMounts"][-1] == {
        "name": "kfp-token",
        "mountPath": "/var/run/secrets/kubeflow/pipelines",
        "readOnly": True,
    }
    source = {"audience": "pipelines.kubeflow.org", "path": "token", "expirationSeconds": 7200}
    assert pod["volumes"][-1] == {"name": "kfp-token", "projected": {"sources": [{"serviceAccountToken": source}]}}


@pytest.mark.parametrize(
    ("every", "looks"),
    [
        (timedelta(seconds=10), MINUTE),
        (MINUTE, MINUTE),
        (7 * MINUTE, 6 * MINUTE),
        (45 * MINUTE, 30 * MINUTE),
        (HOUR, HOUR),
        (90 * MINUTE, HOUR),
        (5 * HOUR, 4 * HOUR),
        (23 * HOUR, 12 * HOUR),
        (DAY, DAY),
        (30 * DAY, DAY),
    ],
)
def test_a_pace_becomes_the_next_quicker_one_that_cron_can_say(every: timedelta, looks: timedelta) -> None:
    assert gaps(drift_job.schedule(every, "team/flights")) == {looks}


@given(st.integers(1, 60 * 24 * 40), st.text())
def test_a_job_looks_at_least_as_often_as_asked(minutes: int, key: str) -> None:
    assert max(gaps(drift_job.schedule(minutes * MINUTE, key))) <= max(minutes * MINUTE, MINUTE)


def test_jobs_of_many_loops_do_not_begin_at_once() -> None:
    assert len({drift_job.schedule(HOUR, f"team/loop-{n}") for n in range(200)}) > 30


def gaps(schedule: str) -> set[timedelta]:
    """Between the slots of two days and some."""
    slots = croniter(schedule, NOW, ret_type=datetime)
    found: list[datetime] = [slots.get_next()]
    while found[-1] < NOW + 2 * DAY + HOUR:
        found.append(slots.get_next())
    return {later - earlier for earlier, later in pairwise(found)}


def test_a_loop_that_switches_drift_off_has_none_to_render() -> None:
    assert SPEC.spec.drift is not None
    assert spec("drift: null").spec.drift is None
