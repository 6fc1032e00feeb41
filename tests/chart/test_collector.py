"""The collector as the chart makes it: where it keeps things, by what right it works, and who may reach it."""

from __future__ import annotations

import base64

from serinus.render import collecting
from services.collector.__main__ import DATABASE, arguments
from tests.chart.scenarios import Object, kinds, objects, only
from tests.chart.test_objects import CALLERS, DNS, SCRAPERS, TCP, _out, _selector
from tools import chart

KEY = "/var/run/secrets/serinus/hash-key"
ON = ("--set", "collector.enabled=true")


def test_without_it_nothing_of_it_is_made() -> None:
    for scenario in ("default", "namespaced"):
        assert [o for o in objects(scenario) if "collector" in o["metadata"]["name"]] == []


def test_alone_it_has_a_volume_and_never_two_pods_on_it() -> None:
    deployment = only("collector", "Deployment", "-collector")["spec"]
    assert (deployment["replicas"], deployment["strategy"]) == (1, {"type": "Recreate"})
    pod = deployment["template"]["spec"]
    (container,) = pod["containers"]
    assert container["args"] == [
        *("--host=0.0.0.0", "--port=8085", "--auth=kubernetes"), f"--hash-key-file={KEY}/key",
    ]  # fmt: skip
    assert container["env"] == [{"name": "SERINUS_DATABASE_URL", "value": "sqlite:////data/records.db"}]
    assert container["volumeMounts"] == [
        {"name": "tmp", "mountPath": "/tmp"},  # noqa: S108
        {"name": "hash-key", "mountPath": KEY, "readOnly": True},
        {"name": "data", "mountPath": "/data"},
    ]
    assert pod["volumes"] == [
        {"name": "tmp", "emptyDir": {}},
        _hash_key("serinus-collector-hash-key", "hash-key"),
        {"name": "data", "persistentVolumeClaim": {"claimName": "serinus-collector"}},
    ]
    claim = only("collector", "PersistentVolumeClaim", "-collector")
    assert claim["metadata"]["annotations"] == {"helm.sh/resource-policy": "keep"}
    assert claim["spec"] == {"accessModes": ["ReadWriteOnce"], "resources": {"requests": {"storage": "20Gi"}}}
    assert "affinity" not in pod
    assert [o["metadata"]["name"] for o in objects("collector") if o["kind"] == "PodDisruptionBudget"] == [
        "serinus-operator"
    ]


def test_several_share_a_postgres_that_only_a_secret_knows_and_are_never_all_drained() -> None:
    deployment = only("everything", "Deployment", "-collector")["spec"]
    assert deployment["replicas"] == 3
    assert deployment["strategy"] == {"rollingUpdate": {"maxSurge": 1, "maxUnavailable": 0}}
    pod = deployment["template"]["spec"]
    (container,) = pod["containers"]
    assert container["env"] == [
        {
            "name": "SERINUS_DATABASE_URL",
            "valueFrom": {"secretKeyRef": {"name": "collector-database", "key": "url"}},
        },
        {"name": "PGSSLROOTCERT", "value": "/etc/ssl/certs/ca-certificates.crt"},
    ]
    assert pod["volumes"] == [{"name": "tmp", "emptyDir": {}}, _hash_key("collector-hash", "pepper")]
    assert pod["affinity"].keys() == {"podAntiAffinity"}
    claims = [o["metadata"]["name"] for o in objects("everything") if o["kind"] == "PersistentVolumeClaim"]
    assert claims == ["serinus-loops-mlflow"]
    assert only("everything", "PodDisruptionBudget", "-collector")["spec"] == {
        "minAvailable": 1,
        "unhealthyPodEvictionPolicy": "AlwaysAllow",
        "selector": {"matchLabels": _selector("collector", name="loops")},
    }


def test_its_address_is_the_one_that_the_operator_is_told() -> None:
    service = only("collector", "Service", "-collector")
    assert service["spec"] == {
        "selector": _selector("collector"),
        "ports": [{"name": "http", "port": 8085, "targetPort": "http", "protocol": TCP}],
    }
    operator = only("collector", "Deployment", "-operator")["spec"]["template"]["spec"]
    told = {e["name"]: e.get("value") for e in operator["containers"][0]["env"]}
    assert told["SERINUS_COLLECTOR_URL"] == f"http://{service['metadata']['name']}.serinus:8085"
    path = told["SERINUS_COLLECTOR_TOKEN_PATH"]
    volume, mount = collecting.Collector("", path or "").volume or ({}, {})
    assert operator["volumes"] == [{"name": "tmp", "emptyDir": {}}, volume]
    assert operator["containers"][0]["volumeMounts"][1:] == [mount]


def test_its_program_understands_what_it_is_told() -> None:
    for scenario in ("collector", "everything"):
        (container,) = only(scenario, "Deployment", "-collector")["spec"]["template"]["spec"]["containers"]
        assert container["command"] == ["python", "-m", "services.collector"]
        told = arguments(container["args"])
        assert (told.auth, told.port, told.host) == ("kubernetes", 8085, "0.0.0.0")  # noqa: S104 - in a pod
        assert container["env"][0]["name"] == DATABASE


def test_it_may_ask_who_somebody_is_what_they_may_and_how_long_loops_keep_rows_and_nothing_else() -> None:
    pod = only("collector", "Deployment", "-collector")["spec"]["template"]["spec"]
    account = pod["serviceAccountName"]
    assert only("collector", "ClusterRole", "-collector")["rules"] == [
        {"apiGroups": ["authentication.k8s.io"], "resources": ["tokenreviews"], "verbs": ["create"]},
        {"apiGroups": ["authorization.k8s.io"], "resources": ["subjectaccessreviews"], "verbs": ["create"]},
        {"apiGroups": ["serinus.dev"], "resources": ["modelloops"], "verbs": ["get"]},
    ]
    bound = [
        (o["kind"], o["roleRef"]["name"])
        for o in objects("collector")
        if o["kind"].endswith("RoleBinding") and any(s["name"] == account for s in o["subjects"])
    ]
    assert bound == [("ClusterRoleBinding", account)]


def test_the_key_for_hashes_is_made_once_and_outlives_the_release_unless_there_is_one() -> None:
    secret = only("collector", "Secret", "-hash-key")
    assert secret["metadata"]["annotations"] == {"helm.sh/resource-policy": "keep"}
    key = base64.b64decode(secret["data"]["hash-key"])
    assert 16 <= len(key) <= 64
    (other,) = (o for o in chart.rendered(*ON) if o["kind"] == "Secret")
    assert base64.b64decode(other["data"]["hash-key"]) != key
    assert "Secret" not in kinds("everything")


def test_whatever_belongs_to_a_loop_a_run_or_the_operator_may_reach_it() -> None:
    anywhere: Object = {"namespaceSelector": {}}
    labels = ("serinus.dev/loop", "serving.kserve.io/inferenceservice", "pipeline/runid")
    assert only("everything", "NetworkPolicy", "-collector")["spec"] == {
        "podSelector": {"matchLabels": _selector("collector", name="loops")},
        "policyTypes": ["Ingress", "Egress"],
        "ingress": [
            {
                "ports": [{"port": "http", "protocol": TCP}],
                "from": [
                    *(
                        {**anywhere, "podSelector": {"matchExpressions": [{"key": label, "operator": "Exists"}]}}
                        for label in labels
                    ),
                    {"podSelector": {"matchLabels": _selector("operator", name="loops")}},
                    {"namespaceSelector": {"matchLabels": {"kubernetes.io/metadata.name": "warehouse"}}},
                    SCRAPERS,
                ],
            }
        ],
        "egress": [DNS, _out(443, 6443, 5432)],
    }
    assert CALLERS not in only("everything", "NetworkPolicy", "-collector")["spec"]["ingress"][0]["from"]


def test_it_is_scraped_where_its_annotations_say_unless_a_monitor_does() -> None:
    for scenario, scraped in (("collector", True), ("everything", False)):
        template = only(scenario, "Deployment", "-collector")["spec"]["template"]
        assert (template["metadata"]["annotations"].get("prometheus.io/port") == "8085") is scraped


def _hash_key(secret: str, key: str) -> Object:
    return {
        "name": "hash-key",
        "secret": {"secretName": secret, "items": [{"key": key, "path": "key"}], "defaultMode": 0o440},
    }
