"""manifests/ built by kustomize: the chart's objects, and the overlays say what the chart's values would."""

from __future__ import annotations

from functools import cache

import yaml

from serinus import loading
from serinus.spec import ModelLoop
from tests.chart.scenarios import Object, objects
from tools import chart

Key = tuple[str, str]


@cache
def built(folder: str) -> tuple[Object, ...]:
    """What `kubectl apply -k` would apply."""
    return tuple(yaml.safe_load_all(chart.run("kubectl", "kustomize", str(chart.ROOT / "manifests" / folder))))


def test_the_base_holds_the_charts_objects_and_their_namespace() -> None:
    expected = _of_chart("default")
    found = _of_kustomize("base")
    assert found.keys() - expected.keys() == {("Namespace", "serinus")}
    assert {key: found[key] for key in expected} == expected


def test_whatever_lives_in_a_namespace_is_given_one() -> None:
    for thing in built("base"):
        expected = None if thing["kind"] in chart.CLUSTER_WIDE else "serinus"
        assert thing["metadata"].get("namespace") == expected, thing["metadata"]["name"]
        assert all(s["namespace"] == "serinus" for s in thing.get("subjects", ()))


def test_standalone_is_the_base() -> None:
    assert _of_kustomize("overlays/standalone") == _of_kustomize("base")


def test_multi_user_says_what_the_charts_values_say_and_lets_the_operator_start_runs() -> None:
    expected, found = _of_chart("multi-user"), _of_kustomize("overlays/multi-user")
    added = found.keys() - expected.keys()
    assert added == {("Namespace", "serinus"), ("RoleBinding", "serinus-pipelines")}
    assert {key: found[key] for key in expected} == expected
    (binding,) = (o for o in built("overlays/multi-user") if o["metadata"]["name"] == "serinus-pipelines")
    assert binding["metadata"]["namespace"] == "kubeflow-user-example-com"
    assert binding["subjects"] == [{"kind": "ServiceAccount", "name": "serinus-operator", "namespace": "serinus"}]


def test_nothing_claims_to_be_helms() -> None:
    for thing in built("overlays/multi-user"):
        assert "helm" not in yaml.safe_dump(thing["metadata"]).lower(), thing["metadata"]["name"]


def test_the_example_is_a_loop_that_can_be_read_with_an_engine_that_everybody_may_use() -> None:
    (document,) = (o for o in built("examples/flights") if o["kind"] == "ModelLoop")
    assert document["metadata"]["namespace"] == "flights"
    loop = loading.parse(yaml.safe_dump({**document, "metadata": {"name": document["metadata"]["name"]}}))
    assert isinstance(loop, ModelLoop)
    assert loop.spec.drift is not None
    assert loop.spec.drift.detector == "scipy"


def test_the_examples_people_are_given_roles_that_exist() -> None:
    roles = {o["metadata"]["name"] for o in objects("default") if o["kind"] == "ClusterRole"}
    given = {o["roleRef"]["name"] for o in built("examples/flights") if o["kind"] == "RoleBinding"}
    assert given == {"serinus-editor", "serinus-approver"}
    assert given <= roles


def _of_chart(scenario: str) -> dict[Key, Object]:
    return _keyed([chart.plain(o) for o in objects(scenario) if not _hook(o)])


def _of_kustomize(folder: str) -> dict[Key, Object]:
    return _keyed([*built(folder)])


def _keyed(things: list[Object]) -> dict[Key, Object]:
    """By kind and name, without namespaces, which kustomize writes and Helm does not, and with env in one order."""
    made: dict[Key, Object] = {}
    for thing in things:
        about = {key: value for key, value in thing["metadata"].items() if key != "namespace"}
        made[thing["kind"], about["name"]] = _sorted({**thing, "metadata": about})
    assert len(made) == len(things)
    return made


def _sorted(thing: Object) -> Object:
    pod = thing.get("spec", {}).get("template", {}).get("spec", {}) if thing["kind"] == "Deployment" else {}
    for container in pod.get("containers", ()):
        container["env"] = sorted((e for e in container["env"] if e.get("value") != ""), key=lambda e: str(e["name"]))
        container["volumeMounts"] = sorted(container["volumeMounts"], key=lambda m: str(m["name"]))
    if "volumes" in pod:
        pod["volumes"] = sorted(pod["volumes"], key=lambda v: str(v["name"]))
    return thing


def _hook(thing: Object) -> bool:
    return "helm.sh/hook" in thing["metadata"].get("annotations", {})
