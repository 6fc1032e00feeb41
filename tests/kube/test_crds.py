"""The CRDs on a real API server: what it takes, what it refuses and in which words, what it fills in and shows."""

from __future__ import annotations

import copy
import json
import re
from pathlib import Path
from typing import Any

import pytest
import yaml
from hypothesis import HealthCheck, Phase, assume, given, settings

from serinus import loading
from serinus.adapters.kube import MODEL_LOOPS
from serinus.errors import Fatal, SpecError
from serinus.render import crd, rules
from serinus.spec import ModelLoop
from services.cli.reference import annotated_example
from services.cli.tools import EXAMPLE
from tests.refused_specs import CASES
from tests.servers import kube_ledgers
from tests.servers.kubernetes import ApiServer
from tests.unit import cli_state
from tests.unit.test_spec import loops

ROOT = Path(__file__).resolve().parents[2]
SPACE = "crds"


@pytest.fixture(autouse=True, scope="module")
def _installed(server: ApiServer) -> None:
    kube_ledgers.install(server)
    server.namespace(SPACE)


def _loop(name: str = "my-model", **spec: Any) -> dict[str, Any]:
    """The short example; `spec` changes keys, a mapping those of a part."""
    document: dict[str, Any] = yaml.safe_load(EXAMPLE)
    document["metadata"] = {"name": name}
    for path, value in spec.items():
        *parts, last = path.split("__")
        place = document["spec"]
        for part in parts:
            place = place.setdefault(part, {})
        place[last] = value
    return document


def _refused(server: ApiServer, document: dict[str, Any]) -> str:
    with pytest.raises(Fatal) as refusal:
        server.kube.apply(MODEL_LOOPS, SPACE, document)
    return str(refusal.value)


def _made(server: ApiServer, document: dict[str, Any]) -> dict[str, Any]:
    """What the API server makes of it; gone again."""
    name = document["metadata"]["name"]
    try:
        return server.kube.apply(MODEL_LOOPS, SPACE, document)
    finally:
        server.kube.delete(MODEL_LOOPS, SPACE, name)


def _read(stored: dict[str, Any]) -> ModelLoop:
    """As the operator reads it."""
    head = {"name": stored["metadata"]["name"]}
    parts = {key: stored[key] for key in ("apiVersion", "kind", "spec")}
    return loading.parse(json.dumps({**parts, "metadata": head}))


@pytest.mark.parametrize("definition", crd.crds(), ids=lambda each: each["metadata"]["name"])
def test_the_definitions_are_structural_and_served(server: ApiServer, definition: dict[str, Any]) -> None:
    found = server.kube.get(kube_ledgers.CRDS, None, definition["metadata"]["name"])
    assert found is not None
    stand = {each["type"]: each["status"] for each in found["status"]["conditions"]}
    assert stand["Established"] == "True"
    assert stand.get("NonStructuralSchema", "False") == "False"
    stored, meant = found["spec"]["versions"][0]["schema"], definition["spec"]["versions"][0]["schema"]
    assert stored == meant  # nothing was dropped or filled in


@pytest.mark.parametrize(
    "text",
    [
        EXAMPLE,
        cli_state.EXAMPLE.read_text(),
        (ROOT / "examples" / "flights" / "kubernetes.yaml").read_text(),
        "\n".join(annotated_example()),
        *re.findall(r"```yaml\n(.*?kind: ModelLoop.*?)```", (ROOT / "README.md").read_text(), re.DOTALL),
    ],
    ids=["schema --example", "flights", "flights on a cluster", "reference page", "README"],
)
def test_the_examples_are_taken_as_they_are_on_a_laptop(server: ApiServer, text: str) -> None:
    applied = server.kubectl("apply", "--validate=strict", "--namespace", SPACE, "--filename=-", stdin=text)
    assert applied.returncode == 0, applied.stderr
    meant = loading.parse(text)
    stored = server.kube.get(MODEL_LOOPS, SPACE, meant.name)
    server.kube.delete(MODEL_LOOPS, SPACE, meant.name)
    assert stored is not None
    assert _read(stored).spec == meant.spec


def test_what_is_left_out_gets_the_defaults_of_the_file(server: ApiServer) -> None:
    document = _loop()
    meant = loading.parse(json.dumps(document)).spec.model_dump(mode="json", by_alias=True, exclude_none=True)
    assert _made(server, document)["spec"] == meant


@settings(
    max_examples=50,
    phases=[
        Phase.explicit,
        Phase.reuse,
        Phase.generate,
    ],  # not shrunk: that asks thousands of times
    suppress_health_check=[HealthCheck.function_scoped_fixture, HealthCheck.too_slow],
)
@given(loops())
def test_the_api_server_takes_and_keeps_whatever_the_file_may_say(server: ApiServer, loop: ModelLoop) -> None:
    positive = loop.spec.data.positive
    assume(not isinstance(positive, int) or abs(positive) < 2**63)
    kept = _read(_made(server, json.loads(loop.model_dump_json(by_alias=True))))
    assert _doubles(kept.spec.model_dump()) == _doubles(loop.spec.model_dump())


def _doubles(value: Any) -> Any:
    """Every number as the double that it is on the wire, where 3e16 comes back as a whole number."""
    if isinstance(value, dict):
        return {key: _doubles(item) for key, item in value.items()}
    if isinstance(value, list | tuple):
        return [_doubles(item) for item in value]
    return float(value) if isinstance(value, int) and not isinstance(value, bool) else value


def test_null_is_nothing_and_switches_off_what_is_on_by_default(server: ApiServer) -> None:
    document = _loop(drift=None, rollout__guardrails={"errors": None}, data__positive=None, training__schedule=None)
    text = yaml.safe_dump(document)
    applied = server.kubectl("apply", "--server-side", "--namespace", SPACE, "--filename=-", stdin=text)
    assert applied.returncode == 0, applied.stderr
    stored = server.kube.get(MODEL_LOOPS, SPACE, "my-model")
    server.kube.delete(MODEL_LOOPS, SPACE, "my-model")
    assert stored is not None
    spec = _read(stored).spec
    assert spec == loading.parse(text).spec
    assert (spec.drift, spec.rollout.guardrails.errors) == (None, None)


@pytest.mark.parametrize("case", CASES)
def test_what_the_file_may_not_say_is_refused_by_name(server: ApiServer, case: str) -> None:
    changes, path, message = CASES[case]
    document = _loop(**copy.deepcopy(changes))
    with pytest.raises(SpecError):
        loading.parse(json.dumps(document))
    said = _refused(server, document)
    assert f"{path}: " in said
    assert message in said


ONLY_THE_OPERATOR: dict[str, dict[str, Any]] = {
    "spec.training.schedule": {"training__schedule": "monday"},
    "spec.data.positive": {"task": "regression", "validation": {"metric": "mae"}, "data__positive": "yes"},
}


@pytest.mark.parametrize("path", rules.OPERATORS)
def test_what_no_rule_can_tell_is_left_to_the_operator(server: ApiServer, path: str) -> None:
    stored = _made(server, _loop(**copy.deepcopy(ONLY_THE_OPERATOR[path])))
    with pytest.raises(SpecError) as refusal:
        _read(stored)
    assert [problem.split(":")[0] for problem in refusal.value.problems] == [path]


@pytest.mark.parametrize("name", ["my.model", "9lives", "a" * 41])
def test_a_name_that_does_not_fit_everywhere_is_refused(server: ApiServer, name: str) -> None:
    with pytest.raises(SpecError):
        loading.parse(json.dumps(_loop(name)))
    assert "expected metadata.name of lower case letters, digits and dashes" in _refused(server, _loop(name))


@pytest.mark.parametrize(
    ("holdout", "history", "less"),
    [
        ("1w", "8d", True), ("1w", "7d", False), ("7d", "1w1ms", True), ("999ms", "1s", True), ("1000ms", "1s", False),
        ("1h30m", "91m", True), ("1h30m", "90m", False), ("23h60m", "1d", False), ("0001d", "25h", True),
        ("36499d", "36500d", True),
    ],
)  # fmt: skip
def test_durations_are_compared_by_what_they_last(server: ApiServer, holdout: str, history: str, less: bool) -> None:
    document = _loop(data__holdout=holdout, data__history=history)
    if less:
        assert _made(server, document)["spec"]["data"]["holdout"] == holdout
    else:
        assert f"got {holdout} of {history}" in _refused(server, document)


def test_resources_that_pipelines_can_express_are_taken(server: ApiServer) -> None:
    requests = {"cpu": "0.5", "memory": "512Mi"}
    limits = {"cpu": "1500m", "memory": "4G", "nvidia.com/gpu": "2"}
    document = _loop(training__resources={"requests": requests, "limits": limits})
    assert _read(_made(server, document)).spec == loading.parse(json.dumps(document)).spec


def test_kubectl_refuses_an_unknown_key(server: ApiServer) -> None:
    text = yaml.safe_dump(_loop(data__checks={"min_rows": 1}))
    applied = server.kubectl("apply", "--validate=strict", "--namespace", SPACE, "--filename=-", stdin=text)
    assert applied.returncode == 1
    assert 'strict decoding error: unknown field "spec.data.checks.min_rows"' in applied.stderr


def test_the_largest_lists_that_may_be_given_can_also_be_checked(server: ApiServer) -> None:
    numeric = [f"{'number':_<250}{i:04}" for i in range(1000)]
    categorical = [f"{'category':_<250}{i:04}" for i in range(500)]
    ranges = {name: [0, 1] for name in numeric}
    document = _loop(
        data__features={"numeric": numeric, "categorical": categorical},
        data__checks={"ranges": ranges},
        rollout={"steps": [*range(1, 100)]},
    )
    assert _made(server, document)["spec"]["data"]["features"] == {"numeric": numeric, "categorical": categorical}
