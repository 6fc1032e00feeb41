"""A regression over files, from rows to answers: the third kind of task, on a data set that no code here knows."""

from __future__ import annotations

from pathlib import Path

import httpx
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

        told = httpx.get(loop.addresses.url("metrics") + "/metrics", trust_env=False).text
        assert 'serinus_rollout_weight{loop="water",version="1"} 100.0' in told
        assert 'serinus_events_total{event="Promoted",loop="water"} 1.0' in told
        assert 'serinus_events_total{event="RolledBack",loop="water"} 0.0' in told
        query = {"query": 'serinus_predictions_total{loop="water",version="1",outcome="ok"}'}
        prometheus = loop.addresses.url("prometheus") + "/api/v1/query"

        def counted() -> bool:
            found = httpx.get(prometheus, params=query, trust_env=False).json()["data"]["result"]
            return [row["value"][1] for row in found] == ["1"]

        loop.until(counted, "Prometheus counts the one answer", 20)
        refused = loop.predict([{**asked[0], "people": "many"}])
        assert (refused.status_code, refused.json()["field"]) == (400, "people")
