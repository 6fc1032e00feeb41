from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
import pandas as pd
import pytest
from sklearn import metrics

from serinus import artifact, models, sources, wire
from serinus.errors import ArtifactError, DataError, GateFailed
from serinus.facts import Bins, Contract, Dataset, Evaluation, Field, Profile, Why, Window
from serinus.models import scoring
from serinus.spec import ModelLoop
from serinus.steps import train, validate
from tests import data_sets

Floats = npt.NDArray[np.float64]
ABOUT = Dataset("d" * 64, "made up", Window(data_sets.END, data_sets.END), 1200, {})


@dataclass
class Rule:
    """An estimator without training: the rows as a DataFrame to P(second class), or to a number."""

    says: Callable[[pd.DataFrame], Any]

    def predict_proba(self, rows: pd.DataFrame) -> Floats:
        chance = np.asarray(self.says(rows), dtype=np.float64)
        return np.stack([1 - chance, chance], axis=1)

    def predict(self, rows: pd.DataFrame) -> Floats:
        return np.asarray(self.says(rows), dtype=np.float64)


def ruled(spec: ModelLoop, says: Callable[[pd.DataFrame], Any], **change: Any) -> artifact.Model:
    """A model of parcels that goes by a rule."""
    features = spec.spec.data.features
    contract = Contract(
        loop=spec.name,
        task=spec.spec.task,
        fields=(
            *(Field(n, "numeric", True) for n in features.numeric),
            *(Field(n, "categorical", True) for n in features.categorical),
        ),
        label=spec.spec.data.label,
        classes=() if spec.spec.task == "regression" else ("kept", "returned"),
        positive=None if spec.spec.task == "regression" else "returned",
        profile=Profile(1, (), Bins("score", "numeric")),
        dataset=ABOUT,
        examples=(),
        expected=(),
        estimator="shop:rule",
        params={},
        seed=0,
        trust=(),
    )
    return artifact.Model(replace(contract, **change), Rule(says), "c" * 64)


def sigmoid(logit: Any) -> Any:
    return 1 / (1 + np.exp(-logit))


def wise(rows: pd.DataFrame) -> Any:
    """What the data set was made by, nulls aside."""
    logit = 0.8 * (rows["weight"].fillna(3) - 3) - 0.02 * (rows["price"] - 20)
    return sigmoid(logit + np.where(rows["shop"] == "south", 1.2, -0.3))


def parcels(rows: int = 6000, validation: dict[str, Any] | None = None) -> tuple[ModelLoop, pd.DataFrame]:
    return data_sets.binary(rows, validation={"metric": "roc_auc", "margin": 0.02, **(validation or {})})


def outcomes(evaluation: Evaluation) -> dict[str, str]:
    return {verdict.gate: verdict.outcome for verdict in evaluation.verdicts}


def reason(evaluation: Evaluation, gate: str) -> str:
    return next(verdict.reason for verdict in evaluation.verdicts if verdict.gate == gate)


MAKERS = {"binary": data_sets.binary, "multiclass": data_sets.multiclass, "regression": data_sets.regression}
METRICS = {"binary": "roc_auc", "multiclass": "roc_auc", "regression": "rmse"}
QUICK: dict[str, dict[str, Any]] = {
    "binary": {"estimator": "logistic-regression"},
    "multiclass": {"estimator": "logistic-regression"},
    "regression": {"estimator": "random-forest", "params": {"n_estimators": 10, "max_depth": 6}},
}
FEWER = {"binary": "price", "multiclass": "rain_mm", "regression": "garden_m2"}


@pytest.fixture(scope="module", params=list(MAKERS))
def trained(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> tuple[str, ModelLoop, Path]:
    """A data set, a model of it and a champion that knows one feature only, of each task, as directories."""
    task, place = request.param, tmp_path_factory.mktemp(request.param)
    spec, frame = MAKERS[task](2400, validation={"metric": METRICS[task], "margin": 0.02}, training=QUICK[task])
    sources.snapshot(frame, "made up", spec.spec.data.time, place / "data")
    train.run(spec.model_dump_json(), "", place / "data", place / "candidate")
    weaker, _ = MAKERS[task](1, data={"features": {"numeric": [FEWER[task]]}}, training=QUICK[task])
    train.run(weaker.model_dump_json(), "", place / "data", place / "champion")
    return task, spec, place


def test_a_first_version_passes_and_leaves_its_evaluation_and_card(
    trained: tuple[str, ModelLoop, Path], tmp_path: Path
) -> None:
    _, spec, place = trained
    loop = spec.model_dump_json()
    found = validate.run(loop, "", place / "data", place / "candidate", None, tmp_path / "one")
    written = (tmp_path / "one" / "evaluation.json").read_bytes()
    assert wire.load(Evaluation, written) == found
    assert outcomes(found) == {"baseline": "pass", "leakage": "pass"}
    assert (found.champion, found.difference, found.interval) == (None, None, None)
    assert found.digest == artifact.verify(place / "candidate")
    assert "passed" in (tmp_path / "one" / "card.html").read_text(encoding="utf-8")
    why = wire.dump(Why("1 of 4 drifted")).decode()
    validate.run(loop, "", place / "data", place / "candidate", None, tmp_path / "two", why=why)
    assert (tmp_path / "two" / "evaluation.json").read_bytes() == written  # bootstraps are seeded
    pages = [(tmp_path / name / "card.html").read_text(encoding="utf-8") for name in ("one", "two")]
    assert ["1 of 4 drifted" in page for page in pages] == [False, True]
    assert all("What the model goes by" in page for page in pages)


def test_both_models_are_scored_on_the_same_rows_as_scikit_learn_would(
    trained: tuple[str, ModelLoop, Path], tmp_path: Path
) -> None:
    task, spec, place = trained
    loop = spec.model_dump_json()
    found = validate.run(loop, "", place / "data", place / "candidate", place / "champion", tmp_path)
    frame, about = sources.open_snapshot(place / "data")
    _, holdout = models.split(spec, frame)
    assert (found.rows, found.dataset) == (len(holdout), about.version)
    truth = holdout[spec.spec.data.label]
    expected = []
    for name in ("candidate", "champion"):
        model = artifact.load(place / name)
        answers = scoring.answer(model.contract, model.estimator, holdout)
        if task == "regression":
            expected.append(metrics.root_mean_squared_error(truth, answers.scores))
        elif task == "binary":
            expected.append(metrics.roc_auc_score(truth == "returned", answers.scores))
            assert found.metrics[{"candidate": "f1", "champion": "champion_f1"}[name]] == pytest.approx(
                metrics.f1_score(truth, answers.labels, pos_label="returned")
            )
        else:
            one_hot = truth.to_numpy()[:, None] == np.array(model.contract.classes)
            expected.append(metrics.roc_auc_score(one_hot, answers.probabilities, average="macro"))
    assert [found.candidate, found.champion] == pytest.approx(expected)
    assert found.higher_is_better == (task != "regression")
    assert found.interval is not None
    assert found.difference is not None
    assert found.interval[0] < found.difference < found.interval[1]
    assert found.difference == pytest.approx(abs(expected[0] - expected[1]))  # the candidate is the better one
    assert outcomes(found) == {"baseline": "pass", "leakage": "pass", "champion": "pass"}
    assert found.method.startswith("DeLong" if task == "binary" else "paired percentile bootstrap")
    assert (len(found.roc) > 0, len(found.confusion)) == {
        "binary": (True, 2), "multiclass": (False, 3), "regression": (False, 0),
    }[task]  # fmt: skip


def test_a_worse_candidate_is_refused_after_its_card_is_written(
    trained: tuple[str, ModelLoop, Path], tmp_path: Path
) -> None:
    _, spec, place = trained
    with pytest.raises(GateFailed, match=r"against the champion's .* worse by at least the margin") as caught:
        validate.run(spec.model_dump_json(), "", place / "data", place / "champion", place / "candidate", tmp_path)
    assert caught.value.gate == "validate"
    written = wire.load(Evaluation, (tmp_path / "evaluation.json").read_bytes())
    assert outcomes(written)["champion"] == "fail"
    assert "refused" in (tmp_path / "card.html").read_text(encoding="utf-8")


def test_a_tampered_model_is_not_judged(trained: tuple[str, ModelLoop, Path], tmp_path: Path) -> None:
    _, spec, place = trained
    copy = tmp_path / "candidate"
    copy.mkdir()
    for path in (place / "candidate").iterdir():
        (copy / path.name).write_bytes(path.read_bytes() + (b" " if path.name == "contract.json" else b""))
    with pytest.raises(ArtifactError, match=r"contract\.json"):
        validate.run(spec.model_dump_json(), "", place / "data", copy, None, tmp_path / "out")
    assert not (tmp_path / "out").exists()


def test_a_model_of_other_rows_is_not_judged_on_rows_that_it_may_have_learned() -> None:
    spec, frame = parcels()
    with pytest.raises(ArtifactError, match="expected a model of dataset eeeeeeeeeeee, got one of dddddddddddd"):
        validate.evaluate(spec, frame, replace(ABOUT, version="e" * 64), ruled(spec, wise), None)


def test_a_candidate_of_noise_does_not_beat_the_baseline() -> None:
    spec, frame = parcels()
    rng = np.random.default_rng(0)
    found = validate.evaluate(spec, frame, ABOUT, ruled(spec, lambda rows: rng.random(len(rows))), None)
    assert outcomes(found) == {"baseline": "fail", "leakage": "pass"}


def test_a_candidate_like_the_champion_passes_with_a_margin_wider_than_the_noise() -> None:
    spec, frame = parcels()
    found = validate.evaluate(spec, frame, ABOUT, ruled(spec, wise), ruled(spec, wise))
    assert (found.difference, found.interval) == (0.0, (0.0, 0.0))
    assert outcomes(found)["champion"] == "pass"


def test_a_champion_whose_classes_are_in_another_order_says_the_same() -> None:
    spec, frame = parcels()
    turned = ruled(spec, lambda rows: 1 - wise(rows), classes=("returned", "kept"))
    found = validate.evaluate(spec, frame, ABOUT, ruled(spec, wise), turned)
    assert found.champion == found.candidate


@pytest.mark.parametrize(
    ("change", "said"),
    [
        ({"task": "regression"}, "its task was regression, and is now binary-classification"),
        ({"label": "verdict"}, "its label was verdict, and is now fate"),
        ({"classes": ("kept", "lost")}, "its classes was kept, lost, and is now kept, returned"),
        ({"positive": "kept"}, "its positive class was kept, and is now returned"),
        ({"fields": (Field("colour", "numeric", True),)}, "it needs the column colour, which the data no longer has"),
        ({"fields": (Field("shop", "numeric", True),)}, "it takes shop as numeric, which is now categorical"),
    ],
)
def test_a_champion_of_another_spec_is_not_compared_and_this_is_said(change: dict[str, Any], said: str) -> None:
    spec, frame = parcels()
    found = validate.evaluate(spec, frame, ABOUT, ruled(spec, wise), ruled(spec, wise, **change))
    assert outcomes(found) == {"baseline": "pass", "leakage": "pass", "champion": "undecided"}
    assert reason(found, "champion") == f"The champion could not be compared: {said}."
    assert found.champion is None


@pytest.mark.parametrize("broken", ["candidate", "champion"])
def test_answers_that_are_not_numbers_keep_the_gate_shut(broken: str) -> None:
    spec, frame = parcels()

    def sick(rows: pd.DataFrame) -> Any:
        return wise(rows).where(rows["shop"] != "café")

    both = {"candidate": wise, "champion": wise, broken: sick}
    found = validate.evaluate(spec, frame, ABOUT, ruled(spec, both["candidate"]), ruled(spec, both["champion"]))
    assert outcomes(found)["champion"] == "error"
    assert f"{broken}, difference, low, high could not be computed" in reason(found, "champion")
    assert outcomes(found)["baseline"] == ("error" if broken == "candidate" else "pass")
    assert all(np.isfinite(figure) for figure in found.metrics.values())


def test_a_holdout_too_small_for_an_interval_is_refused_with_its_reason() -> None:
    spec, frame = parcels(60)
    labels = np.where(np.arange(60) % 2 == 0, "kept", "returned")
    frame["fate"] = np.where(frame["sold at"] > data_sets.END - pd.Timedelta("6d"), "kept", labels)
    frame.loc[59, "fate"] = "returned"
    found = validate.evaluate(spec, frame, ABOUT, ruled(spec, wise), ruled(spec, wise))
    assert outcomes(found)["champion"] == "error"
    assert "expected at least 2 rows of each class, got 1 positive" in reason(found, "champion")


def test_a_feature_that_knows_the_label_is_refused() -> None:
    spec, frame = parcels()
    knows = (frame["fate"] == "returned").to_numpy()
    frame["price"] = np.where(knows, 2.0, 1.0) + np.random.default_rng(0).random(len(frame)) / 2
    frame["shop"] = np.where(knows, "back", "gone")
    frame["weight"] = np.where(knows, np.nan, frame["weight"].fillna(1))
    found = validate.evaluate(spec, frame, ABOUT, ruled(spec, lambda rows: rows["price"] - 1), None)
    assert outcomes(found)["leakage"] == "fail"
    assert reason(found, "leakage") == (
        "The label seems to have leaked into the features: "
        "feature weight stands for the label one to one (values): 2; "
        "feature price ranks the rows like the label by itself (AUC): 1; "
        "feature shop stands for the label one to one (values): 2; "
        "roc_auc 1.0000 is over 0.999, too good to be true on unseen rows."
    )


def test_a_label_in_other_units_among_the_features_is_refused() -> None:
    spec, frame = data_sets.regression(validation={"metric": "mae"})
    frame["people"] = frame["litres"] / 3.785
    found = validate.evaluate(spec, frame, ABOUT, ruled(spec, lambda rows: rows["people"] * 3.785), None)
    assert "feature people is the label up to scale and offset" in reason(found, "leakage")


def test_a_class_that_the_candidate_never_met_is_named() -> None:
    spec, frame = parcels()
    frame.loc[frame.index[-1], "fate"] = "lost"
    with pytest.raises(DataError, match="got also lost in the holdout"):
        validate.evaluate(spec, frame, ABOUT, ruled(spec, wise), None)


def test_rows_without_a_label_are_not_judged() -> None:
    spec, frame = parcels()
    _, before = models.split(spec, frame)
    frame.loc[frame.index[-100:], "fate"] = None
    assert validate.evaluate(spec, frame, ABOUT, ruled(spec, wise), None).rows == len(before) - 100


def sliced(says: Callable[[pd.DataFrame], Any]) -> Evaluation:
    spec, frame = parcels(validation={"slices": ["shop", "parity"], "margin": 0.5})
    frame["parity"] = np.where(np.arange(len(frame)) % 2 == 0, 1.0, np.nan)
    return validate.evaluate(spec, frame, ABOUT, ruled(spec, says), ruled(spec, wise))


def test_slices_are_judged_each_and_small_ones_only_shown() -> None:
    def blind_in_the_south(rows: pd.DataFrame) -> Any:
        return wise(rows).where(rows["shop"] != "south", 0.5)

    found = sliced(blind_in_the_south)
    assert outcomes(found)["slices"] == "fail"
    assert "where shop=south (0.5000 against" in reason(found, "slices")
    by_name = {f"{s.column}={s.value}": s for s in found.slices}
    assert set(by_name) == {"shop=north", "shop=south", "shop=café", "shop=null", "parity=1", "parity=null"}
    assert by_name["shop=south"].error is not None
    assert by_name["shop=north"].error is None
    assert by_name["shop=null"].rows < 200
    assert by_name["shop=north"].candidate == by_name["shop=north"].champion
    assert outcomes(sliced(wise))["slices"] == "pass"


def test_a_slice_says_how_sure_its_figure_is() -> None:
    for each in sliced(wise).slices:
        assert each.interval is not None
        low, high = each.interval
        assert low < each.candidate < high
        assert 0.2 < (high - low) * each.rows**0.5 < 4, "narrower, the more rows there are"


@pytest.mark.parametrize(
    ("made", "column", "metric"),
    [(data_sets.multiclass, "soil", "accuracy"), (data_sets.regression, "heating", "rmse")],
)
def test_slices_of_other_tasks_say_it_too(made: Any, column: str, metric: str) -> None:
    spec, frame = made(3000, validation={"slices": [column], "metric": metric})
    about = replace(ABOUT, rows=len(frame))
    estimator, contract = models.fit(spec, frame, about, None)
    found = validate.evaluate(spec, frame, about, artifact.Model(contract, estimator, "e" * 64), None)
    assert found.slices
    for each in found.slices:
        assert each.interval is not None
        assert each.interval[0] < each.candidate < each.interval[1]


def test_a_slice_of_one_class_has_no_auc_and_is_left_out() -> None:
    spec, frame = parcels(validation={"slices": ["shop"]})
    frame.loc[frame["shop"] == "north", "fate"] = "kept"
    found = validate.evaluate(spec, frame, ABOUT, ruled(spec, wise), None)
    assert {s.value for s in found.slices} == {"south", "café", "null"}


def test_a_slice_column_that_is_not_there_is_named() -> None:
    spec, frame = parcels(validation={"slices": ["town"]})
    with pytest.raises(DataError, match=r"validation\.slices: expected a column town, got"):
        validate.evaluate(spec, frame, ABOUT, ruled(spec, wise), None)
