"""ValidatingAdmissionPolicies, as plain dicts: they hold what a CRD's own rules cannot see.

That is who makes an object: the name in a ModelApproval or a LoopRequest is that of the user who asked, and it stays;
who may ask at all is RBAC. And that a null was written: plain `kubectl apply` drops nulls before it sends the object,
so that what `drift: null` was to switch off would be on by default and nobody the wiser (seen with 1.34).
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any  # Kubernetes objects are JSON

from serinus.render.names import GROUP, VERSION
from serinus.render.schema import Schema, structural
from serinus.spec import LoopSpec

Object = dict[str, Any]
_API = "admissionregistration.k8s.io/v1"
_APPLIED = "kubectl.kubernetes.io/last-applied-configuration"
_LABELS = {"app.kubernetes.io/name": "serinus", "app.kubernetes.io/part-of": "serinus"}


def policies() -> tuple[Object, ...]:
    """A policy and its binding for each of the three kinds; valid for the whole cluster."""
    return (*_signed("modelapprovals", "approver"), *_signed("looprequests", "by"), *_nulls())


def _signed(plural: str, field: str) -> tuple[Object, Object]:
    """The policy and the binding that make `spec.{field}` the user whom the API server authenticated."""
    return _policy(
        plural,
        [
            {
                # An update keeps the name that was checked when the object was made, whoever sets labels on it.
                "expression": f"request.operation != 'CREATE' || object.spec.{field} == request.userInfo.username",
                "message": f"spec.{field}: expected the name of the user who makes the object",
                "messageExpression": f"'spec.{field}: expected ' + request.userInfo.username"
                f" + ', who makes the object, got ' + object.spec.{field}",
                "reason": "Forbidden",
            },
            {
                # The CRD says so too, but does not see into the finding of a LoopRequest, whose fields are open.
                "expression": "request.operation != 'UPDATE' || object.spec == oldObject.spec",
                "message": "spec: expected as it was made; make another object, since this one is part of the audit"
                " trail",
                "reason": "Invalid",
            },
        ],
    )


def _nulls() -> tuple[Object, Object]:
    """What refuses a ModelLoop in which `kubectl apply` has dropped a null that means something.

    The annotation that it leaves still has the null; an edit by other means leaves the annotation as it was.
    """
    here, before = (f"{who}.metadata.annotations" for who in ("object", "oldObject"))
    applied = f"has({here}) && '{_APPLIED}' in {here}"
    as_before = f"has({before}) && '{_APPLIED}' in {before} && {before}['{_APPLIED}'] == {here}['{_APPLIED}']"
    return _policy(
        "modelloops",
        [_kept(path) for path in switches(structural(LoopSpec))],
        matchConditions=[
            {"name": "applied-by-kubectl", "expression": f"{applied} && (oldObject == null || !({as_before}))"}
        ],
        variables=[{"name": "applied", "expression": f"{here}['{_APPLIED}']"}],
    )


def switches(schema: Schema, path: str = "") -> Iterator[str]:
    """The paths in a schema at which null switches off what is on by default."""
    for name, part in schema.get("properties", {}).items():
        if part.get("nullable") and "default" in part:
            yield f"{path}{name}"
        yield from switches(part, f"{path}{name}.")


def _kept(path: str) -> Object:
    names = path.split(".")
    present = " && ".join(f"has(object.spec.{'.'.join(names[: i + 1])})" for i in range(len(names)))
    # The annotation is compact JSON with sorted keys. Siblings go before: nulls, flat mappings, lists of mappings.
    flat = r"\{[^{}]*\}"
    sibling = rf'"[A-Za-z]+":(null|{flat}|\[(\{{([^{{}}]|{flat})*\}},?)*\]),'
    parent = rf'"{names[-2]}":\{{({sibling})*' if len(names) > 1 else ""
    written = f"""variables.applied.matches(r'{parent}"{names[-1]}":null')"""
    return {
        "expression": f"!({written} && {present} && object.spec.{path} != null)",
        "message": f"spec.{path}: expected null, which switches it off, got its default, since kubectl apply drops"
        " nulls; say `enabled: false` instead",
        "reason": "Invalid",
    }


def _policy(plural: str, validations: list[Object], **more: Any) -> tuple[Object, Object]:
    name = f"{plural}.{GROUP}"
    metadata = {"name": name, "labels": _LABELS}
    rule = {
        "apiGroups": [GROUP],
        "apiVersions": [VERSION],
        "operations": ["CREATE", "UPDATE"],
        "resources": [plural],
        "scope": "Namespaced",
    }
    policy = {
        "apiVersion": _API,
        "kind": "ValidatingAdmissionPolicy",
        "metadata": metadata,
        "spec": {
            "failurePolicy": "Fail",
            "matchConstraints": {"resourceRules": [rule]},
            **more,
            "validations": validations,
        },
    }
    binding = {
        "apiVersion": _API,
        "kind": "ValidatingAdmissionPolicyBinding",
        "metadata": metadata,
        "spec": {"policyName": name, "validationActions": ["Deny"]},
    }
    return policy, binding
