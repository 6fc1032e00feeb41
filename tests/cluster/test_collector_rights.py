"""Who may hand something on to the collector, and who may read it: real tokens, reviewed by a real API server."""

from __future__ import annotations

import json
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import pytest

from serinus.adapters.kube import PODS
from serinus.errors import Forbidden
from serinus.facts import Deed
from serinus.render import names
from services.platform import Platform
from tests.cluster import collecting, loops
from tests.cluster.collecting import SERVICE, asked, label, prediction, token
from tests.cluster.installation import NAMESPACE, ROOT, Installation, kubectl, run

pytestmark = pytest.mark.timeout(600)

# What a pod is answered that shows its token for the collector: to predictions, to labels.
POSTING = """
import json, sys, httpx
token = open("/var/run/secrets/serinus/collector/token").read()
for path, body in json.loads(sys.argv[1]):
    answer = httpx.post(path, json=body, headers={"authorization": f"Bearer {token}"}, timeout=30)
    print(answer.status_code)
"""


def test_only_who_may_is_listened_to(serinus: Installation, tmp_path: Path) -> None:
    with loops.loop(serinus, tmp_path, collect={}) as loop, collecting.reached() as url:
        loop.apply()
        space, here = loop.namespace, f"/loops/{loop.namespace}/{loop.name}"
        predictor = names.predictor(loop.name)
        loop.until(lambda: predictor in kubectl("-n", space, "get", "serviceaccounts,rolebindings"), "its account", 60)
        mine = token(space, predictor)
        stranger = collecting.account(serinus, space, "stranger")
        labeller = collecting.account(serinus, space, "labeller", "editor")
        eraser = collecting.account(serinus, space, "eraser", "eraser")
        things: dict[str, dict[str, Any]] = {
            "predictions": prediction("a"), "labels": label("a"), "find": {"ids": ["a"], "keys": []},
            "erase": {"ids": ["a"], "keys": []},
        }  # fmt: skip
        answers = {
            who: {what: asked(url, f"{here}/{what}", body, bearer).status_code for what, body in things.items()}
            for who, bearer in (
                ("nobody", ""),
                ("somebody of another cluster", _forged(mine)),
                ("a token for the API server", token(space, predictor, "")),
                ("a token for Kubeflow Pipelines", token(space, predictor, "pipelines.kubeflow.org")),
                ("an account without rights", stranger),
                ("the predictors", mine),
                ("a data scientist", labeller),
                ("an admin", eraser),
            )
        }
        assert answers == {
            "nobody": _all(401),
            "somebody of another cluster": _all(401),
            "a token for the API server": _all(401),
            "a token for Kubeflow Pipelines": _all(401),
            "an account without rights": _all(403),
            "the predictors": {**_all(403), "predictions": 200},
            "a data scientist": {**_all(403), "labels": 200, "find": 200},
            "an admin": {**_all(403), "find": 200, "erase": 200},
        }
        elsewhere = (f"/loops/{space}/another", f"/loops/{NAMESPACE}/{loop.name}")
        assert [asked(url, f"{place}/predictions", prediction("b"), mine).status_code for place in elsewhere] == [
            403,
            403,
        ]
        trail: dict[str, list[object]] = {"deeds": []}
        operator = token(NAMESPACE, "serinus-operator")
        assert [asked(url, "/audit", trail, who).status_code for who in (operator, mine, labeller)] == [200, 403, 403]
        refused = asked(url, f"{here}/labels", label("a"), stranger).text
        assert f"system:serviceaccount:{space}:stranger may not create modelloops.serinus.dev/labels" in refused


def test_an_operator_of_one_namespace_tells_anothers_collector_of_its_own_loops_and_of_no_others(
    serinus: Installation, tmp_path: Path
) -> None:
    """By the account and the Role that the chart gives it."""
    with loops.loop(serinus, tmp_path) as team, collecting.reached() as url:
        space, chart = team.namespace, ROOT / "charts" / "serinus"
        values = ("-f", str(chart / "ci" / "namespaced-values.yaml"), "--set", f"watchNamespace={space}")
        made = run("helm", "template", "team", str(chart), "-n", space, *values, "-s", "templates/operator/rbac.yaml")
        kubectl("-n", space, "apply", "--server-side", "-f", "-", stdin=made)
        client = collecting.client(url, space, token(space, "team-serinus-operator"), tmp_path)

        def told(namespace: str) -> int:
            at = datetime.now(UTC)
            return client.append(
                [Deed(f"{space}-{namespace}", "flights", at, "Promoted", "ann", "", namespace=namespace)]
            )

        assert told(space) == 1
        for elsewhere in (NAMESPACE, ""):
            with pytest.raises(Forbidden, match="may not create modelloops"):
                told(elsewhere)


def test_a_pod_whose_account_is_not_allowed_can_post_neither_labels_nor_predictions(
    serinus: Installation, tmp_path: Path
) -> None:
    with loops.loop(serinus, tmp_path, collect={}) as loop:
        loop.apply()
        space, here = loop.namespace, f"http://{SERVICE}.{NAMESPACE}:8085/loops/{loop.namespace}/{loop.name}"
        collecting.account(serinus, space, "stranger")
        collecting.account(serinus, space, "labeller", "editor")
        posts = json.dumps([[f"{here}/predictions", prediction("a")], [f"{here}/labels", label("a")]])
        for account in ("stranger", "labeller"):
            serinus.kube.create(PODS, space, _pod(space, account, posts))
        said = {account: _said(loop, account) for account in ("stranger", "labeller")}
        assert said == {"stranger": ["403", "403"], "labeller": ["403", "200"]}


def _all(status: int) -> dict[str, int]:
    return {"predictions": status, "labels": status, "find": status, "erase": status}


def _forged(bearer: str) -> str:
    """The same claims with a signature that the cluster did not make."""
    head, claims, signature = bearer.split(".")
    return ".".join((head, claims, signature[::-1]))


def _pod(namespace: str, account: str, posts: str) -> dict[str, Any]:
    volume, mount = collecting.volume()
    security = {"allowPrivilegeEscalation": False, "readOnlyRootFilesystem": True, "capabilities": {"drop": ["ALL"]}}
    container = {
        "name": "post",
        "image": Platform("http://mlflow", "http://prometheus", "http://kfp").control_image,
        "imagePullPolicy": "IfNotPresent",
        "command": ["python", "-c", POSTING, posts],
        "securityContext": security,
        "volumeMounts": [mount],
    }
    return {
        "apiVersion": "v1",
        "kind": "Pod",
        "metadata": {"name": account, "namespace": namespace},
        "spec": {
            "serviceAccountName": account,
            "automountServiceAccountToken": False,
            "restartPolicy": "Never",
            "securityContext": {"runAsNonRoot": True, "seccompProfile": {"type": "RuntimeDefault"}},
            "containers": [container],
            "volumes": [volume],
        },
    }


def _said(loop: loops.Loop, pod: str) -> list[str]:
    def ended() -> bool:
        found = loop.kube.get(PODS, loop.namespace, pod)
        return found is not None and found.get("status", {}).get("phase") in ("Succeeded", "Failed")

    loop.until(ended, f"pod {pod} has asked", 120)
    return kubectl("-n", loop.namespace, "logs", pod).split()
