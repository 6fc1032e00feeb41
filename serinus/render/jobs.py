"""A loop's jobs on a cluster: each a CronJob, and the account with the least rights that it runs by."""

from __future__ import annotations

import hashlib
from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import timedelta
from typing import Any, Literal

from serinus.render import collecting, names
from serinus.render.collecting import Collector
from serinus.render.kserve import container_security
from serinus.render.objects import Rendered, account, metadata, token
from serinus.spec import ModelLoop

Kind = Literal["drift", "quality", "intake"]
KINDS: tuple[Kind, ...] = ("drift", "quality", "intake")
AUDIENCE = "pipelines.kubeflow.org"
TOKEN_SECONDS = 7200
_DEADLINE = timedelta(minutes=10)  # of one look; it takes seconds, and questions about a day's counters 30 s at most
_INTAKE_DEADLINE = timedelta(minutes=30)  # of reading a source of the user's
_MINUTES = (1, 2, 3, 4, 5, 6, 10, 12, 15, 20, 30)
_HOURS = (1, 2, 3, 4, 6, 8, 12)


@dataclass(frozen=True)
class Surroundings:
    """What the jobs of one installation have in common."""

    image: str  # of the control plane
    environment: Mapping[str, str]  # SERINUS_* variables
    pull_policy: str = "IfNotPresent"
    kfp_token_path: str = ""  # multi-user: where the projected token for Kubeflow Pipelines is mounted
    pipeline_image: str = ""
    collector: Collector | None = None
    resources: Mapping[str, Mapping[str, str]] = field(
        default_factory=lambda: {"requests": {"cpu": "100m", "memory": "256Mi"}, "limits": {"memory": "1Gi"}}
    )


@dataclass(frozen=True)
class Job:
    """One of a loop's jobs, as its spec asks for it."""

    kind: Kind
    every: timedelta
    image: str
    resources: Mapping[str, Mapping[str, str]]
    deadline: timedelta = _DEADLINE
    rights: tuple[tuple[str, str], ...] = ()  # at the collector: verb and what
    runs: bool = False  # whether it asks Kubeflow Pipelines for runs
    secrets: tuple[Rendered, ...] = ()  # variables from Secrets
    nodes: Mapping[str, str] = field(default_factory=dict)


def jobs(loop: ModelLoop, here: Surroundings) -> tuple[Job, ...]:
    """The jobs that this loop has. Quality and labels need a collector; where there is none, nobody looks at them."""
    spec, found = loop.spec, []
    if spec.drift is not None:
        second = spec.drift.confirm.detector != "none" and here.collector is not None
        rights = (("get", "records"),) if second else ()
        found.append(Job("drift", spec.drift.every, here.image, here.resources, rights=rights, runs=True))
    if spec.quality is not None and here.collector is not None:
        found.append(Job("quality", spec.quality.every, here.image, here.resources, rights=(("get", "records"),)))
    return (*found, *_intake(loop, here))


def objects(
    loop: ModelLoop, job: Job, namespace: str, here: Surroundings, *, suspend: bool, uid: str = ""
) -> tuple[Rendered, ...]:
    """ServiceAccount, Role, RoleBinding and CronJob, in the order in which they are made.

    suspend: while there is no champion to look at. uid: the ModelLoop's; "" for no owner.
    """
    name = names.job(loop.name, job.kind)
    rules = [
        {"apiGroups": [names.GROUP], "resources": ["modelloops"], "resourceNames": [loop.name], "verbs": ["get"]},
        {"apiGroups": [names.GROUP], "resources": ["looprequests"], "verbs": ["create", "get", "list"]},
        {"apiGroups": [names.GROUP], "resources": ["modelapprovals"], "verbs": ["get", "list"]},
        *(collecting.may(loop.name, verb, what) for verb, what in job.rights),
    ]
    cron = {
        "apiVersion": "batch/v1",
        "kind": "CronJob",
        "metadata": metadata(name, namespace, names.labels(loop.name), loop=loop.name, uid=uid),
        "spec": _cron_job(loop.name, job, namespace, here, suspend),
    }
    return (*account(name, namespace, rules, loop=loop.name, uid=uid), cron)


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


def _intake(loop: ModelLoop, here: Surroundings) -> tuple[Job, ...]:
    """Reads what the user names, by the user's own code: in the image, with the secrets and on the nodes of a step."""
    spec, training = loop.spec, loop.spec.training
    collected = spec.collect is not None and here.collector is not None
    paces, rights = [], []
    if spec.labels.source is not None and collected:
        paces.append(spec.labels.every)
        rights.append(("create", "labels"))
    if spec.new_data is not None:
        paces.append(spec.new_data.every)
        rights += [("get", "records")] if collected else []
    if not paces:
        return ()
    own: dict[str, dict[str, str]] = {  # an accelerator is of no use to somebody who reads rows
        kind: kept
        for kind, amounts in training.resources.items()
        if (kept := {what: amount for what, amount in amounts.items() if what in ("cpu", "memory")})
    }
    secrets = tuple(
        {
            "name": variable,
            "valueFrom": {"secretKeyRef": {"name": kept.secret, "key": kept.key or variable}},
        }
        for variable, kept in sorted(training.secrets.items())
    )
    image = training.image or here.pipeline_image
    return (
        Job(
            "intake", min(paces), image, own if own else here.resources, _INTAKE_DEADLINE, tuple(rights),
            secrets=secrets, nodes=training.node_selector,
        ),
    )  # fmt: skip


def _cron_job(loop: str, job: Job, namespace: str, here: Surroundings, suspend: bool) -> Rendered:
    labels = names.labels(loop)
    every = max(job.every, timedelta(minutes=1))
    return {
        "schedule": schedule(job.every, f"{namespace}/{names.job(loop, job.kind)}"),
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
                "activeDeadlineSeconds": int(job.deadline.total_seconds()),
                "ttlSecondsAfterFinished": 86400,
                "template": {"metadata": {"labels": labels}, "spec": _pod(loop, job, namespace, here)},
            },
        },
    }


def _pod(loop: str, job: Job, namespace: str, here: Surroundings) -> Rendered:
    environment = dict(here.environment)
    mounts: list[dict[str, Any]] = [{"name": "tmp", "mountPath": "/tmp"}]  # noqa: S108
    volumes: list[dict[str, Any]] = [{"name": "tmp", "emptyDir": {"sizeLimit": "1Gi"}}]
    tokens = []
    if job.runs and here.kfp_token_path:
        tokens.append(token("kfp-token", here.kfp_token_path, AUDIENCE, TOKEN_SECONDS))
    if job.rights and here.collector is not None and here.collector.volume is not None:
        tokens.append(here.collector.volume)
    for volume, mount in tokens:
        volumes.append(volume)
        mounts.append(mount)
    # Nobody is told of a token that is not there.
    for variable, there in (("SERINUS_KFP_TOKEN_PATH", job.runs), ("SERINUS_COLLECTOR_TOKEN_PATH", job.rights)):
        if not there:
            environment.pop(variable, None)
    pod: Rendered = {
        "serviceAccountName": names.job(loop, job.kind),
        "automountServiceAccountToken": True,
        "enableServiceLinks": False,
        "restartPolicy": "Never",
        "securityContext": {"runAsNonRoot": True, "seccompProfile": {"type": "RuntimeDefault"}},
        "containers": [
            {
                "name": job.kind,
                "image": job.image,
                "imagePullPolicy": here.pull_policy,
                "command": ["python", "-m", f"services.{job.kind}"],
                "args": ["--cluster", "--namespace", namespace, "--loop", loop],
                "env": [
                    *({"name": name, "value": value} for name, value in sorted(environment.items())),
                    *job.secrets,
                ],
                "resources": {kind: dict(amounts) for kind, amounts in job.resources.items()},
                "securityContext": container_security(),
                "volumeMounts": mounts,
            }
        ],
        "volumes": volumes,
    }
    if job.nodes:
        pod["nodeSelector"] = dict(job.nodes)
    return pod
