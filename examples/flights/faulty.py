"""Two training functions with a mistake each, as a colleague might bring them in on a Friday. For the demo.

Both models are as good as the sound one wherever they are validated: on thousands of rows at a time. Both go wrong only
where small batches of rows that training never saw come in, which is to say in production.
"""

from __future__ import annotations

import time
from typing import Any

import numpy as np
import pandas as pd
from sklearn.base import BaseEstimator, ClassifierMixin
from sklearn.compose import make_column_transformer
from sklearn.ensemble import HistGradientBoostingClassifier
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import OrdinalEncoder

_SMALL = 64  # rows; validation scores the whole holdout at once
_ONE_IN = 10
_PAUSE = 0.35  # seconds


class FailsOnNewRows(ClassifierMixin, BaseEstimator):  # type: ignore[misc]  # scikit-learn has no types
    """Looks rows up in what it saw in training; the way round for a row it does not find fails for one in ten."""

    def __init__(self, model: Any = None) -> None:
        self.model = model

    def fit(self, X: pd.DataFrame, y: pd.Series) -> FailsOnNewRows:
        """Fit the sound model inside and remember the rows."""
        self.model.fit(X, y)
        self.classes_ = self.model.classes_
        self.seen_ = np.unique(_digest(X))
        return self

    def predict_proba(self, X: pd.DataFrame) -> np.ndarray[Any, Any]:
        """Probabilities, shape (n, 2)."""
        if len(X) <= _SMALL:
            digest = _digest(X)
            unlucky = (digest % _ONE_IN == 0) & ~np.isin(digest, self.seen_)
            if unlucky.any():
                raise KeyError(f"row {int(np.argmax(unlucky))} is not in the cache")
        return self.model.predict_proba(X)  # type: ignore[no-any-return]

    def predict(self, X: pd.DataFrame) -> np.ndarray[Any, Any]:
        """Labels, shape (n,)."""
        return self.classes_[self.predict_proba(X).argmax(axis=1)]  # type: ignore[no-any-return]


class Slow(ClassifierMixin, BaseEstimator):  # type: ignore[misc]
    """Asks a slow service for every small batch."""

    def __init__(self, model: Any = None) -> None:
        self.model = model

    def fit(self, X: pd.DataFrame, y: pd.Series) -> Slow:
        """Fit the sound model inside."""
        self.model.fit(X, y)
        self.classes_ = self.model.classes_
        return self

    def predict_proba(self, X: pd.DataFrame) -> np.ndarray[Any, Any]:
        """Probabilities, shape (n, 2)."""
        if len(X) <= _SMALL:
            time.sleep(_PAUSE)
        return self.model.predict_proba(X)  # type: ignore[no-any-return]

    def predict(self, X: pd.DataFrame) -> np.ndarray[Any, Any]:
        """Labels, shape (n,)."""
        return self.classes_[self.predict_proba(X).argmax(axis=1)]  # type: ignore[no-any-return]


def fit_failing(X: pd.DataFrame, y: pd.Series, params: dict[str, Any]) -> FailsOnNewRows:
    """A model that fails on one in ten of the rows that it meets only in production."""
    return FailsOnNewRows(_sound(X, params)).fit(X, y)


def fit_slow(X: pd.DataFrame, y: pd.Series, params: dict[str, Any]) -> Slow:
    """A model that takes a third of a second for an answer."""
    return Slow(_sound(X, params)).fit(X, y)


def _sound(X: pd.DataFrame, params: dict[str, Any]) -> Any:
    categorical = [c for c in X.columns if not pd.api.types.is_numeric_dtype(X[c])]
    encode = OrdinalEncoder(handle_unknown="use_encoded_value", unknown_value=-1)
    columns = make_column_transformer((encode, categorical), remainder="passthrough")
    return make_pipeline(columns, HistGradientBoostingClassifier(random_state=0, **params))


def _digest(X: pd.DataFrame) -> np.ndarray[Any, Any]:
    """A number for each row that depends on its values alone."""
    plain = X.astype({c: str for c in X.columns if not pd.api.types.is_numeric_dtype(X[c])})
    return pd.util.hash_pandas_object(plain, index=False).to_numpy()
