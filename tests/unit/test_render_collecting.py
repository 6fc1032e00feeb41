"""How predictors reach the collector, compared whole."""

from __future__ import annotations

from serinus.render import collecting, kserve
from serinus.render.collecting import Collector
from tests.unit.test_render_kserve import OWNER, loop, predictor

TOKEN = "/var/run/secrets/serinus/collector/token"  # noqa: S105 - a file


def test_a_loop_that_collects_hands_predictions_on_by_an_account_and_a_token_of_its_own() -> None:
    here = Collector("http://collector:8080", TOKEN)
    collect = {"sample": 0.25, "columns": ["temp", "hour"], "hash": ["origin"], "key": "flight"}
    usual = kserve.inference_service(loop(), 3, "models", "u-1", collector=here)["spec"]["predictor"]
    made = kserve.inference_service(loop(collect=collect), 3, "models", "u-1", collector=here)["spec"]["predictor"]
    assert made == {
        **usual,
        "model": {
            **usual["model"],
            "args": [
                *usual["model"]["args"],
                *("--key", "flight"),
                *("--collector", "http://collector:8080", "--namespace", "models", "--sample", "0.25"),
                *("--collector-token", TOKEN),
                *("--columns", "temp", "--columns", "hour", "--hash", "origin"),
            ],
            "volumeMounts": [
                {"name": "collector-token", "mountPath": "/var/run/secrets/serinus/collector", "readOnly": True}
            ],
        },
        "serviceAccountName": "flights-predictor",
        "volumes": [
            {
                "name": "collector-token",
                "projected": {
                    "sources": [
                        {
                            "serviceAccountToken": {
                                "audience": "serinus-collector", "path": "token", "expirationSeconds": 3600,
                            }
                        }
                    ]
                },
            }
        ],
    }  # fmt: skip
    revision = kserve.knative_service(loop(collect=collect), 3, None, "models", collector=here)["spec"]["predictor"]
    for part in ("serviceAccountName", "volumes"):
        assert revision[part] == made[part]
    assert revision["model"] == made["model"]


def test_a_collector_that_asks_for_no_token_is_shown_none() -> None:
    made = kserve.inference_service(loop(collect={}), 3, "models", "", "mine", Collector("http://collector"))
    pod = made["spec"]["predictor"]
    assert pod["model"]["args"][-6:] == [
        *("--collector", "http://collector", "--namespace", "models", "--sample", "1"),
    ]
    assert pod["serviceAccountName"] == "mine"
    assert "volumes" not in pod
    assert "volumeMounts" not in pod["model"]


def test_a_loop_that_collects_where_no_collector_is_serves_all_the_same() -> None:
    assert predictor(collect={}) == predictor()
    keyed = predictor(collect={"key": "flight"})["model"]["args"]  # callers send it, whoever keeps it
    assert keyed == [*predictor()["model"]["args"], "--key", "flight"]


def test_no_column_to_keep_is_not_every_column() -> None:
    none, every = loop(collect={"columns": []}).spec.collect, loop(collect={}).spec.collect
    assert none is not None
    assert every is not None
    assert collecting.arguments(none, Collector("http://collector"), "models")[-2:] == ["--columns", ""]
    assert "--columns" not in collecting.arguments(every, Collector("http://collector"), "models")


def test_predictors_may_hand_on_predictions_of_their_loop_and_do_nothing_else() -> None:
    about = {
        "name": "flights-predictor",
        "namespace": "models",
        "labels": {
            "app.kubernetes.io/managed-by": "serinus",
            "app.kubernetes.io/part-of": "serinus",
            "serinus.dev/loop": "flights",
        },
        "ownerReferences": [OWNER],
    }
    assert collecting.predictor_account("flights", "models", "u-1") == (
        {"apiVersion": "v1", "kind": "ServiceAccount", "metadata": about, "automountServiceAccountToken": False},
        {
            "apiVersion": "rbac.authorization.k8s.io/v1",
            "kind": "Role",
            "metadata": about,
            "rules": [
                {
                    "apiGroups": ["serinus.dev"],
                    "resources": ["modelloops/predictions"],
                    "resourceNames": ["flights"],
                    "verbs": ["create"],
                }
            ],
        },
        {
            "apiVersion": "rbac.authorization.k8s.io/v1",
            "kind": "RoleBinding",
            "metadata": about,
            "roleRef": {"apiGroup": "rbac.authorization.k8s.io", "kind": "Role", "name": "flights-predictor"},
            "subjects": [{"kind": "ServiceAccount", "name": "flights-predictor", "namespace": "models"}],
        },
    )
