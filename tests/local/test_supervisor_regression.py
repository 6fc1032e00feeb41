"""A regression over files, from rows to answers: the third kind of task, on a data set that no code here knows."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pandas as pd
import pytest

from serinus import artifact, models
from serinus.models import scoring
from tests import data_sets
from tests.servers import loops

pytestmark = [pytest.mark.xdist_group("supervisor-regression"), pytest.mark.timeout(400)]


def test_a_regression_is_trained_from_files_and_served(tmp_path: Path) -> None:
    spec, frame = data_sets.regression(rollout=loops.FAST["rollout"], drift=None)
    with loops.bare(tmp_path / "loop", spec, frame) as loop:
        loop.up()
        loop.serves(1, 180)
        asked = loop.rows(100)
        answer = loop.predict(asked).json()
        values = [prediction["value"] for prediction in answer["predictions"]]
        model = artifact.load(loop.state / "models" / "water" / "1")
        expected = scoring.answer(model.contract, model.estimator, models.frame(model.contract, asked))
        assert values == pytest.approx(expected.scores.tolist())
        assert [set(prediction) for prediction in answer["predictions"]] == [{"value"}] * 100
        truth = pd.read_parquet(loop.code / "data" / "rows.parquet")["litres"].head(100).to_numpy()
        assert np.sqrt(np.mean((np.array(values) - truth) ** 2)) < 0.5 * truth.std(), "it has learned something"
        refused = loop.predict([{**asked[0], "people": "many"}])
        assert (refused.status_code, refused.json()["field"]) == (400, "people")
