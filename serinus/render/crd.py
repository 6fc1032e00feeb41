"""Serinus' CustomResourceDefinitions as plain dicts: ModelLoop (from serinus/spec), LoopRequest, ModelApproval.

The operator's view of a loop in `ModelLoop.status` is made by serinus/render/status.py; `revision`, `memory` and
`history` beside it belong to the ledger.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any  # Kubernetes objects are JSON

from serinus.render import rules
from serinus.render.names import GROUP, VERSION
from serinus.render.schema import Schema, structural
from serinus.spec import LoopSpec

Object = dict[str, Any]
_TIME: Schema = {"type": "string", "format": "date-time"}
_TEXT: Schema = {"type": "string"}
_WHOLE: Schema = {"type": "integer", "format": "int64"}
_LOOP: Schema = {
    "type": "string", "minLength": 1, "maxLength": 40, "description": "The ModelLoop's name, in the same namespace.",
}  # fmt: skip
_IMMUTABLE = {
    "rule": "self == oldSelf",
    "message": "expected the spec as it was made; make another object, since this one is part of the audit trail",
}


def crds() -> tuple[Object, ...]:
    """The three definitions."""
    return model_loop(), loop_request(), model_approval()


def model_loop() -> Object:
    """One model's loop: the spec is the file's, the status what `kubectl get` shows and what the loop remembers."""
    spec = structural(LoopSpec, rules.SPEC, rules.LIMITS)
    schema = {
        "type": "object",
        "description": "One model's loop: data, training, validation, rollout, drift.",
        "required": ["spec"],
        "x-kubernetes-validations": list(rules.ROOT),
        "properties": {"spec": spec, "status": _status()},
    }
    columns = [
        _column("Champion", ".status.champion", "integer", "The version that serves everyone else"),
        _column("Canary", ".status.canary", "integer", "The version on trial"),
        _column("Weight", ".status.weight", "integer", "The canary's share of traffic, in percent"),
        _column("Verdict", ".status.verdict", "string", "What the judge found last"),
        _column("Drift", ".status.drift", "string", "What the drift job found last"),
        _column("Quality", ".status.quality", "string", "What the quality job found last"),
        _column("Last Run", ".status.lastRun", "string", "The latest pipeline run"),
        _column("Ready", '.status.conditions[?(@.type=="Ready")].status', "string", "Whether it serves", 1),
        _column("Address", ".status.address", "string", "Where callers ask", 1),
        _column("Age", ".metadata.creationTimestamp", "date"),
    ]
    return _definition("ModelLoop", "modelloops", ["loop"], schema, columns, status=True)


def loop_request() -> Object:
    """Something asked of a loop by a person or a job; the operator deletes it when it was handled."""
    spec = {
        "type": "object",
        "description": "What is asked.",
        "required": ["loop", "kind", "by"],
        "x-kubernetes-validations": [
            _IMMUTABLE,
            {"rule": "self.kind != 'drift' || has(self.finding)", "message": "expected a finding of kind drift"},
            {"rule": "self.kind != 'quality' || has(self.quality)", "message": "expected quality of kind quality"},
            {
                "rule": "self.kind != 'data' || has(self.rows) || has(self.pulled)",
                "message": "expected rows or pulled of kind data",
            },
        ],
        "properties": {
            "loop": _LOOP,
            "id": {
                "type": "string",
                "minLength": 1,
                "maxLength": 512,
                "description": "The same id is one request; unset: every object is one.",
            },
            "kind": {
                "type": "string",
                "enum": ["run", "rollback", "drift", "quality", "data"],
                "description": "What should happen, or what a job found.",
            },
            "by": {"type": "string", "minLength": 1, "description": "Who asks: the user whom the API server sees."},
            "at": {**_TIME, "description": "When; unset: when the object was made."},
            "version": {
                **_WHOLE,
                "minimum": 1,
                "description": "The version that should be gone, or that was looked at.",
            },
            "reason": {**_TEXT, "description": "Why, for people."},
            "run": {**_TEXT, "description": "drift: key of the run that the finding led to."},
            "finding": {
                "type": "object",
                "description": "drift: what the job found (DriftFinding).",
                "x-kubernetes-preserve-unknown-fields": True,
            },
            "quality": {
                "type": "object",
                "description": "quality: what the job found (QualityFinding).",
                "x-kubernetes-preserve-unknown-fields": True,
            },
            "rows": {**_WHOLE, "minimum": 0, "description": "data: labelled rows newer than the version's dataset."},
            "learned": {**_WHOLE, "minimum": 0, "description": "data: rows of that dataset."},
            "pulled": {**_TIME, "description": "data: up to when labels were pulled from where they are kept."},
        },
    }
    columns = [
        _column("Loop", ".spec.loop", "string"),
        _column("Kind", ".spec.kind", "string"),
        _column("By", ".spec.by", "string"),
        _column("Age", ".metadata.creationTimestamp", "date"),
    ]
    schema = {"type": "object", "description": "Something asked of a loop.", **_only(spec)}
    return _definition("LoopRequest", "looprequests", [], schema, columns, select=(".spec.loop",))


def model_approval() -> Object:
    """A person's word on a version; kept as the audit trail."""
    spec = {
        "type": "object",
        "description": "Who decided what about which version.",
        "required": ["loop", "version", "decision", "approver"],
        "x-kubernetes-validations": [_IMMUTABLE],
        "properties": {
            "loop": _LOOP,
            "version": {**_WHOLE, "minimum": 1, "description": "The version's number in the registry."},
            "decision": {"type": "string", "enum": ["approve", "reject"], "description": "Let it in, or not."},
            "reason": {**_TEXT, "default": "", "description": "Why, for people."},
            "approver": {"type": "string", "minLength": 1, "description": "The user whom the API server sees."},
        },
    }
    columns = [
        _column("Loop", ".spec.loop", "string"),
        _column("Version", ".spec.version", "integer"),
        _column("Decision", ".spec.decision", "string"),
        _column("Approver", ".spec.approver", "string"),
        _column("Reason", ".spec.reason", "string", priority=1),
        _column("Age", ".metadata.creationTimestamp", "date"),
    ]
    schema = {"type": "object", "description": "A person's word on a version of a model.", **_only(spec)}
    return _definition("ModelApproval", "modelapprovals", [], schema, columns, select=(".spec.loop",))


def _status() -> Schema:
    condition = {
        "type": "object",
        "required": ["type", "status", "lastTransitionTime", "reason", "message"],
        "properties": {
            "type": {"type": "string", "maxLength": 316},
            "status": {"type": "string", "enum": ["True", "False", "Unknown"]},
            "observedGeneration": {**_WHOLE, "minimum": 0},
            "lastTransitionTime": _TIME,
            "reason": {"type": "string", "minLength": 1, "maxLength": 1024,
                       "pattern": "^[A-Za-z]([A-Za-z0-9_,:]*[A-Za-z0-9_])?$"},
            "message": {"type": "string", "maxLength": 32768},
        },
    }  # fmt: skip
    event = {
        "type": "object",
        "required": ["at", "kind", "message"],
        "properties": {
            "at": _TIME,
            "kind": _TEXT,
            "message": _TEXT,
            "version": _WHOLE,
            "figures": {"type": "object", "additionalProperties": {"type": "number"}},
            "by": {**_TEXT, "description": "Who asked for it; not there: the loop itself."},
        },
    }
    return {
        "type": "object",
        "description": "What the operator sees and remembers.",
        "properties": {
            "observedGeneration": {**_WHOLE, "description": "The spec's generation that this status speaks of."},
            "champion": {**_WHOLE, "description": "The version that serves everyone whom the canary does not."},
            "canary": {**_WHOLE, "description": "The version on trial."},
            "weight": {**_WHOLE, "minimum": 0, "maximum": 100, "description": "The canary's share, in percent."},
            "verdict": {**_TEXT, "description": "What the judge found last."},
            "drift": {**_TEXT, "description": "What the drift job found last."},
            "quality": {**_TEXT, "description": "What the quality job found last."},
            "lastRun": {**_TEXT, "description": "The latest pipeline run, or the one in flight."},
            "address": {**_TEXT, "description": "Where callers ask."},
            "conditions": {
                "type": "array",
                "description": "Ready, Progressing, Degraded, after the Kubernetes API conventions.",
                "items": condition,
                "x-kubernetes-list-type": "map",
                "x-kubernetes-list-map-keys": ["type"],
            },
            "revision": {**_WHOLE, "description": "How often the memory was written."},
            "memory": {**_TEXT, "description": "All that the loop remembers, as JSON; for programs."},
            "history": {
                "type": "array",
                "description": "The latest events, oldest first.",
                "items": event,
                "x-kubernetes-list-type": "atomic",
            },
        },
    }


def _only(spec: Schema) -> Schema:
    return {"required": ["spec"], "properties": {"spec": spec}}


def _column(name: str, path: str, kind: str, description: str = "", priority: int = 0) -> Object:
    about = {"description": description} if description else {}
    return {"name": name, "jsonPath": path, "type": kind, **about, **({"priority": priority} if priority else {})}


def _definition(
    kind: str,
    plural: str,
    short: list[str],
    schema: Schema,
    columns: list[Object],
    *,
    status: bool = False,
    select: Sequence[str] = (),
) -> Object:
    version = {
        "name": VERSION,
        "served": True,
        "storage": True,
        "schema": {"openAPIV3Schema": schema},
        "additionalPrinterColumns": columns,
        **({"subresources": {"status": {}}} if status else {}),
        **({"selectableFields": [{"jsonPath": path} for path in select]} if select else {}),
    }
    names = {"kind": kind, "listKind": f"{kind}List", "plural": plural, "singular": kind.lower()}
    return {
        "apiVersion": "apiextensions.k8s.io/v1",
        "kind": "CustomResourceDefinition",
        "metadata": {
            "name": f"{plural}.{GROUP}",
            "labels": {"app.kubernetes.io/name": "serinus", "app.kubernetes.io/part-of": "serinus"},
        },
        "spec": {
            "group": GROUP,
            "names": {**names, "shortNames": short, "categories": ["serinus"]} if short else names,
            "scope": "Namespaced",
            "versions": [version],
        },
    }
