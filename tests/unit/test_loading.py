"""From a file to a ModelLoop, and from its mistakes to sentences."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
import yaml

from serinus import loading
from serinus.errors import SpecError
from serinus.spec import ModelLoop
from services.cli.tools import EXAMPLE

FLIGHTS = Path(__file__).resolve().parents[2] / "examples" / "flights" / "loop.yaml"
_NOTHING = object()


def _changed(path: str, value: object) -> str:
    """The flights' file with one key changed, or taken out."""
    document = yaml.safe_load(FLIGHTS.read_text())
    *way, last = path.split("/")
    part: Any = document
    for key in way:
        part = part.setdefault(key, {})
    if value is _NOTHING:
        del part[last]
    else:
        part[last] = value
    return yaml.safe_dump(document)


def _problems(text: str) -> list[str]:
    with pytest.raises(SpecError) as caught:
        loading.parse(text, "loop.yaml")
    return caught.value.problems


def test_the_examples_are_valid() -> None:
    assert loading.read(FLIGHTS).name == "flight-delay"
    assert loading.parse(EXAMPLE).name == "my-model"


@pytest.mark.parametrize(
    ("path", "value", "problem"),
    [
        ("spec/data/checks/minRows", "1000", "spec.data.checks.minRows: expected a whole number, got '1000'"),
        ("spec/data/checks/minRows", 10.5, "spec.data.checks.minRows: expected a whole number, got 10.5"),
        ("spec/data/checks/minRows", True, "spec.data.checks.minRows: expected a whole number, got true"),
        ("spec/data/checks/minRows", 0, "spec.data.checks.minRows: expected a number of at least 1, got 0"),
        ("spec/drift/psi", "bla", "spec.drift.psi: expected a number, got 'bla'"),
        ("spec/drift/psi", 0, "spec.drift.psi: expected a number over 0, got 0"),
        ("spec/drift/missing", 1, "spec.drift.missing: expected a number under 1, got 1"),
        ("spec/training/seed", 2**32, "spec.training.seed: expected a number under 4,294,967,296, got 4294967296"),
        ("spec/data/checks/maxNullFraction", 2,
         "spec.data.checks.maxNullFraction: expected a number of at most 1, got 2"),
        ("spec/data/time", 7, "spec.data.time: expected text, got 7; put it in quotes"),
        ("spec/data/time", None, "spec.data.time: expected text, got null"),
        ("spec/data/time", "", "spec.data.time: expected text that is not empty, got ''"),
        ("spec/data/positive", 1.5, "spec.data.positive: expected text or a whole number or true or false, got 1.5"),
        ("spec/data/features/numeric", "hour", "spec.data.features.numeric: expected a list, got 'hour'"),
        ("spec/data/checks/ranges", [1], "spec.data.checks.ranges: expected a mapping of keys to values, got [1]"),
        ("spec/data/checks/ranges/Temp", [1], "spec.data.checks.ranges.Temp: expected a pair such as [0, 1], got [1]"),
        ("spec/data/checks/ranges/Temp", [1, 2, 3],
         "spec.data.checks.ranges.Temp: expected a pair such as [0, 1], got [1, 2, 3]"),
        ("spec/data/checks/ranges/Temp", ["low", 2], "spec.data.checks.ranges.Temp.0: expected a number, got 'low'"),
        ("spec/serving", "x", "spec.serving: expected a mapping of keys to values, got 'x'"),
        ("spec/serving/resources", {"request": {}},
         "spec.serving.resources.request: expected 'requests' or 'limits', got 'request'; did you mean 'requests'?"),
        ("spec/serving/resources", {"limits": {"cpu": 2}},
         "spec.serving.resources.limits.cpu: expected text, got 2; put it in quotes"),
        ("spec/drift/detector", "scypi",
         "spec.drift.detector: expected 'alibi-detect' or 'scipy', got 'scypi'; did you mean 'scipy'?"),
        ("spec/drift/detector", 3, "spec.drift.detector: expected 'alibi-detect' or 'scipy', got 3"),
        ("kind", "Loop", "kind: expected 'ModelLoop', got 'Loop'; did you mean 'ModelLoop'?"),
        ("spec/data/source", {"python": "module.function"},
         "spec.data.source.python: expected a function as package.module:function, got 'module.function'"),
        ("spec/drift/every", "1 h",
         "spec.drift.every: expected a duration such as 250ms, 10m, 1h30m or 60d, got '1 h'"),
        ("spec/drift/every", 3600,
         "spec.drift.every: expected a duration such as 250ms, 10m, 1h30m or 60d, got 3600"),
        ("spec/drift/every", "0s", "spec.drift.every: expected a duration longer than nothing, got '0s'"),
        ("spec/serving", ["x" * 100],
         "spec.serving: expected a mapping of keys to values, got [\"" + "x" * 75 + "..."),
    ],
)  # fmt: skip
def test_a_wrong_value_is_told_with_its_key_what_was_expected_and_what_came(
    path: str, value: object, problem: str
) -> None:
    assert _problems(_changed(path, value)) == [problem]


@pytest.mark.parametrize("name", ["Flights", "flight_delay", "1st", "-a", "a-", "a" * 41, "", "a b", "ü", "a\n"])
def test_a_name_that_no_cluster_takes_is_told_the_rules(name: str) -> None:
    assert _problems(_changed("metadata/name", name)) == [
        "metadata.name: expected lower case letters, digits and dashes, a letter first, no dash last, "
        f"at most 40 characters, got {name!r}"
    ]


@pytest.mark.parametrize("name", ["a", "a1", "flight-delay", "a" * 40])
def test_a_name_that_a_cluster_takes_is_fine(name: str) -> None:
    assert loading.parse(_changed("metadata/name", name)).name == name


@pytest.mark.parametrize(
    ("path", "problem"),
    [
        ("apiVersion", "apiVersion: expected serinus.dev/v1alpha1, got nothing"),
        ("kind", "kind: expected ModelLoop, got nothing"),
        ("metadata", "metadata: expected the loop's name; got nothing"),
        ("metadata/name", "metadata.name: expected the loop's name: lower case letters, digits and dashes, at most 40 "
         "characters; got nothing"),
        ("spec", "spec: expected what the loop should be; got nothing"),
        ("spec/data/time", "spec.data.time: expected the column that orders the rows; splits are by time, never "
         "shuffled; got nothing"),
        ("spec/data/source/files/uri", "spec.data.source.files.uri: expected a file, a folder or a glob; a path "
         "relative to the ModelLoop file, or any fsspec URI (s3://, gs://, ...); got nothing"),
    ],
)  # fmt: skip
def test_a_missing_key_is_told_what_it_is_for(path: str, problem: str) -> None:
    assert _problems(_changed(path, _NOTHING)) == [problem]


_FREE = ("metadata", "spec/training/params", "spec/data/checks/ranges", "spec/value/worth")


def _parts(document: object, path: str = "") -> list[str]:
    """Every mapping of the flights' file whose keys are ours."""
    if not isinstance(document, dict) or path in _FREE:
        return []
    inner = [found for key, value in document.items() for found in _parts(value, f"{path}/{key}".lstrip("/"))]
    return [path, *inner]


@pytest.mark.parametrize("part", _parts(yaml.safe_load(FLIGHTS.read_text())))
def test_an_unknown_key_anywhere_is_an_error_that_names_its_path(part: str) -> None:
    found = _problems(_changed(f"{part}/xyzzy".lstrip("/"), 1))
    assert len(found) == 1
    assert found[0].startswith(f"{part}/xyzzy".lstrip("/").replace("/", ".") + ": unknown key; expected one of ")


@pytest.mark.parametrize(
    ("path", "hint"),
    [
        ("spec/data/checks/minrows", "did you mean 'minRows'?"),
        ("spec/data/checks/min_rows", "did you mean 'minRows'?"),
        ("spec/rollout/guardrails/errors/marign", "did you mean 'margin'?"),
        ("spec/rollout/guardrail", "did you mean 'guardrails'?"),
        ("spec/rolout", "did you mean 'rollout'?"),
        ("Spec", "did you mean 'spec'?"),
        ("spec/trainng", "did you mean 'training'?"),
        ("spec/estimator", "expected one of task, data, training, validation, approval, serving, rollout, drift, "
         "collect, labels, quality, newData, value; "
         "'estimator' belongs to spec.training"),
        ("spec/threshold", "expected one of task, data, training, validation, approval, serving, rollout, drift, "
         "collect, labels, quality, newData, value; "
         "'threshold' belongs to spec.rollout.guardrails.latency"),
        ("spec/minRows", "expected one of task, data, training, validation, approval, serving, rollout, drift, "
         "collect, labels, quality, newData, value; "
         "'minRows' belongs to spec.data.checks or spec.validation.fairness or spec.drift"),
        ("status", "expected one of apiVersion, kind, metadata, spec"),
    ],
)  # fmt: skip
def test_an_unknown_key_is_told_the_nearest_right_one(path: str, hint: str) -> None:
    assert _problems(_changed(path, 1)) == [f"{path.replace('/', '.')}: unknown key; {hint}"]


def test_every_mistake_is_told_at_once() -> None:
    text = FLIGHTS.read_text().replace("kind: ModelLoop", "").replace("minRows: 1000", "minRows: few")
    text = text.replace("steps: [20, 50]", "steps: [-1, 101]")
    assert _problems(text) == [
        "kind: expected ModelLoop, got nothing",
        "spec.data.checks.minRows: expected a whole number, got 'few'",
        "spec.rollout.steps.0: expected a number of at least 0, got -1",
        "spec.rollout.steps.1: expected a number of at most 100, got 101",
    ]


@pytest.mark.parametrize(
    ("text", "got"), [("- a", '["a"]'), ("3", "3"), ("hello", "'hello'"), ("---", "null"), ("true", "true")]
)
def test_a_file_that_is_no_mapping_is_refused(text: str, got: str) -> None:
    expected = f"loop.yaml: expected a mapping with apiVersion, kind, metadata and spec, got {got}"
    assert _problems(text) == [expected]


@pytest.mark.parametrize("value", [True, False, 1, 0, "late", "yes"])
def test_the_positive_class_is_what_was_written(value: object) -> None:
    positive = loading.parse(_changed("spec/data/positive", value)).spec.data.positive
    assert (type(positive), positive) == (type(value), value)


def test_kubernetes_own_metadata_is_left_alone() -> None:
    text = _changed("metadata/labels", {"team": "ops"})
    assert loading.parse(text).metadata.model_dump()["labels"] == {"team": "ops"}


# --- files -----------------------------------------------------------------------------------------------------------


def test_a_file_that_is_not_there_is_told_how_to_begin(tmp_path: Path) -> None:
    file = tmp_path / "loop.yaml"
    with pytest.raises(SpecError, match=r"no such file; write one with `serinus schema --example > loop.yaml`"):
        loading.read(file)


def test_a_folder_is_no_file(tmp_path: Path) -> None:
    with pytest.raises(SpecError, match=r"expected a YAML file in UTF-8, got .*Is a directory"):
        loading.read(tmp_path)


def test_bytes_that_are_no_text_are_told(tmp_path: Path) -> None:
    (tmp_path / "loop.yaml").write_bytes(b"\xff\xfe\x00")
    with pytest.raises(SpecError, match="expected a YAML file in UTF-8, got 'utf-8' codec can't decode"):
        loading.read(tmp_path / "loop.yaml")


def test_a_file_without_end_is_not_read_to_its_end() -> None:
    with pytest.raises(SpecError, match="expected at most 200,000 characters"):
        loading.read(Path("/dev/zero"))


# --- what is allowed but probably not meant --------------------------------------------------------------------------


def _loop(features: list[str], drift: object) -> ModelLoop:
    document = yaml.safe_load(_changed("spec/drift", drift))
    document["spec"]["data"]["features"] = {"numeric": features}
    return loading.parse(yaml.safe_dump(document))


SEASON = (
    "spec.drift.window: shorter than the season of feature {!r}, which will always look drifted; give it at least {}"
)


@pytest.mark.parametrize(
    ("feature", "window", "least"),
    [
        ("hour", "1h", "1d"),
        ("Hour-of-day", "23h", "1d"),
        ("weekday", "6d", "7d"),
        ("minute", "59m", "1h"),
        ("month", "60d", "365d"),
        ("hour", "1d", None),
        ("weekday", "7d", None),
        ("hours_flown", "1h", None),  # no season: another word
    ],
)
def test_a_window_shorter_than_a_features_season_is_warned_of(feature: str, window: str, least: str | None) -> None:
    loop = _loop([feature], {"every": "10m", "window": window, "detector": "scipy"})
    assert loading.warnings(loop) == ([SEASON.format(feature, least)] if least is not None else [])


def test_traffic_that_no_window_covers_is_warned_of() -> None:
    loop = _loop(["distance"], {"every": "2h", "window": "1h", "detector": "scipy"})
    assert loading.warnings(loop) == [
        "spec.drift.window: shorter than drift.every, so that some traffic is never looked at"
    ]


def test_the_licence_of_the_default_detector_is_told() -> None:
    told = loading.warnings(_loop(["distance"], {}))
    assert len(told) == 1
    assert "alibi-detect may not be used in commercial production" in told[0]


def test_no_drift_job_needs_no_warning() -> None:
    assert loading.warnings(_loop(["hour"], None)) == []
