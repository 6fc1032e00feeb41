"""One loop's pipeline: the compiled one with the image, resources, nodes and secrets that its spec asks for.

The compiled pipeline is the same for everybody. What differs from loop to loop is set here as kfp and kfp-kubernetes
2.16.1 would have compiled it (a test compares the two), so that neither is needed where a pipeline is rendered.
"""

from __future__ import annotations

import hashlib
import re
from collections.abc import Mapping
from typing import Any  # KFP's intermediate representation is JSON

import yaml

from serinus.errors import Fatal, SpecError
from serinus.spec.model import Training

_G = 1000**3
_UNITS = {
    "": 1, "M": 1000**2, "G": _G, "T": 1000**4, "P": 1000**5, "E": 1000**6,
    "Ki": 1024, "Mi": 1024**2, "Gi": 1024**3, "Ti": 1024**4, "Pi": 1024**5, "Ei": 1024**6,
}  # fmt: skip
_CPU, _MEMORY, _COUNT = re.compile(r"(\d*\.)?\d+m?"), re.compile(r"(\d+)([MGTPE]|[KMGTPE]i)?"), re.compile(r"[1-9]\d*")


def render(compiled: str, training: Training, image: str, pull_policy: str = "") -> str:
    """The pipeline of a loop with this `training`, as YAML; the same input gives the same text.

    compiled: pipelines/compiled/training.yaml. image: of the steps, unless `training.image` names another.
    pull_policy: Always, IfNotPresent or Never; "" leaves it to Kubernetes.
    Raises SpecError for resources that Kubeflow Pipelines cannot express, Fatal when `compiled` is no pipeline.
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
    """Each quantity twice: as text, and as the number that backends before 2.9 read."""
    found: dict[str, Any] = {}
    problems: list[str] = []
    for side, suffix in (("requests", "Request"), ("limits", "Limit")):
        for name, quantity in wanted.get(side, {}).items():
            where = f"spec.training.resources.{side}.{name}"
            if name == "cpu" and _CPU.fullmatch(quantity):
                found[f"resourceCpu{suffix}"] = quantity
                found[f"cpu{suffix}"] = float(quantity[:-1]) / 1000 if quantity.endswith("m") else float(quantity)
            elif name == "memory" and (match := _MEMORY.fullmatch(quantity)):
                found[f"resourceMemory{suffix}"] = quantity
                found[f"memory{suffix}"] = float(match[1]) * _UNITS[match[2] or ""] / _G
            elif "/" in name and side == "limits" and "accelerator" not in found and _COUNT.fullmatch(quantity):
                found["accelerator"] = {
                    "type": name, "count": quantity, "resourceType": name, "resourceCount": quantity,
                }  # fmt: skip
            else:
                problems.append(f"{where}: {_expected(name)}; got {quantity!r}")
    if problems:
        raise SpecError(problems)
    return found


def _expected(name: str) -> str:
    if name == "cpu":
        return "expected cores such as 2, 0.5 or 500m"
    if name == "memory":
        return "expected whole bytes such as 512Mi, 4Gi or 2G"
    return "Kubeflow Pipelines knows cpu, memory, and one kind of accelerator (nvidia.com/gpu: '1') under limits"


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
