"""One loop's pipeline: the compiled one with the image, resources, nodes and secrets that its spec asks for.

The compiled pipeline is the same for everybody. What differs from loop to loop is set here as kfp and kfp-kubernetes
2.16.1 would have compiled it (a test compares the two), so that neither is needed where a pipeline is rendered.
"""

from __future__ import annotations

import hashlib
from collections.abc import Mapping
from typing import Any  # KFP's intermediate representation is JSON

import yaml

from serinus.errors import Fatal
from serinus.spec import quantities
from serinus.spec.model import Training


def render(compiled: str, training: Training, image: str, pull_policy: str = "") -> str:
    """The pipeline of a loop with this `training`, as YAML; the same input gives the same text.

    compiled: pipelines/compiled/training.yaml. image: of the steps, unless `training.image` names another.
    pull_policy: Always, IfNotPresent or Never; "" leaves it to Kubernetes.
    Raises Fatal when `compiled` is no pipeline, or would cache a step.
    """
    pipeline, platform = _documents(compiled)
    resources = _resources(dict(training.resources.items()))
    extras = _extras(training, pull_policy)
    executors = pipeline["deploymentSpec"]["executors"]
    for executor in executors.values():
        executor["container"]["image"] = training.image or image
        if resources:
            executor["container"]["resources"] = resources
    if extras:
        each = platform.setdefault("platforms", {}).setdefault("kubernetes", {}).setdefault("deploymentSpec", {})
        each["executors"] = {name: {**each.get("executors", {}).get(name, {}), **extras} for name in executors}
    documents = [pipeline, platform] if platform else [pipeline]
    return yaml.dump_all(documents, Dumper=_Plain, sort_keys=True, width=120)


def content_hash(text: str) -> str:
    """What a pipeline's version is called: 32 hexadecimal digits of the text's sha256."""
    return hashlib.sha256(text.encode()).hexdigest()[:32]


class _Plain(yaml.SafeDumper):
    """No anchors: every executor says the whole of what it has."""

    def ignore_aliases(self, data: object) -> bool:  # noqa: ARG002
        return True


def _documents(compiled: str) -> tuple[dict[str, Any], dict[str, Any]]:
    documents = list(yaml.safe_load_all(compiled))
    if not 1 <= len(documents) <= 2 or not isinstance(documents[0], dict) or "deploymentSpec" not in documents[0]:
        raise Fatal("expected a compiled pipeline (one YAML document with deploymentSpec, or a second with platforms)")
    tasks = documents[0]["root"]["dag"]["tasks"]
    cached = [name for name, task in tasks.items() if task.get("cachingOptions", {}).get("enableCache")]
    if cached:  # a run by a version's id cannot switch it off, and a cached run registers nothing
        raise Fatal(f"expected a pipeline that caches nothing, {', '.join(cached)} would be cached; compile it anew")
    return documents[0], documents[1] if len(documents) == 2 else {}


def _resources(wanted: Mapping[str, Mapping[str, str]]) -> dict[str, Any]:
    """Each quantity twice: as text, and as the number that older backends read."""
    found: dict[str, Any] = {}
    for side, suffix in (("requests", "Request"), ("limits", "Limit")):
        given = wanted.get(side, {})
        if "cpu" in given:
            found |= {f"resourceCpu{suffix}": given["cpu"], f"cpu{suffix}": quantities.cores(given["cpu"])}
        if "memory" in given:
            memory = given["memory"]
            found |= {f"resourceMemory{suffix}": memory, f"memory{suffix}": quantities.gigabytes(memory)}
    accelerator = quantities.accelerator(wanted.get("limits", {}))
    if accelerator is not None:
        kind, count = accelerator
        found["accelerator"] = {"type": kind, "count": count, "resourceType": kind, "resourceCount": count}
    return found


def _extras(training: Training, pull_policy: str) -> dict[str, Any]:
    """What only Kubernetes knows: pull policy, nodes, and secrets as environment variables."""
    extras: dict[str, Any] = {}
    if pull_policy:
        extras["imagePullPolicy"] = pull_policy
    if training.node_selector:
        extras["nodeSelector"] = {"labels": dict(training.node_selector)}
    by_secret: dict[str, list[dict[str, str]]] = {}
    for variable, kept in sorted(training.secrets.items()):
        by_secret.setdefault(kept.secret, []).append({"envVar": variable, "secretKey": kept.key or variable})
    if by_secret:
        extras["secretAsEnv"] = [
            {
                "secretName": secret,
                "secretNameParameter": {"runtimeValue": {"constant": secret}},
                "keyToEnv": keys,
                "optional": False,
            }
            for secret, keys in sorted(by_secret.items())
        ]
    return extras
