"""One loop's pipeline: the compiled one with the image, resources, nodes and secrets that its spec asks for.

The compiled pipeline is the same for everybody. What differs from loop to loop is set here as kfp and kfp-kubernetes
2.16.1 would have compiled it (a test compares the two), so that neither is needed where a pipeline is rendered.
"""

from __future__ import annotations

import hashlib
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any  # KFP's intermediate representation is JSON

import yaml

from serinus.errors import Fatal
from serinus.render.collecting import Collector
from serinus.spec import quantities
from serinus.spec.model import Training

IMAGE = "SERINUS_IMAGE"
"""Variable of every step: the image that it runs in, which a container cannot know by itself."""
TOKEN_SECRET = "serinus-collector"  # noqa: S105 - a name
"""The Secret, where runs have their pods, whose key `token` holds a token for the collector."""
TOKEN_LABEL = "serinus.dev/collector-token"  # noqa: S105
"""Label of the pods that a PodDefault of the profile is to give such a token."""


@dataclass(frozen=True)
class Production:
    """What a run needs that learns from what its loop has answered.

    multi_user: Kubeflow's PodDefaults are there, and one mounts the token; else it comes from the Secret, if that is
    there. Kubeflow Pipelines itself cannot project one.
    """

    collector: Collector
    multi_user: bool = False


def render(
    compiled: str, training: Training, image: str, pull_policy: str = "", production: Production | None = None
) -> str:
    """The pipeline of a loop with this `training`, as YAML; the same input gives the same text.

    compiled: pipelines/compiled/training.yaml. image: of the steps, unless `training.image` names another.
    pull_policy: Always, IfNotPresent or Never; "" leaves it to Kubernetes. production: for a loop that reads it.
    Raises Fatal when `compiled` is no pipeline, or would cache a step.
    """
    pipeline, platform = _documents(compiled)
    resources = _resources(dict(training.resources.items()))
    extras = _extras(training, pull_policy) | (_token(production) if production is not None else {})
    executors = pipeline["deploymentSpec"]["executors"]
    told = {IMAGE: training.image or image, **(_variables(production) if production is not None else {})}
    for executor in executors.values():
        container = executor["container"]
        container["image"] = training.image or image
        if resources:
            container["resources"] = resources
        others = [each for each in container.get("env", ()) if each["name"] not in told]
        container["env"] = [*others, *({"name": name, "value": value} for name, value in told.items())]
    if extras:
        each = platform.setdefault("platforms", {}).setdefault("kubernetes", {}).setdefault("deploymentSpec", {})
        each["executors"] = {name: {**each.get("executors", {}).get(name, {}), **extras} for name in executors}
    documents = [pipeline, platform] if platform else [pipeline]
    return yaml.dump_all(documents, Dumper=_Plain, sort_keys=True, width=120)


def _variables(production: Production) -> dict[str, str]:
    collector = production.collector
    told = {"SERINUS_COLLECTOR_URL": collector.url}
    if collector.token_path:
        told["SERINUS_COLLECTOR_TOKEN_PATH"] = collector.token_path
    return told


def _token(production: Production) -> dict[str, Any]:
    path = production.collector.token_path
    if not path:
        return {}
    if production.multi_user:
        return {"podMetadata": {"labels": {TOKEN_LABEL: "true"}}}
    secret = {
        "secretName": TOKEN_SECRET,
        "secretNameParameter": {"runtimeValue": {"constant": TOKEN_SECRET}},
        "mountPath": path.rpartition("/")[0],
        "optional": True,  # what lacks it says so in words of its own
    }
    return {"secretAsVolume": [secret]}


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
