"""The admission policies, compared whole."""

from __future__ import annotations

from serinus.render.admission import policies

LABELS = {"app.kubernetes.io/name": "serinus", "app.kubernetes.io/part-of": "serinus"}


def test_approvals_and_requests_are_signed_by_whom_the_api_server_knows() -> None:
    approvals, bound, requests, bound_too, *_ = policies()
    assert approvals == {
        "apiVersion": "admissionregistration.k8s.io/v1",
        "kind": "ValidatingAdmissionPolicy",
        "metadata": {"name": "modelapprovals.serinus.dev", "labels": LABELS},
        "spec": {
            "failurePolicy": "Fail",
            "matchConstraints": {
                "resourceRules": [
                    {
                        "apiGroups": ["serinus.dev"],
                        "apiVersions": ["v1alpha1"],
                        "operations": ["CREATE", "UPDATE"],
                        "resources": ["modelapprovals"],
                        "scope": "Namespaced",
                    }
                ]
            },
            "validations": [
                {
                    "expression": "request.operation != 'CREATE' || object.spec.approver == request.userInfo.username",
                    "message": "spec.approver: expected the name of the user who makes the object",
                    "messageExpression": "'spec.approver: expected ' + request.userInfo.username"
                    " + ', who makes the object, got ' + object.spec.approver",
                    "reason": "Forbidden",
                },
                {
                    "expression": "request.operation != 'UPDATE' || object.spec == oldObject.spec",
                    "message": "spec: expected as it was made; make another object, since this one is part of the "
                    "audit trail",
                    "reason": "Invalid",
                },
            ],
        },
    }
    assert bound == {
        "apiVersion": "admissionregistration.k8s.io/v1",
        "kind": "ValidatingAdmissionPolicyBinding",
        "metadata": {"name": "modelapprovals.serinus.dev", "labels": LABELS},
        "spec": {"policyName": "modelapprovals.serinus.dev", "validationActions": ["Deny"]},
    }
    assert requests["metadata"]["name"] == bound_too["spec"]["policyName"] == "looprequests.serinus.dev"
    assert requests["spec"]["matchConstraints"]["resourceRules"][0]["resources"] == ["looprequests"]
    assert requests["spec"]["validations"][0]["expression"].endswith("object.spec.by == request.userInfo.username")


def test_a_null_that_kubectl_dropped_is_refused_wherever_it_means_something() -> None:
    policy, binding = policies()[-2:]
    assert binding["spec"] == {"policyName": "modelloops.serinus.dev", "validationActions": ["Deny"]}
    spec = policy["spec"]
    assert [each["message"].split(":")[0] for each in spec["validations"]] == [
        "spec.rollout.guardrails.errors",
        "spec.rollout.guardrails.rejections",
        "spec.rollout.guardrails.latency",
        "spec.rollout.guardrails.slowdown",
        "spec.rollout.guardrails.scores",
        "spec.drift",
    ]
    dropped = "expected null, which switches it off, got its default, since kubectl apply drops nulls"
    assert spec["validations"][-1] == {
        "expression": """!(variables.applied.matches(r'"drift":null') && has(object.spec.drift)"""
        " && object.spec.drift != null)",
        "message": f"spec.drift: {dropped}; say `enabled: false` instead",
        "reason": "Invalid",
    }
    assert spec["validations"][0]["expression"] == (
        """!(variables.applied.matches(r'"guardrails":\\{("[A-Za-z]+":(null|\\{[^{}]*\\}|"""
        r"""\[(\{([^{}]|\{[^{}]*\})*\},?)*\]),)*"errors":null')"""
        " && has(object.spec.rollout) && has(object.spec.rollout.guardrails)"
        " && has(object.spec.rollout.guardrails.errors)"
        " && object.spec.rollout.guardrails.errors != null)"
    )
    applied = "kubectl.kubernetes.io/last-applied-configuration"
    assert spec["variables"] == [{"name": "applied", "expression": f"object.metadata.annotations['{applied}']"}]
    assert [each["name"] for each in spec["matchConditions"]] == ["applied-by-kubectl"]
