"""Whether a classifier can be trained to tell the rows of one sample from those of the other: ClassifierDrift."""

from __future__ import annotations

import contextlib
import logging
from collections.abc import Iterator

import numpy as np

from serinus.detectors.alibi import wanted
from serinus.detectors.rows.sample import Sample, spread

SEED = 0


def p_value(reference: Sample, current: Sample) -> float:
    """Of the test whether its answers for the rows that it was not trained on differ between the samples; see
    `serinus.detectors.rows.Detector`.
    """
    with wanted():
        from alibi_detect.cd import ClassifierDrift
    from sklearn.ensemble import RandomForestClassifier  # boosted trees' threads would fight over the predictors' cores

    before, after = spread(reference, current)
    model = RandomForestClassifier(n_estimators=100, min_samples_leaf=5, random_state=SEED)
    logging.getLogger("alibi_detect.cd.sklearn").setLevel(logging.ERROR)  # it warns of its own defaults
    detector = ClassifierDrift(before, model, backend="sklearn", train_size=0.5, seed=SEED)
    with _seeded():
        return float(detector.predict(after)["data"]["p_val"])


@contextlib.contextmanager
def _seeded() -> Iterator[None]:
    """Which rows it trains on is drawn from numpy's global generator, whatever `seed` says (alibi-detect 0.13)."""
    state = np.random.get_state()
    np.random.seed(SEED)
    try:
        yield
    finally:
        np.random.set_state(state)
