"""What holds for every object of every scenario."""

from __future__ import annotations

import re
from collections.abc import Iterator

import pytest

from tests.chart.scenarios import NAMES, Object, containers, objects, pods

pytestmark = pytest.mark.parametrize("scenario", NAMES)
LABELS = {"name", "instance", "component", "version", "part-of", "managed-by"}
FOR_PEOPLE = "people"
# What KServe, the cluster, or its administrator brings.
ELSEWHERE = {"collector-database", "collector-hash", "mlflow-credentials", "mlflow-database", "registry-login"}


def test_no_object_names_its_namespace(scenario: str) -> None:
    assert [o["metadata"]["name"] for o in objects(scenario) if "namespace" in o["metadata"]] == []


def test_no_two_objects_are_the_same(scenario: str) -> None:
    known = [(o["apiVersion"], o["kind"], o["metadata"]["name"]) for o in objects(scenario)]
    assert sorted(known) == sorted(set(known))


def test_every_object_has_the_labels_of_the_conventions(scenario: str) -> None:
    for thing in objects(scenario):
        labels = thing["metadata"]["labels"]
        assert {f"app.kubernetes.io/{label}" for label in LABELS} <= labels.keys(), thing["metadata"]["name"]
        assert re.fullmatch(r"serinus-\d+\.\d+\.\d+", labels["helm.sh/chart"])
        assert all(len(value) <= 63 for value in labels.values())


def test_names_fit_where_kubernetes_wants_63_characters(scenario: str) -> None:
    assert [n for o in objects(scenario) if len(n := o["metadata"]["name"]) > 63] == []


def test_pods_satisfy_pod_security_restricted(scenario: str) -> None:
    for name, pod in pods(scenario):
        security = pod["securityContext"]
        assert security["runAsNonRoot"] is True, name
        assert security["runAsUser"] > 0, name
        assert security["seccompProfile"] == {"type": "RuntimeDefault"}, name
        assert not {"hostNetwork", "hostPID", "hostIPC"} & pod.keys(), name
        allowed = {"emptyDir", "projected", "persistentVolumeClaim", "configMap", "secret"}
        assert all(allowed & v.keys() for v in pod["volumes"]), name


def test_containers_satisfy_pod_security_restricted_and_write_to_no_root_file_system(scenario: str) -> None:
    for name, container in containers(scenario):
        security = container["securityContext"]
        assert security["allowPrivilegeEscalation"] is False, name
        assert security["readOnlyRootFilesystem"] is True, name
        assert security["runAsNonRoot"] is True, name
        assert security["capabilities"] == {"drop": ["ALL"]}, name
        assert all("hostPort" not in port for port in container.get("ports", ())), name


def test_containers_say_what_they_need_and_how_much_memory_they_may_take(scenario: str) -> None:
    for name, container in containers(scenario):
        assert {"cpu", "memory"} <= container["resources"]["requests"].keys(), name
        assert "memory" in container["resources"]["limits"], name


def test_images_have_a_tag_that_does_not_move(scenario: str) -> None:
    for name, container in containers(scenario):
        tag = container["image"].rpartition("/")[2].partition(":")[2]
        assert tag, f"{name}: {container['image']}"
        assert tag != "latest", name


def test_whatever_runs_for_long_is_probed(scenario: str) -> None:
    for thing in objects(scenario):
        if thing["kind"] == "Deployment":
            for container in thing["spec"]["template"]["spec"]["containers"]:
                assert {"livenessProbe", "readinessProbe", "startupProbe"} <= container.keys()


def test_ports_that_are_named_exist(scenario: str) -> None:
    by_component = {}
    for thing in objects(scenario):
        if thing["kind"] == "Deployment":
            template = thing["spec"]["template"]
            ports = {p["name"] for c in template["spec"]["containers"] for p in c["ports"]}
            by_component[template["metadata"]["labels"]["app.kubernetes.io/component"]] = ports
            for container in template["spec"]["containers"]:
                for probe in ("livenessProbe", "readinessProbe", "startupProbe"):
                    assert container[probe]["httpGet"]["port"] in ports
    for thing in objects(scenario):
        if thing["kind"] == "Service":
            wanted = {p["targetPort"] for p in thing["spec"]["ports"]}
            assert wanted <= by_component[thing["spec"]["selector"]["app.kubernetes.io/component"]]


def test_selectors_select_the_pods_they_are_for(scenario: str) -> None:
    templates = [o["spec"]["template"]["metadata"]["labels"] for o in objects(scenario) if o["kind"] == "Deployment"]
    for name, selector in _selectors(scenario):
        assert sum(selector.items() <= labels.items() for labels in templates) == 1, name


def test_what_is_referred_to_exists(scenario: str) -> None:
    there = {(o["kind"], o["metadata"]["name"]) for o in objects(scenario)}
    for name, pod in pods(scenario):
        account = pod.get("serviceAccountName")
        assert account is None or ("ServiceAccount", account) in there, name
        assert account is not None or pod["automountServiceAccountToken"] is False, name
        volumes = {v["name"]: v for v in pod["volumes"]}
        for volume in volumes.values():
            if claim := volume.get("persistentVolumeClaim"):
                assert ("PersistentVolumeClaim", claim["claimName"]) in there, name
            if content := volume.get("configMap"):
                assert ("ConfigMap", content["name"]) in there, name
        for container in (*pod.get("initContainers", ()), *pod["containers"]):
            assert {m["name"] for m in container["volumeMounts"]} <= volumes.keys(), name
        assert {s["name"] for s in pod.get("imagePullSecrets", ())} <= ELSEWHERE
    for name, container in containers(scenario):
        secrets = {e["valueFrom"]["secretKeyRef"]["name"] for e in container.get("env", ()) if _secret(e)}
        assert secrets <= ELSEWHERE, name
    for thing in objects(scenario):
        if thing["kind"].endswith("RoleBinding"):
            assert (thing["roleRef"]["kind"], thing["roleRef"]["name"]) in there
            assert all((s["kind"], s["name"]) in there for s in thing["subjects"])


def test_volumes_are_mounted_and_mounts_have_volumes(scenario: str) -> None:
    for name, pod in pods(scenario):
        mounted = {m["name"] for c in (*pod.get("initContainers", ()), *pod["containers"]) for m in c["volumeMounts"]}
        assert mounted == {v["name"] for v in pod["volumes"]}, name


def test_no_right_is_a_wildcard_and_none_reaches_secrets_or_into_pods(scenario: str) -> None:
    for role, rule in _rules(scenario):
        every = [*rule["apiGroups"], *rule["resources"], *rule["verbs"]]
        assert all("*" not in word for word in every), role
        assert not {"secrets", "pods/exec", "pods/attach", "pods/portforward", "nodes", "configmaps"} & {
            *rule["resources"]
        }, role
        assert not {"escalate", "bind", "impersonate", "deletecollection"} & {*rule["verbs"]}, role


def test_only_people_approve(scenario: str) -> None:
    for role, rule in _rules(scenario):
        if "modelapprovals" in rule["resources"] and {*rule["verbs"]} - {"get", "list", "watch"}:
            assert role.endswith("-approver"), role
            assert {*rule["verbs"]} == {"get", "list", "watch", "create"}


def test_a_namespace_is_all_that_a_namespaced_operator_gets(scenario: str) -> None:
    bindings = {o["kind"] for o in objects(scenario) if o["kind"].endswith("RoleBinding")}
    assert bindings == ({"RoleBinding"} if scenario == "namespaced" else {"RoleBinding", "ClusterRoleBinding"})


def _selectors(scenario: str) -> Iterator[tuple[str, dict[str, str]]]:
    for thing in objects(scenario):
        spec, name = thing.get("spec", {}), f"{thing['kind']}/{thing['metadata']['name']}"
        if thing["kind"] == "Service":
            yield name, spec["selector"]
        elif thing["kind"] in ("Deployment", "PodDisruptionBudget"):
            yield name, spec["selector"]["matchLabels"]
        elif thing["kind"] in ("NetworkPolicy", "PodMonitor") and not name.endswith("-predictors"):
            yield name, (spec.get("podSelector") or spec["selector"])["matchLabels"]


def _rules(scenario: str) -> Iterator[tuple[str, Object]]:
    for thing in objects(scenario):
        if thing["kind"] in ("Role", "ClusterRole"):
            yield from ((thing["metadata"]["name"], rule) for rule in thing["rules"])


def _secret(variable: Object) -> bool:
    return "secretKeyRef" in variable.get("valueFrom", {})
