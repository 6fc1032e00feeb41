"""Groups of the holdout as validate finds them, beside fairlearn's own figures."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import numpy as np
import pandas as pd
import pytest
from fairlearn import metrics  # type: ignore[import-untyped]

from serinus import models, sources
from serinus.errors import DataError
from serinus.facts import Evaluation
from serinus.models import scoring
from serinus.stats.fairness import RATES
from serinus.steps import card, validate
from tests import data_sets
from tests.unit.test_validate_step import ABOUT, outcomes, parcels, reason, ruled, wise

DIFFERENCE = {
    "equalOpportunity": metrics.true_positive_rate_difference,
    "demographicParity": metrics.demographic_parity_difference,
    "equalizedOdds": metrics.equalized_odds_difference,
}


def never_in_the_south(rows: pd.DataFrame) -> Any:
    """Nobody in the south is told that a parcel comes back."""
    return wise(rows).where(rows["shop"] != "south", 0.1)


def judged(says: Any = wise, **asked: Any) -> Evaluation:
    spec, frame = parcels(validation={"fairness": {"groups": ["shop"], **asked}})
    return validate.evaluate(spec, frame, ABOUT, ruled(spec, says), None)


@pytest.mark.parametrize("metric", list(RATES))
def test_the_gap_is_fairlearns_difference_between_the_groups(metric: str) -> None:
    spec, frame = parcels(validation={"fairness": {"groups": ["shop", "half"], "metric": metric, "minRows": 1}})
    frame["half"] = np.where(np.arange(len(frame)) % 2 == 0, 1.0, np.nan)
    model = ruled(spec, wise)
    found = validate.evaluate(spec, frame, ABOUT, model, None)
    _, holdout = models.split(spec, frame)
    said = scoring.answer(model.contract, model.estimator, holdout).labels
    for gap, groups in zip(found.fairness, (holdout["shop"].fillna("null"), holdout["half"].isna()), strict=True):
        expected = DIFFERENCE[metric](
            holdout["fate"] == "returned",
            np.asarray(said) == "returned",
            sensitive_features=groups,
        )
        assert gap.gap == pytest.approx(expected)
        assert gap.low <= gap.gap <= gap.high
    assert [set(gap.groups) for gap in found.fairness] == [{"north", "south", "caf\u00e9", "null"}, {"1", "null"}]


def test_a_model_that_never_finds_one_groups_positives_is_refused_and_says_which() -> None:
    found = judged(never_in_the_south)
    assert outcomes(found)["fairness"] == "fail"
    assert "equalOpportunity differs by more than 0.1 between groups: shop by 0." in reason(found, "fairness")
    assert ", south 0.000), between 0." in reason(found, "fairness")


def test_small_groups_are_shown_and_decide_nothing() -> None:
    found = judged(never_in_the_south, minRows=400)
    (gap,) = found.fairness
    assert max(gap.rows.values()) < 400
    assert gap.groups["south"] == 0
    assert (gap.low, gap.high) == (0.0, 1.0)
    assert outcomes(found)["fairness"] == "undecided"


def test_without_asking_there_is_no_gap_and_no_verdict() -> None:
    spec, frame = parcels()
    found = validate.evaluate(spec, frame, ABOUT, ruled(spec, wise), None)
    assert found.fairness == ()
    assert "fairness" not in outcomes(found)


def test_a_group_without_positives_has_no_true_positive_rate() -> None:
    spec, frame = parcels(validation={"fairness": {"groups": ["shop"], "minRows": 1}})
    frame.loc[frame["shop"] == "north", "fate"] = "kept"
    (gap,) = validate.evaluate(spec, frame, ABOUT, ruled(spec, wise), None).fairness
    assert set(gap.groups) == set(gap.rows) == {"south", "caf\u00e9", "null"}


def test_a_group_column_that_is_not_there_is_named() -> None:
    spec, frame = parcels(validation={"fairness": {"groups": ["town"]}})
    with pytest.raises(DataError, match=r"validation\.fairness\.groups: expected a column town, got"):
        validate.evaluate(spec, frame, ABOUT, ruled(spec, wise), None)


def test_group_columns_come_with_the_data_though_no_model_learns_from_them() -> None:
    validation = {"metric": "roc_auc", "slices": ["shop"], "fairness": {"groups": ["shop", "town"]}}
    spec, _ = data_sets.binary(1, validation=validation)
    assert sources.columns.Columns.of(spec).texts == ("fate", "shop", "town")
    assert "town" not in spec.spec.data.features.categorical


def test_the_card_shows_each_group_and_what_is_allowed() -> None:
    spec, _ = parcels(validation={"fairness": {"groups": ["shop"]}})
    found = judged(never_in_the_south)
    (gap,) = found.fairness
    page = card.model(spec, found, ruled(spec, wise).contract)
    assert "Fairness by shop: equalOpportunity" in page
    assert f"at most {gap.gap:.4f} apart, between {gap.low:.4f} and {gap.high:.4f} at 95% confidence" in page
    rows = page[page.index("Fairness by shop") :]
    assert rows.index("<td>north</td>") < rows.index("<td>south</td>")
    assert f'<tr class="soft"><td>null</td><td class="n">{gap.rows["null"]}</td>' in rows
    empty = replace(found, fairness=(replace(gap, groups={}, rows={}),))
    assert "fewer than two groups with 100 rows, so nothing is known" in card.model(
        spec, empty, ruled(spec, wise).contract
    )
    assert "Fairness" not in card.model(parcels()[0], found, ruled(spec, wise).contract)
