"""ValidatingAdmissionPolicies, as plain dicts: the name in a ModelApproval or LoopRequest is the one that asked.

A CRD's own rules cannot see who makes an object. These can, and they also hold what a CRD's rules cannot see: that
the finding of a LoopRequest, whose fields are open, stays as it was made. Who may make such objects at all is RBAC.
"""

from __future__ import annotations

from typing import Any  # Kubernetes objects are JSON

from serinus.render.names import GROUP, VERSION

Object = dict[str, Any]
_API = "admissionregistration.k8s.io/v1"
_LABELS = {"app.kubernetes.io/name": "serinus", "app.kubernetes.io/part-of": "serinus"}


def policies() -> tuple[Object, ...]:
    """A policy and its binding for each of the two kinds; valid for the whole cluster."""
    return (*_signed("modelapprovals", "approver"), *_signed("looprequests", "by"))


def _signed(plural: str, field: str) -> tuple[Object, Object]:
    """The policy and the binding that make `spec.{field}` the user whom the API server authenticated."""
    name = f"{plural}.{GROUP}"
    policy = {
        "apiVersion": _API,
        "kind": "ValidatingAdmissionPolicy",
        "metadata": {"name": name, "labels": _LABELS},
        "spec": {
            "failurePolicy": "Fail",
            "matchConstraints": {
                "resourceRules": [
                    {
                        "apiGroups": [GROUP],
                        "apiVersions": [VERSION],
                        "operations": ["CREATE", "UPDATE"],
                        "resources": [plural],
                        "scope": "Namespaced",
                    }
                ]
            },
            "validations": [
                {
                    # An update keeps the name that was checked when the object was made, whoever sets labels on it.
                    "expression": f"request.operation != 'CREATE' || object.spec.{field} == request.userInfo.username",
                    "message": f"spec.{field}: expected the name of the user who makes the object",
                    "messageExpression": f"'spec.{field}: expected ' + request.userInfo.username"
                    f" + ', who makes the object, got ' + object.spec.{field}",
                    "reason": "Forbidden",
                },
                {
                    "expression": "request.operation != 'UPDATE' || object.spec == oldObject.spec",
                    "message": "spec: expected as it was made; make another object, since this one is part of the"
                    " audit trail",
                    "reason": "Invalid",
                },
            ],
        },
    }
    binding = {
        "apiVersion": _API,
        "kind": "ValidatingAdmissionPolicyBinding",
        "metadata": {"name": name, "labels": _LABELS},
        "spec": {"policyName": name, "validationActions": ["Deny"]},
    }
    return policy, binding
