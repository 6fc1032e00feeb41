"""The CRD says what the file's models say: every key, bound, default and rule."""

from __future__ import annotations

import copy
import json
from collections.abc import Iterator
from datetime import timedelta
from typing import Annotated, Any

import pytest
import yaml
from hypothesis import given
from pydantic import BaseModel, Field

from serinus import durations, loading
from serinus.render import crd, rules
from serinus.render.schema import at, structural
from serinus.spec import ModelLoop
from services.cli import crds as generator
from services.cli.tools import EXAMPLE
from tests.unit.test_spec import loops

LOOP, REQUEST, APPROVAL = crd.crds()
VERSION = LOOP["spec"]["versions"][0]
SCHEMA: Any = VERSION["schema"]["openAPIV3Schema"]
SPEC: Any = SCHEMA["properties"]["spec"]

TRANSLATED = {
    ("Source", "_exactly_one"): "data.source",
    ("LabelSource", "_exactly_one"): "labels.source",
    ("NewData", "_exactly_one"): "newData",
    ("Features", "_distinct"): "data.features",
    ("Checks", "_ordered"): "data.checks.ranges{}",
    ("Training", "_exactly_one"): "training",
    ("Training", "_cron"): "spec.training.schedule",
    ("Training", "_expressible"): "training.resources.limits",
    ("Training", "_variables"): "training.secrets",
    ("Serving", "_possible"): "serving",
    ("RolloutSpec", "_rising"): "rollout.steps",
    ("RolloutSpec", "_labelled"): "rollout",
    ("RolloutSpec", "_countable"): "rollout",
    ("RolloutSpec", "_decidable"): "rollout",
    ("Experiment", "_known"): "rollout.experiment",
    ("Guardrails", "_named"): "rollout.guardrails.ratios",
    ("Retrain", "_possible"): "drift.retrain",
    ("LoopSpec", "_consistent"): "data",  # and of validation.metric and data.positive, see below
}
"""Every rule of the models that is more than a field's own bounds -> the path where the CRD has it, or the operator."""


def _models(model: type[BaseModel]) -> Iterator[type[BaseModel]]:
    yield model
    for field in model.model_fields.values():
        inner = loading.model_in(field.annotation)
        if inner is not None:
            yield from _models(inner)


def _filled(value: Any, schema: Any) -> Any:
    """The value with the schema's defaults in it, as an API server fills them in."""
    if isinstance(value, dict):
        for key, part in schema.get("properties", {}).items():
            if key not in value and "default" in part:
                value[key] = copy.deepcopy(part["default"])
        known = schema.get("properties", {})
        return {key: _filled(item, known.get(key, {})) for key, item in value.items()}
    return value


def _parts(schema: Any, path: str = "") -> Iterator[tuple[str, Any]]:
    yield path, schema
    for name, part in schema.get("properties", {}).items():
        yield from _parts(part, f"{path}.{name}")
    for word in ("items", "additionalProperties"):
        if word in schema:
            yield from _parts(schema[word], f"{path}[]")


def test_every_rule_of_the_models_has_its_counterpart() -> None:
    found = {
        (model.__name__, name)
        for model in _models(ModelLoop)
        for kind in ("model_validators", "field_validators")
        for name in getattr(model.__pydantic_decorators__, kind)
        if name != "_off"  # it refuses nothing
    }
    assert found == TRANSLATED.keys()
    for path in TRANSLATED.values():
        assert path in rules.SPEC or path in rules.OPERATORS
    assert {"", "data"} <= rules.SPEC.keys()
    assert "spec.data.positive" in rules.OPERATORS
    assert list(rules.BEYOND) == ["spec.data.features", "spec.rollout.guardrails.ratios"]
    assert at(SPEC, "rollout.guardrails.ratios")["x-kubernetes-list-map-keys"] == ["name"]
    for kind in ("numeric", "categorical"):
        assert at(SPEC, f"data.features.{kind}")["x-kubernetes-list-type"] == "set"


def test_what_is_left_out_gets_the_defaults_of_the_models() -> None:
    document = yaml.safe_load(EXAMPLE)
    meant = loading.parse(EXAMPLE).spec.model_dump(mode="json", by_alias=True, exclude_none=True)
    assert _filled(document["spec"], SPEC) == meant
    for kind, part in _parts(SPEC):
        if "default" in part and "properties" in part and any("default" in p for p in part["properties"].values()):
            assert part["default"] == _filled({}, part), kind


@given(loops())
def test_every_key_that_a_file_may_have_is_known(loop: ModelLoop) -> None:
    def unknown(value: Any, schema: Any, path: str) -> Iterator[str]:
        if not isinstance(value, dict) or schema.get("x-kubernetes-preserve-unknown-fields"):
            return
        for key, item in value.items():
            part = schema.get("properties", {}).get(key, schema.get("additionalProperties"))
            if part is None:
                yield f"{path}.{key}"
            else:
                yield from unknown(item, part, f"{path}.{key}")

    spec = json.loads(loop.spec.model_dump_json(by_alias=True))
    assert list(unknown(spec, SPEC, "spec")) == []


@pytest.mark.parametrize("definition", crd.crds(), ids=lambda each: each["metadata"]["name"])
def test_the_schemas_are_structural(definition: dict[str, Any]) -> None:
    for path, part in _parts(definition["spec"]["versions"][0]["schema"]["openAPIV3Schema"]):
        assert "type" in part or part.get("x-kubernetes-preserve-unknown-fields"), path
        assert not {"$ref", "anyOf", "const", "title", "prefixItems", "propertyNames", "x-positive"} & part.keys(), path
        assert not ({"properties", "additionalProperties"} <= part.keys()), path


def test_every_key_of_the_file_is_explained() -> None:
    assert [path for path, part in _parts(SPEC) if "description" not in part and not path.endswith("[]")] == [
        # Their names say it.
        ".training.resources.requests",
        ".training.resources.limits",
        ".serving.resources.requests",
        ".serving.resources.limits",
    ]


def test_a_part_reads_as_kubernetes_wants_it() -> None:
    assert at(SPEC, "rollout.steps") == {
        "type": "array",
        "default": [5, 25, 50],
        "description": "The canary's share of traffic, in percent, rising; after the last one it gets everything. "
        "[0, 100] is blue/green: everything at once when its smoke test has passed, and `watch` brings the old "
        "champion back.",
        "items": {"type": "integer", "format": "int64", "minimum": 0, "maximum": 100},
        "minItems": 1,
        "maxItems": 99,
        "x-kubernetes-validations": [
            {
                "rule": "self == [0, 100] || (self.size() > 0 && self.isSorted() && self[0] > 0 && "
                "self[self.size() - 1] < 100 && self.all(step, self.exists_one(other, other == step)))",
                "message": "expected rising percents from 1 to 99 such as [5, 25, 50], or [0, 100] for blue/green",
            }
        ],
    }
    milliseconds = (
        "self.findAll('[0-9]+(ms|[wdhms])').map(p, int(p.find('^[0-9]+')) * "
        "{'w': 604800000, 'd': 86400000, 'h': 3600000, 'm': 60000, 's': 1000, 'ms': 1}[p.find('[a-z]+$')]).sum()"
    )
    assert at(SPEC, "data.checks.maxAge") == {
        "type": "string",
        "nullable": True,
        "description": "How old the newest row may be at the start of the run; unset means any age.",
        "pattern": durations.PATTERN,
        "minLength": 2,
        "maxLength": 64,
        "x-kubernetes-validations": [
            {
                "rule": f"{milliseconds} > 0 && {milliseconds} <= {durations.LONGEST // timedelta(milliseconds=1)}",
                "message": "expected a duration longer than nothing and of at most 36500d",
            }
        ],
    }
    assert at(SPEC, "data.positive") == {
        "nullable": True,
        "description": "Binary classification: the label value whose probability is the score. Default: the larger of "
        "the two.",
        "minItems": 1,
        "maxItems": 0,
        "minProperties": 1,
        "maxProperties": 0,
        "multipleOf": 1,
        "x-kubernetes-preserve-unknown-fields": True,
    }


@pytest.mark.parametrize(
    "path",
    ["data.history", "data.holdout", "data.checks.maxAge", "training.deadline", "serving.timeout", "drift.every"],
)
def test_a_duration_that_nothing_makes_no_sense_for_is_held_to_it(path: str) -> None:
    (rule,) = at(SPEC, path)["x-kubernetes-validations"]
    assert "> 0" in rule["rule"]


@pytest.mark.parametrize("path", ["rollout.watch", "rollout.warmUp", "drift.cooldown"])
def test_a_duration_may_be_nothing_where_that_means_never_or_at_once(path: str) -> None:
    (rule,) = at(SPEC, path)["x-kubernetes-validations"]
    assert "> 0" not in rule["rule"]


def test_a_default_of_a_duration_is_written_as_people_write_it() -> None:
    written = {path: part["default"] for path, part in _parts(SPEC) if part.get("pattern") == durations.PATTERN
               and "default" in part}  # fmt: skip
    assert written[".rollout.guardrails.latency.threshold"] == "250ms"
    for path, text in written.items():
        assert durations.render(durations.parse(text)) == text, path


class _Part(BaseModel):
    bound: Annotated[float, Field(gt=0, le=1)] = 0.5
    words: dict[str, str]


def test_bounds_are_written_as_openapi_3_has_them_and_what_is_required_has_no_default() -> None:
    assert structural(_Part, limits={"words{}": {"maxLength": 9}}) == {
        "type": "object",
        "required": ["words"],
        "properties": {
            "bound": {"type": "number", "default": 0.5, "minimum": 0, "exclusiveMinimum": True, "maximum": 1},
            "words": {"type": "object", "additionalProperties": {"type": "string", "maxLength": 9}},
        },
    }


def test_a_rule_for_what_is_not_there_is_a_mistake() -> None:
    with pytest.raises(KeyError):
        structural(_Part, {"wrods": ({"rule": "true"},)})


class _Odd(BaseModel):
    address: Annotated[str, Field(json_schema_extra={"format": "uri"})]


def test_a_word_that_would_be_lost_is_a_mistake() -> None:
    with pytest.raises(ValueError, match="expected words that this file knows how to write for Kubernetes, got format"):
        structural(_Odd)


def test_the_definitions_are_named_as_the_api_has_them() -> None:
    assert LOOP["metadata"]["name"] == "modelloops.serinus.dev"
    assert LOOP["spec"]["names"] == {
        "kind": "ModelLoop",
        "listKind": "ModelLoopList",
        "plural": "modelloops",
        "singular": "modelloop",
        "shortNames": ["loop"],
        "categories": ["serinus"],
    }
    assert [column["name"].upper() for column in VERSION["additionalPrinterColumns"] if "priority" not in column] == [
        "CHAMPION", "CANARY", "WEIGHT", "VERDICT", "DRIFT", "QUALITY", "LAST RUN", "AGE",
    ]  # fmt: skip
    assert VERSION["subresources"] == {"status": {}}
    for each, kind in ((REQUEST, "LoopRequest"), (APPROVAL, "ModelApproval")):
        assert each["spec"]["names"]["kind"] == kind
        assert each["spec"]["versions"][0]["selectableFields"] == [{"jsonPath": ".spec.loop"}]
        assert "subresources" not in each["spec"]["versions"][0]


def test_the_charts_files_are_fresh_and_hold_what_is_rendered() -> None:
    for path, text in generator.files().items():
        assert path.read_text() == text, f"{path} is stale; run `make compile`"
    assert generator.main(["--check"]) == 0
    loop = yaml.safe_load((generator.FILES / "crds" / "modelloops.yaml").read_text())
    assert loop == LOOP
    policies = (generator.FILES / "admission.yaml").read_text()
    assert [each["kind"] for each in yaml.safe_load_all(policies)] == [
        "ValidatingAdmissionPolicy",
        "ValidatingAdmissionPolicyBinding",
    ] * 3


def test_a_stale_file_and_one_too_many_are_told_and_put_right(
    tmp_path: Any, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setattr(generator, "FILES", tmp_path)
    monkeypatch.setattr(generator, "ROOT", tmp_path)
    assert generator.main(["--check"]) == 1
    assert "crds/modelloops.yaml is stale; run `make compile`" in capsys.readouterr().err
    (tmp_path / "crds").mkdir()
    (tmp_path / "crds" / "gone.yaml").write_text("old")
    assert generator.main([]) == 0
    assert not (tmp_path / "crds" / "gone.yaml").exists()
    assert generator.main(["--check"]) == 0
