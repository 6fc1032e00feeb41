"""What Serinus' objects on Kubernetes are called and labelled, in one place: who makes them and who looks for them.

A loop's name has at most 40 characters (spec), so that every name here fits where Kubernetes wants 52 or 63.
"""

from __future__ import annotations

import hashlib

GROUP, VERSION = "serinus.dev", "v1alpha1"
FINALIZER = f"{GROUP}/operator"
LOOP, VERSION_LABEL = f"{GROUP}/loop", f"{GROUP}/version"
LOOK = f"{GROUP}/look"
"""Annotation of a ModelLoop: a new value, whichever, makes the operator look at once."""
MANAGER = "serinus"
RUNTIME = "serinus"
"""The (Cluster)ServingRuntime, and the model format it serves."""


def labels(loop: str, version: int | None = None) -> dict[str, str]:
    """Of everything that belongs to a loop, or to one of its versions; selectors use serinus.dev/loop."""
    base = {"app.kubernetes.io/managed-by": MANAGER, "app.kubernetes.io/part-of": "serinus", LOOP: loop}
    return base if version is None else {**base, VERSION_LABEL: str(version)}


def variant(loop: str, version: int) -> str:
    """A version's InferenceService (Standard mode)."""
    return f"{loop}-v{version}"


def service(loop: str, version: int) -> str:
    """The Service that KServe makes for a version's InferenceService; port 80."""
    return f"{variant(loop, version)}-predictor"


def host(loop: str, namespace: str, domain: str) -> str:
    """Where callers ask a loop: the hostname of its route."""
    return f"{loop}.{namespace}.{domain}"


def job(loop: str, kind: str) -> str:
    """The CronJob that looks for `kind` (drift, quality, intake), and its ServiceAccount, Role and RoleBinding."""
    return f"{loop}-{kind}"


def predictor(loop: str) -> str:
    """The ServiceAccount of the predictors of a loop that collects, its Role and RoleBinding."""
    return f"{loop}-predictor"


def request(loop: str, identity: str) -> str:
    """The LoopRequest (or ModelApproval) that a request of this id becomes; an id may hold anything."""
    return f"{loop}-{hashlib.sha256(identity.encode()).hexdigest()[:16]}"


def storage_uri(loop: str, version: int) -> str:
    """What the storage initializer is asked for."""
    return f"mlflow://{loop}/{version}"
