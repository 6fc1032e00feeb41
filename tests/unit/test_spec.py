"""The ModelLoop: what may stand in it, what may not, and that it survives being written down."""

from __future__ import annotations

import json
import re
from datetime import timedelta
from typing import Any, get_args

import pytest
import yaml
from hypothesis import given
from hypothesis import strategies as st
from pydantic import BaseModel

from serinus import detectors, loading, models, sources, spec
from serinus.errors import SpecError
from serinus.spec import METRICS_OF, LoopSpec, ModelLoop
from tests.refused_specs import CLICKS

names = st.text(st.characters(min_codepoint=33, max_codepoint=0x2FF), min_size=1, max_size=8)
fractions = st.floats(0, 1)
open_fractions = st.floats(0, 1, exclude_min=True, exclude_max=True)
counts = st.integers(1, 10_000)
spans = st.integers(1, 10**9).map(lambda ms: timedelta(milliseconds=ms))
RISING = "rising percents from 1 to 99 such as [5, 25, 50], or [0, 100] for blue/green"
numbers = st.floats(allow_nan=False, allow_infinity=False)
anything = st.recursive(
    st.none() | st.booleans() | st.integers(-(2**53), 2**53) | numbers | names,
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(names, inner, max_size=3),
    max_leaves=6,
)


def _maybe(**fields: st.SearchStrategy[Any]) -> st.SearchStrategy[dict[str, Any]]:
    """Any of the fields, so that defaults stand beside what was given."""
    return st.fixed_dictionaries({}, optional=fields)


@st.composite
def _data(draw: st.DrawFn, task: str) -> dict[str, Any]:
    time, label, *features = draw(st.lists(names, min_size=3, max_size=7, unique=True))
    cut = draw(st.integers(0, len(features)))
    holdout = draw(spans)
    source = st.one_of(
        st.builds(spec.Files, uri=names, format=st.sampled_from(["auto", "parquet", "csv"])).map(
            lambda s: {"files": s}
        ),
        st.builds(spec.Sql, url=names, query=names).map(lambda s: {"sql": s}),
        st.just({"python": "my.rows:read"}),
    )
    lowest, highest = sorted(draw(st.tuples(numbers, numbers)))
    checks = _maybe(
        min_rows=counts, max_null_fraction=fractions, max_age=st.none() | spans,
        ranges=st.just({features[0]: (lowest, highest)}), min_class_fraction=fractions,
    )  # fmt: skip
    positive = st.none() | names | st.integers() | st.booleans()
    return {
        "source": draw(source),
        "time": time,
        "label": label,
        "positive": draw(positive) if task == "binary-classification" else None,
        "features": {"numeric": tuple(features[:cut]), "categorical": tuple(features[cut:])},
        "history": holdout + draw(spans),
        "holdout": holdout,
        "checks": draw(checks),
    }


@st.composite
def loops(draw: st.DrawFn) -> ModelLoop:
    """Any valid ModelLoop."""
    task = draw(st.sampled_from(sorted(METRICS_OF)))
    model = st.sampled_from([{"estimator": name} for name in models.TABLE] + [{"python": "my.models:fit"}])
    few, many = sorted(draw(st.tuples(counts, counts)))
    violations, of = sorted(draw(st.tuples(st.integers(1, 100), st.integers(1, 100))))
    margin = _maybe(margin=open_fractions)
    return ModelLoop.model_validate(
        {
            "metadata": {"name": draw(st.from_regex(spec.NAME.replace("$", r"\Z"))), "labels": {"a": "b"}},
            "spec": {
                "task": task,
                "data": draw(_data(task)),
                "training": {
                    **draw(model),
                    **draw(_maybe(
                        params=st.dictionaries(names, anything, max_size=3), trust=st.tuples(names),
                        seed=st.integers(0, 2**32 - 1), schedule=st.sampled_from([None, "0 4 * * 1", "*/5 * * * *"]),
                        deadline=spans, image=st.none() | names,
                    )),
                },
                "validation": {
                    "metric": draw(st.sampled_from(METRICS_OF[task])),
                    **draw(_maybe(minimum=st.none() | numbers, margin=fractions, slices=st.tuples(names))),
                },
                "approval": draw(st.sampled_from(["automatic", "required"])),
                "serving": {
                    "min_replicas": few, "max_replicas": many,
                    **draw(_maybe(resources=st.just({"requests": {"cpu": "200m"}}), timeout=spans)),
                },
                "rollout": draw(_maybe(
                    steps=st.sets(st.integers(1, 99), min_size=1).map(sorted).map(tuple), min_requests=counts,
                    step_timeout=spans, on_timeout=st.sampled_from(["rollback", "hold"]), watch=spans,
                    guardrails=_maybe(
                            errors=st.none() | margin, latency=st.none() | margin, slowdown=st.none() | margin,
                            ratios=st.just(()) | st.just(({**CLICKS, "labels": {"a": "b"}},)),
                        ),
                )),
                "drift": draw(st.none() | _maybe(
                    every=spans, window=spans, min_rows=counts, psi=counts, missing=open_fractions,
                        false_alarms=st.sampled_from(["1 per 90d", "3 per 1w2d"]),
                    retrain=st.just({"violations": violations, "of": of}), cooldown=spans,
                    detector=st.sampled_from(sorted(detectors.TABLE)),
                )),
            },
        }
    )  # fmt: skip


@given(loops())
def test_every_loop_survives_being_written_as_json(loop: ModelLoop) -> None:
    assert ModelLoop.model_validate_json(loop.model_dump_json(by_alias=True)) == loop


class _Quoting(yaml.SafeDumper):
    """Quotes text that YAML 1.2 takes for a number, such as 0E0; PyYAML's own goes by YAML 1.1."""


_Quoting.add_implicit_resolver("tag:yaml.org,2002:float", re.compile(r"^[0-9]+[eE][0-9]+$"), list("0123456789"))


@given(loops())
def test_every_loop_survives_being_written_as_yaml_for_people(loop: ModelLoop) -> None:
    document = json.loads(loop.model_dump_json(by_alias=True))
    assert loading.parse(yaml.dump(document, Dumper=_Quoting)) == loop


def _literals(part: type[BaseModel], field: str) -> set[str]:
    annotation = part.model_fields[field].annotation
    return set(get_args(annotation))


def test_what_can_be_written_is_what_the_rooms_have() -> None:
    assert set(get_args(spec.Estimator)) == set(models.TABLE)
    assert _literals(spec.DriftSpec, "detector") == set(detectors.TABLE)
    assert set(spec.Source.model_fields) == set(sources.TABLE)
    assert set(METRICS_OF) == set(get_args(spec.Task))
    assert {metric for metrics in METRICS_OF.values() for metric in metrics} == set(get_args(spec.Metric))


def test_every_key_says_what_it_is_for() -> None:
    def silent(part: type[BaseModel], path: str) -> list[str]:
        found = [path] if not part.__doc__ else []
        for name, field in part.model_fields.items():
            found += [f"{path}.{name}"] if not field.description else []
            inner = loading.model_in(field.annotation)
            found += silent(inner, f"{path}.{name}") if inner is not None else []
        return found

    assert silent(ModelLoop, "") == []


def test_a_loop_cannot_be_changed_in_place() -> None:
    loop = loading.parse(BASE)
    with pytest.raises(ValueError, match="frozen"):
        loop.spec.data.time = "other"
    assert loop.name == "flights"


BASE = """
apiVersion: serinus.dev/v1alpha1
kind: ModelLoop
metadata: {name: flights}
spec:
  task: binary-classification
  data:
    source: {files: {uri: data/}}
    time: t
    label: late
    features: {numeric: [distance], categorical: [carrier]}
  training: {estimator: logistic-regression}
  validation: {metric: roc_auc}
"""


def _problems(**parts: Any) -> list[str]:
    """What is said of BASE with these parts of its spec changed, one level deep."""
    document = yaml.safe_load(BASE)
    for part, value in parts.items():
        old = document["spec"].get(part)
        document["spec"][part] = {**old, **value} if isinstance(old, dict) and isinstance(value, dict) else value
    with pytest.raises(SpecError) as caught:
        loading.parse(yaml.safe_dump(document))
    return caught.value.problems


@pytest.mark.parametrize(
    ("parts", "problem"),
    [
        ({"data": {"source": {}}},
         "spec.data.source: expected exactly one of files, sql, python, production; got none"),
        ({"data": {"source": {"files": {"uri": "a"}, "python": "a:b"}}},
         "spec.data.source: expected exactly one of files, sql, python, production; got files, python"),
        ({"data": {"features": {}}},
         "spec.data.features: expected at least one numeric or categorical feature, got none"),
        ({"data": {"features": {"numeric": ["a", "b"], "categorical": ["b", "a", "c"]}}},
         "spec.data.features: expected each feature once, got a, b more than once"),
        ({"data": {"checks": {"ranges": {"temp": [3, 1.5]}}}},
         "spec.data.checks.ranges.temp: expected [lowest, highest], got [3, 1.5]"),
        ({"training": {"python": "a:b"}}, "spec.training: expected exactly one of estimator, python; got both"),
        ({"training": {"estimator": None}}, "spec.training: expected exactly one of estimator, python; got none"),
        ({"training": {"schedule": "monday"}},
         "spec.training.schedule: expected a cron expression such as '0 4 * * 1', got 'monday'"),
        ({"serving": {"minReplicas": 3}},
         "spec.serving.maxReplicas: expected at least minReplicas, which is 3, got 1"),
        ({"rollout": {"steps": [25, 5]}},
         f"spec.rollout.steps: expected {RISING}, got [25, 5]"),
        ({"rollout": {"steps": []}}, f"spec.rollout.steps: expected {RISING}, got []"),
        ({"drift": {"retrain": {"violations": 6}}},
         "spec.drift.retrain.violations: expected at most `of`, which is 5, got 6"),
        ({"validation": {"metric": "rmse"}},
         "spec.validation.metric: expected one of roc_auc, average_precision, log_loss, brier, accuracy, "
         "balanced_accuracy, f1 for binary-classification, got 'rmse'"),
        ({"task": "multiclass-classification", "data": {"positive": "yes"}},
         "spec.data.positive: expected nothing for multiclass-classification, got 'yes'; only two classes have one"),
        ({"data": {"label": "t"}}, "spec.data.label: expected another column than data.time, got 't' for both"),
        ({"data": {"label": "carrier"}}, "spec.data.features: expected what is known when a model is asked, got the "
         "label 'carrier'; take it out"),
        ({"data": {"time": "distance"}}, "spec.data.features: expected what is known when a model is asked, got the "
         "time 'distance'; take it out"),
        ({"data": {"holdout": "90d"}},
         "spec.data.holdout: expected less than data.history, got 90d of 60d; nothing would be left to train on"),
        ({"collect": {}, "rollout": {"guardrails": {"quality": {}}}},
         "spec.labels.delay: expected less than half of rollout.stepTimeout for rollout.guardrails.quality, "
         "got 1d of 10m; labels would come too late to judge a step by"),
        ({"collect": {}, "labels": {"delay": "5m"}, "rollout": {"guardrails": {"quality": {}}}},
         "spec.labels.delay: expected less than half of rollout.stepTimeout for rollout.guardrails.quality, "
         "got 5m of 10m; labels would come too late to judge a step by"),
        ({"task": "regression", "validation": {"metric": "rmse"}, "collect": {}, "drift": {"labels": True}},
         "spec.drift.labels: expected false for regression; of classes alone labels are counted by value"),
        ({"drift": {"labels": True}},
         "spec.drift.labels: expected `collect` beside it, got none; without it no prediction is kept"),
        ({"task": "regression", "validation": {"metric": "rmse"}, "collect": {}, "labels": {"delay": "1m"},
          "rollout": {"guardrails": {"quality": {}}}},
         "spec.rollout.guardrails.quality: expected nothing for regression; only a class is right or wrong"),
        ({"rollout": {"guardrails": {"ratios": [CLICKS, {**CLICKS, "name": "latency"}, CLICKS]}}},
         "spec.rollout.guardrails.ratios: expected names of their own, none of errors, rejections, latency, slowdown, "
         "scores, quality; got clicks, latency twice"),
        ({"rollout": {"guardrails": {"ratios": [{**CLICKS, "delay": "5m"}]}}},
         "spec.rollout.guardrails.ratios: clicks: expected a delay of less than half of stepTimeout, got 5m"),
        ({"collect": {}, "labels": {"delay": "1m"}, "rollout": {"strategy": "shadow", "guardrails": {"quality": {}}}},
         "spec.rollout.guardrails.quality: expected nothing for strategy shadow; answers that nobody gets are not "
         "labelled"),
        ({"rollout": {"strategy": "shadow", "guardrails": {"ratios": [CLICKS]}}},
         "spec.rollout.guardrails.ratios: expected nothing for strategy shadow; what nobody is answered moves no "
         "figure"),
        ({"rollout": {"strategy": "experiment"}},
         "spec.rollout.experiment: expected its metric, and the header or cookie that tells users apart; got none"),
        ({"rollout": {"strategy": "experiment", "experiment": {"metric": "sales", "cookie": "user"},
                      "guardrails": {"ratios": [CLICKS]}}},
         "spec.rollout.experiment.metric: expected one of guardrails.ratios (clicks), got 'sales'"),
        ({"rollout": {"strategy": "experiment", "experiment": {"metric": "sales", "cookie": "user"}}},
         "spec.rollout.experiment.metric: expected one of guardrails.ratios (none is named), got 'sales'"),
        ({"rollout": {"experiment": {"metric": "clicks"}}},
         "spec.rollout.experiment: expected exactly one of header and cookie: by that a user is known"),
        ({"rollout": {"experiment": {"metric": "clicks", "header": "user id"}}},
         "spec.rollout.experiment.header: expected a header's or a cookie's name of letters, digits, dots, dashes and "
         "underscores, got 'user id'"),
        ({"rollout": {"strategy": "experiment", "experiment": {"metric": "clicks", "cookie": "user", "horizon": "2d"},
                      "guardrails": {"ratios": [{**CLICKS, "delay": "1d"}]}}},
         "spec.rollout.guardrails.ratios: clicks: expected a delay of less than half of experiment.horizon, got 1d"),
        ({"rollout": {"guardrails": {"ratios": [{**CLICKS, "numerator": "clicks total"}]}}},
         "spec.rollout.guardrails.ratios.0.numerator: expected a metric's name such as shop_orders_total, "
         "got 'clicks total'"),
    ],
)  # fmt: skip
def test_a_part_that_contradicts_itself_is_refused(parts: dict[str, Any], problem: str) -> None:
    assert _problems(**parts) == [problem]


def test_contradictions_are_told_all_at_once() -> None:
    found = _problems(validation={"metric": "rmse"}, data={"time": "distance", "label": "carrier", "holdout": "61d"})
    assert [problem.split(": ")[0] for problem in found] == [
        "spec.validation.metric",
        "spec.data.features",
        "spec.data.features",
        "spec.data.holdout",
    ]


def test_defaults_are_those_of_the_documentation() -> None:
    loop = loading.parse(BASE)
    rollout, drift = loop.spec.rollout, loop.spec.drift
    assert (rollout.steps, rollout.min_requests, rollout.on_timeout) == ((5, 25, 50), 200, "rollback")
    assert rollout.step_timeout == timedelta(minutes=10)
    assert rollout.guardrails.latency is not None
    assert rollout.guardrails.latency.threshold == timedelta(milliseconds=250)
    assert drift is not None
    assert (drift.every, drift.window, drift.cooldown) == (timedelta(hours=1), timedelta(days=1), timedelta(hours=6))
    assert isinstance(loop.spec, LoopSpec)
    assert loop.spec.approval == "automatic"


def test_what_is_not_enabled_is_as_good_as_null() -> None:
    off = {"enabled": False}
    document = yaml.safe_load(BASE)
    document["spec"] |= {
        "drift": off,
        "rollout": {"guardrails": dict.fromkeys(("errors", "rejections", "latency", "slowdown", "scores"), off)},
    }
    loop = loading.parse(yaml.safe_dump(document))
    assert loop.spec.drift is None
    assert loop.spec.rollout.guardrails == spec.Guardrails(
        errors=None, rejections=None, latency=None, slowdown=None, scores=None
    )


@given(loops())
def test_what_a_run_is_given_says_what_differs_from_the_defaults_and_means_the_same(loop: ModelLoop) -> None:
    assert ModelLoop.model_validate_json(loop.for_run()) == loop


def test_what_a_run_is_given_names_no_key_that_an_older_image_could_miss() -> None:
    written = yaml.safe_load(BASE)
    assert json.loads(loading.parse(BASE).for_run())["spec"].keys() <= written["spec"].keys()
