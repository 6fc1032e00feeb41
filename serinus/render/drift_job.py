"""A loop's drift job on a cluster: the CronJob, and the account with the least rights that it runs by."""

from __future__ import annotations

import hashlib
from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import timedelta
from typing import Any

from serinus.render import names
from serinus.render.kserve import container_security
from serinus.render.objects import Rendered, metadata
from serinus.spec import DriftSpec, ModelLoop

AUDIENCE = "pipelines.kubeflow.org"
TOKEN_SECONDS = 7200
_DEADLINE = timedelta(minutes=10)  # of one look; it takes seconds, and questions about a day's counters 30 s at most
_MINUTES = (1, 2, 3, 4, 5, 6, 10, 12, 15, 20, 30)
_HOURS = (1, 2, 3, 4, 6, 8, 12)


@dataclass(frozen=True)
class Surroundings:
    """What the jobs of one installation have in common."""

    image: str
    environment: Mapping[str, str]  # SERINUS_* variables
    pull_policy: str = "IfNotPresent"
    kfp_token_path: str = ""  # multi-user: where the projected token for Kubeflow Pipelines is mounted
    resources: Mapping[str, Mapping[str, str]] = field(
        default_factory=lambda: {"requests": {"cpu": "100m", "memory": "256Mi"}, "limits": {"memory": "1Gi"}}
    )


def objects(
    loop: ModelLoop, drift: DriftSpec, namespace: str, surroundings: Surroundings, *, suspend: bool, uid: str = ""
) -> tuple[Rendered, ...]:
    """ServiceAccount, Role, RoleBinding and CronJob, in the order in which they are made.

    suspend: while there is no champion to compare with. uid: the ModelLoop's; "" for no owner.
    """
    name = names.drift_job(loop.name)
    about = metadata(name, namespace, names.labels(loop.name), loop=loop.name, uid=uid)
    return (
        {"apiVersion": "v1", "kind": "ServiceAccount", "metadata": about, "automountServiceAccountToken": False},
        {
            "apiVersion": "rbac.authorization.k8s.io/v1",
            "kind": "Role",
            "metadata": about,
            "rules": [
                {
                    "apiGroups": [names.GROUP],
                    "resources": ["modelloops"],
                    "resourceNames": [loop.name],
                    "verbs": ["get"],
                },
                {"apiGroups": [names.GROUP], "resources": ["looprequests"], "verbs": ["create", "get", "list"]},
                {"apiGroups": [names.GROUP], "resources": ["modelapprovals"], "verbs": ["get", "list"]},
            ],
        },
        {
            "apiVersion": "rbac.authorization.k8s.io/v1",
            "kind": "RoleBinding",
            "metadata": about,
            "roleRef": {"apiGroup": "rbac.authorization.k8s.io", "kind": "Role", "name": name},
            "subjects": [{"kind": "ServiceAccount", "name": name, "namespace": namespace}],
        },
        {
            "apiVersion": "batch/v1",
            "kind": "CronJob",
            "metadata": about,
            "spec": _cron_job(loop, drift, namespace, surroundings, suspend),
        },
    )


def schedule(every: timedelta, key: str) -> str:
    """The cron expression (UTC) that looks at least every `every`, as far as cron can say it.

    Rounded down to what divides an hour or a day: 45m is every 30 minutes, 5h every 4 hours, 2d and more once a day.
    Below a minute it is every minute, cron's finest. `key` shifts it, so that not all jobs of a cluster begin at once;
    the same key gives the same shift.
    """
    shift = int.from_bytes(hashlib.sha256(key.encode()).digest()[:4], "big")
    minutes = max(1, int(every / timedelta(minutes=1)))
    if minutes < 60:
        step = max(m for m in _MINUTES if m <= minutes)
        return "* * * * *" if step == 1 else f"{shift % step}-59/{step} * * * *"
    hours = minutes // 60
    if hours >= 24:
        return f"{shift % 60} {shift // 60 % 24} * * *"
    step = max(h for h in _HOURS if h <= hours)
    return f"{shift % 60} * * * *" if step == 1 else f"{shift % 60} {shift // 60 % step}-23/{step} * * *"


def _cron_job(loop: ModelLoop, drift: DriftSpec, namespace: str, surroundings: Surroundings, suspend: bool) -> Rendered:
    labels = names.labels(loop.name)
    every = max(drift.every, timedelta(minutes=1))
    return {
        "schedule": schedule(drift.every, f"{namespace}/{loop.name}"),
        "timeZone": "Etc/UTC",
        "suspend": suspend,
        "concurrencyPolicy": "Forbid",
        # A schedule missed by more than half its pace is skipped: the next look covers its window too.
        "startingDeadlineSeconds": max(30, min(int(every.total_seconds() / 2), 600)),
        "successfulJobsHistoryLimit": 1,
        "failedJobsHistoryLimit": 3,
        "jobTemplate": {
            "metadata": {"labels": labels},
            "spec": {
                "backoffLimit": 1,
                "activeDeadlineSeconds": int(_DEADLINE.total_seconds()),
                "ttlSecondsAfterFinished": 86400,
                "template": {"metadata": {"labels": labels}, "spec": _pod(loop, namespace, surroundings)},
            },
        },
    }


def _pod(loop: ModelLoop, namespace: str, surroundings: Surroundings) -> Rendered:
    path = surroundings.kfp_token_path
    mounts: list[dict[str, Any]] = [{"name": "tmp", "mountPath": "/tmp"}]  # noqa: S108
    volumes: list[dict[str, Any]] = [{"name": "tmp", "emptyDir": {"sizeLimit": "1Gi"}}]
    if path:
        folder, _, file = path.rpartition("/")
        mounts.append({"name": "kfp-token", "mountPath": folder, "readOnly": True})
        token = {"audience": AUDIENCE, "path": file, "expirationSeconds": TOKEN_SECONDS}
        volumes.append({"name": "kfp-token", "projected": {"sources": [{"serviceAccountToken": token}]}})
    return {
        "serviceAccountName": names.drift_job(loop.name),
        "automountServiceAccountToken": True,
        "enableServiceLinks": False,
        "restartPolicy": "Never",
        "securityContext": {"runAsNonRoot": True, "seccompProfile": {"type": "RuntimeDefault"}},
        "containers": [
            {
                "name": "drift",
                "image": surroundings.image,
                "imagePullPolicy": surroundings.pull_policy,
                "command": ["python", "-m", "services.drift"],
                "args": ["--cluster", "--namespace", namespace, "--loop", loop.name],
                "env": [{"name": name, "value": value} for name, value in sorted(surroundings.environment.items())],
                "resources": {kind: dict(amounts) for kind, amounts in surroundings.resources.items()},
                "securityContext": container_security(),
                "volumeMounts": mounts,
            }
        ],
        "volumes": volumes,
    }
