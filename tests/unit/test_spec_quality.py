"""What the parts of a ModelLoop about answers, labels and quality may not say, and how the loader puts it."""

from __future__ import annotations

import json
from datetime import timedelta

import pytest
import yaml

from serinus import loading
from serinus.errors import SpecError
from serinus.spec.budget import apart
from tests.unit.loop_cases import SPEC, spec

BUDGET = "expected a budget such as '1 per 90d', got "


@pytest.mark.parametrize(
    ("lines", "said"),
    [
        ("quality: {}", "quality: expected `collect` beside it, got none"),
        ("collect: {}\n  quality: {falseAlarms: often}", BUDGET + "'often'"),
        ("collect: {}\n  quality: {falseAlarms: 1 per 0d}", "expected a time longer than nothing after 'per'"),
        ("collect: {}\n  quality: {metric: rmse}", "quality.metric: expected one of "),
        (
            "collect: {}\n  newData: {rows: 5, share: 0.1}",
            "expected exactly one of rows, share; got rows, share",
        ),
        ("collect: {}\n  newData: {}", "expected exactly one of rows, share; got none"),
        (
            "collect: {}\n  labels: {source: {files: {uri: l/}, id: a, key: b, value: v}}",
            "expected exactly one of id, key; got id, key",
        ),
        ("collect: {}\n  labels: {source: {id: a, value: v}}", "expected exactly one of files, sql, python; got none"),
    ],
)
def test_a_mistake_is_named_with_what_was_expected(lines: str, said: str) -> None:
    with pytest.raises(SpecError) as refused:
        spec(lines)
    assert said in str(refused.value)


def test_fairness_is_of_two_classes() -> None:
    text = yaml.safe_dump(json.loads(SPEC.for_run()) | {"apiVersion": SPEC.api_version, "kind": SPEC.kind})
    text = text.replace("task: binary-classification", "task: regression")
    text = text.replace("metric: roc_auc", "metric: rmse\n    fairness: {groups: [origin]}")
    with pytest.raises(SpecError, match=r"validation\.fairness: expected nothing for regression; its rates are of two"):
        loading.parse(text)


def test_a_budget_that_did_not_come_from_a_file_is_checked_all_the_same() -> None:
    assert apart("2 per 90d") == timedelta(days=45)
    with pytest.raises(ValueError, match="expected a budget such as"):
        apart("often")


def test_what_is_said_right_is_held() -> None:
    source = "{files: {uri: l/}, id: a, value: v}"
    parts = spec(f"collect: {{}}\n  newData: {{rows: 5}}\n  labels: {{source: {source}}}").spec
    assert (parts.new_data and parts.new_data.rows, parts.labels.source and parts.labels.source.id) == (5, "a")
