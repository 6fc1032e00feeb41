"""A user's own training function and estimator types, from a folder that is not ours, all the way to a loaded model."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path
from typing import Any
from uuid import uuid4

import numpy as np
import pytest

from serinus import artifact, models, sources
from serinus.errors import ArtifactError, DataError, Fatal
from serinus.models import scoring
from serinus.steps import ingest, train
from tests import data_sets

OWN = """
import numpy as np
from sklearn.base import BaseEstimator, ClassifierMixin
from sklearn.compose import ColumnTransformer
from sklearn.ensemble import HistGradientBoostingRegressor
from sklearn.linear_model import LogisticRegression
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import OneHotEncoder

SEEN = []


class Nearest(ClassifierMixin, BaseEstimator):
    \"\"\"The class whose mean of the numbers is nearest.\"\"\"

    def __init__(self, power=1.0):
        self.power = power

    def fit(self, X, y):
        self.classes_ = np.unique(y)
        self.columns_ = [c for c in X if X[c].dtype == "float64"]
        x = X[self.columns_].fillna(0).to_numpy()
        self.means_ = np.array([x[(y == c).to_numpy()].mean(axis=0) for c in self.classes_])
        return self

    def predict_proba(self, X):
        x = X[self.columns_].fillna(0).to_numpy()
        away = ((x[:, None] - self.means_[None]) ** 2).sum(axis=2) ** self.power + 1e-9
        return (1 / away) / (1 / away).sum(axis=1, keepdims=True)


class Forgetful(Nearest):
    def __getstate__(self):
        return {**self.__dict__, "means_": self.means_ * 0}


def nearest(X, y, params):
    SEEN.append((X, y, params))
    return Nearest(**params).fit(X, y)


def forgetful(X, y, params):
    return Forgetful().fit(X, y)


def pipeline(X, y, params):
    shop = [c for c in X if X[c].dtype == object]
    first = ColumnTransformer([("shop", OneHotEncoder(handle_unknown="ignore"), shop)], remainder="drop")
    return make_pipeline(first, LogisticRegression(**params)).fit(X, y)


def random(X, y, params):
    first = ColumnTransformer([("people", "passthrough", ["people"])])
    return make_pipeline(first, HistGradientBoostingRegressor(max_iter=int(np.random.randint(1, 9)))).fit(X, y)


def encoded(X, y, params):
    first = ColumnTransformer([("price", "passthrough", ["price"])])
    return make_pipeline(first, LogisticRegression()).fit(X, (y == "kept").astype(int))


def narrow(X, y, params):
    return LogisticRegression().fit(X[["price"]], y)


def twofold(X, y, params):
    model = nearest(X, y, {})
    model.predict_proba = lambda X: np.zeros((len(X), 3))
    return model


def silent(X, y, params):
    return Nearest(power=np.nan).fit(X, y)


def nothing(X, y, params):
    return "a model"


def fails(X, y, params):
    raise KeyError("weather")
"""


@pytest.fixture(scope="module")
def code(tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, str]:
    """(the folder, the module's name)."""
    folder = tmp_path_factory.mktemp("mine")
    name = f"own_{uuid4().hex}"
    (folder / f"{name}.py").write_text(OWN)
    return folder, name


def _trained(tmp_path: Path, code: tuple[Path, str], function: str, make: Any = data_sets.binary, **more: Any) -> Path:
    folder, name = code
    spec, frame = make(training={"python": f"{name}:{function}", **more})
    sources.snapshot(frame, "made up", spec.spec.data.time, tmp_path / "data")
    train.run(spec.model_dump_json(by_alias=True), str(folder), tmp_path / "data", tmp_path / "model")
    return tmp_path / "model"


def test_a_users_estimator_type_is_trained_kept_and_loaded_when_it_is_trusted(
    tmp_path: Path, code: tuple[Path, str]
) -> None:
    folder, name = code
    trust = [f"{name}.Nearest"]
    directory = _trained(tmp_path, code, "nearest", trust=trust, params={"power": 2.0})
    model = artifact.load(directory, trust, folder)
    assert type(model.estimator).__name__ == "Nearest"
    assert model.estimator.power == 2.0
    assert (model.contract.estimator, model.contract.trust) == (f"{name}:nearest", (f"{name}.Nearest",))
    answers = scoring.answer(
        model.contract, model.estimator, models.frame(model.contract, [{"weight": None, "price": 9, "shop": "new"}])
    )
    assert answers.labels in (["kept"], ["returned"])
    with pytest.raises(ArtifactError, match=f"nobody allowed: {name}.Nearest"):
        artifact.load(directory)


def test_a_type_that_cannot_be_imported_here_is_named(
    tmp_path: Path, code: tuple[Path, str], monkeypatch: pytest.MonkeyPatch
) -> None:
    folder, name = code
    directory = _trained(tmp_path, code, "nearest", trust=[f"{name}.Nearest"])
    monkeypatch.delitem(sys.modules, name)
    monkeypatch.setattr(sys, "path", [entry for entry in sys.path if entry != str(folder)])
    with pytest.raises(ArtifactError, match=f"a type it holds cannot be imported: No module named '{name}'"):
        artifact.load(directory, [f"{name}.Nearest"], tmp_path)


def test_the_function_gets_typed_columns_text_labels_and_the_params(tmp_path: Path, code: tuple[Path, str]) -> None:
    _trained(tmp_path, code, "nearest", trust=[f"{code[1]}.Nearest"], params={"power": 0.5})
    x, y, params = sys.modules[code[1]].SEEN[-1]
    assert [(n, str(t)) for n, t in x.dtypes.items()] == [
        ("weight", "float64"),
        ("price", "float64"),
        ("shop", "object"),
    ]
    assert x["weight"].isna().any()
    assert {type(v) for v in x["shop"]} == {str, type(None)}
    assert set(y) == {"kept", "returned"}
    assert list(x.index) == list(y.index) == list(range(len(x)))
    assert params == {"power": 0.5}


def test_a_model_loads_in_a_process_that_has_never_seen_the_folder(tmp_path: Path, code: tuple[Path, str]) -> None:
    folder, name = code
    trust = [f"{name}.Nearest"]
    directory = _trained(tmp_path, code, "nearest", trust=trust)
    program = (
        "import json, pathlib, sys\n"
        "from serinus import artifact, models\n"
        "from serinus.models import scoring\n"
        "model = artifact.load(pathlib.Path(sys.argv[1]), [sys.argv[2]], pathlib.Path(sys.argv[3]))\n"
        "rows = models.frame(model.contract, model.contract.examples)\n"
        "print(json.dumps(scoring.score(model.contract, model.estimator, rows).tolist()))\n"
    )
    found = subprocess.run(
        [sys.executable, "-c", program, directory, trust[0], folder],
        capture_output=True,
        text=True,
        check=True,
        timeout=120,
    )
    np.testing.assert_allclose(json.loads(found.stdout), artifact.load(directory, trust, folder).contract.expected)


def test_a_pipeline_of_scikit_learns_own_parts_needs_no_trust(tmp_path: Path, code: tuple[Path, str]) -> None:
    model = artifact.load(_trained(tmp_path, code, "pipeline", params={"C": 0.5}))
    assert model.estimator[-1].C == 0.5


def test_global_randomness_is_seeded(tmp_path: Path, code: tuple[Path, str]) -> None:
    digests = [
        artifact.verify(_trained(tmp_path / str(n), code, "random", data_sets.regression, seed=3)) for n in range(2)
    ]
    assert digests[0] == digests[1]


@pytest.mark.parametrize(
    ("function", "error", "told"),
    [
        ("encoded", Fatal, r"expected an estimator whose classes_ are the values of fate \(kept, returned\), got 0, 1"),
        ("narrow", Fatal, r"rows of X \(columns weight, price, shop\) as fit was given them; its predict_proba failed"),
        ("twofold", Fatal, r"expected predict_proba of 5 rows to have shape \(5, 2\), got \(5, 3\)"),
        ("silent", DataError, "expected a finite score for every row of the holdout, got NaN or inf"),
        ("nothing", Fatal, "expected a fitted scikit-learn estimator .* got str without predict_proba and classes_"),
        ("fails", Fatal, "failed: KeyError: 'weather'"),
        ("nearest", ArtifactError, r"nobody allowed: own_\w+\.Nearest; .* spec\.training\.trust"),
        ("forgetful", ArtifactError, "expected the saved model to answer"),
    ],
)
def test_what_cannot_become_a_model_is_refused_by_name(
    tmp_path: Path, code: tuple[Path, str], function: str, error: type[Exception], told: str
) -> None:
    trust = [f"{code[1]}.Forgetful"]
    with pytest.raises(error, match=told):
        _trained(tmp_path, code, function, trust=trust)


def test_a_users_source_and_training_function_work_from_one_folder(tmp_path: Path) -> None:
    _, frame = data_sets.regression()
    name = f"both_{uuid4().hex}"
    frame.to_csv(tmp_path / "rows.csv", index=False)
    (tmp_path / f"{name}.py").write_text(
        "from pathlib import Path\nimport pandas as pd\nfrom sklearn.compose import ColumnTransformer\n"
        "from sklearn.impute import SimpleImputer\nfrom sklearn.linear_model import Ridge\n"
        "from sklearn.pipeline import make_pipeline\n"
        "def rows(window):\n    return pd.read_csv(Path(__file__).parent / 'rows.csv')\n"
        "def fit(X, y, params):\n"
        "    first = ColumnTransformer([('numbers', SimpleImputer(), ['people', 'garden_m2'])])\n"
        "    return make_pipeline(first, Ridge(**params)).fit(X, y)\n"
    )
    training = {"python": f"{name}:fit", "params": {"alpha": 2.0}}
    spec, _ = data_sets.regression(source={"python": f"{name}:rows"}, training=training)
    loop = spec.model_dump_json(by_alias=True)
    dataset = ingest.run(loop, str(tmp_path), tmp_path / "data", data_sets.END)
    assert dataset.source == f"python {name}:rows"
    digest = train.run(loop, str(tmp_path), tmp_path / "data", tmp_path / "model")
    model = artifact.load(tmp_path / "model", spec.spec.training.trust, tmp_path)
    assert (model.digest, model.contract.params) == (digest, {"alpha": 2.0})
    answers = scoring.answer(model.contract, model.estimator, frame)
    assert abs(answers.scores - frame["litres"]).mean() < 60
