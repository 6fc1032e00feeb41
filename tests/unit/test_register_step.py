from __future__ import annotations

import hashlib
from dataclasses import replace
from pathlib import Path

import pytest

from serinus import artifact, environment, sources, wire
from serinus.adapters.fakes.registry import FakeRegistry
from serinus.errors import ArtifactError, Fatal, GateFailed, Unavailable
from serinus.facts import Evaluation, FairnessGap, Verdict, Why
from serinus.spec import ModelLoop
from serinus.steps import register, train, validate
from tests import data_sets


@pytest.fixture(scope="module")
def made(tmp_path_factory: pytest.TempPathFactory) -> tuple[ModelLoop, Path]:
    """A loop, and the folders data, model and evaluation of a run that went well."""
    place = tmp_path_factory.mktemp("run")
    spec, frame = data_sets.binary(training={"estimator": "logistic-regression"})
    sources.snapshot(frame, "made up", spec.spec.data.time, place / "data")
    train.run(spec.model_dump_json(), "", place / "data", place / "model")
    validate.run(spec.model_dump_json(), "", place / "data", place / "model", None, place / "evaluation")
    return spec, place


def judged(place: Path) -> Evaluation:
    return wire.load(Evaluation, (place / "evaluation" / "evaluation.json").read_bytes())


def test_a_validated_model_becomes_a_version_with_its_evidence(made: tuple[ModelLoop, Path]) -> None:
    spec, place = made
    store = FakeRegistry()
    loop, folders = spec.model_dump_json(), (place / "data", place / "model", place / "evaluation")
    version = register.run(loop, "parcels-manual-1", *folders, store)
    evaluation, (_, about) = judged(place), sources.open_snapshot(place / "data")
    assert (version.number, version.trigger, version.dataset) == (1, "parcels-manual-1", about.version)
    assert version.digest == artifact.verify(place / "model")
    assert version.metrics == dict(evaluation.metrics)
    assert version.metrics["roc_auc"] == evaluation.candidate
    assert store.tags["parcels", 1] == {
        "metric": "roc_auc",
        "dataset": about.version,
        "source": "made up",
        "window_start": about.window.start.isoformat(),
        "window_end": about.window.end.isoformat(),
        "rows": "1200",
        "digest": version.digest,
        "estimator": "logistic-regression",
        "cause": "manual",
        "release": environment.code(spec).release,
        "lock": environment.code(spec).lock,
    }
    assert set(store.extras["parcels", 1]) == {
        "evaluation.json", "evaluation.html", "origin.json", "dataset/data.parquet", "dataset/dataset.json",
    }  # fmt: skip
    assert register.run(loop, "parcels-manual-1", *folders, store) == version


def test_where_the_version_comes_from_is_kept_with_it_and_so_are_its_rows(
    made: tuple[ModelLoop, Path], tmp_path: Path
) -> None:
    spec, place = made
    store, loop = FakeRegistry(), spec.model_dump_json()
    why, folders = Why("1 of 4 drifted"), (place / "data", place / "model", place / "evaluation")
    register.run(loop, "parcels-drift-20260102T030405Z", *folders, store, why=wire.dump(why).decode())
    origin = store.papers("parcels", 1).origin
    assert origin is not None
    assert (origin.run, origin.cause, origin.spec) == ("parcels-drift-20260102T030405Z", "drift", loop)
    assert origin.digest == artifact.verify(place / "model")
    assert origin.files[artifact.MODEL] == hashlib.sha256((place / "model" / artifact.MODEL).read_bytes()).hexdigest()
    assert origin.kept
    assert origin.code == environment.code(spec)
    assert origin.why == why
    rows, about = sources.open_snapshot(store.dataset("parcels", 1, tmp_path / "rows"))
    assert (about, len(rows)) == (origin.dataset, 1200)


def test_rows_that_are_too_many_are_not_kept_and_the_origin_says_so(
    made: tuple[ModelLoop, Path], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    spec, place = made
    store = FakeRegistry()
    size = (place / "data" / "data.parquet").stat().st_size
    for number, limit in enumerate((size, size - 1, 0), 1):
        monkeypatch.setenv("SERINUS_KEEP_DATASET_BYTES", str(limit))
        folders = (place / "data", place / "model", place / "evaluation")
        register.run(spec.model_dump_json(), f"t{number}", *folders, store)
        origin = store.papers("parcels", number).origin
        assert origin is not None
        assert origin.kept == (limit == size)
    with pytest.raises(Fatal, match="not kept"):
        store.dataset("parcels", 2, tmp_path / "rows")


def changed(place: Path, evaluation: Evaluation, tmp_path: Path) -> Path:
    (tmp_path / "evaluation.json").write_bytes(wire.dump(evaluation))
    return tmp_path


def test_the_difference_to_the_champion_is_kept_with_its_interval(made: tuple[ModelLoop, Path], tmp_path: Path) -> None:
    spec, place = made
    compared = replace(judged(place), difference=0.01, interval=(-0.002, 0.022), metrics={"f1": float("nan")})
    folder = changed(place, compared, tmp_path)
    version = register.run(spec.model_dump_json(), "t", place / "data", place / "model", folder, FakeRegistry())
    assert version.metrics == {
        "roc_auc": compared.candidate, "difference": 0.01, "difference_low": -0.002, "difference_high": 0.022,
    }  # fmt: skip


@pytest.mark.parametrize(
    ("change", "said"),
    [
        ({"verdicts": (Verdict("champion", "fail", "It is worse."),)}, "It is worse."),
        ({"verdicts": (Verdict("champion", "error", "It is NaN."),)}, "It is NaN."),
        ({"verdicts": ()}, "the evaluation has no verdict; run validate again"),
        ({"digest": "0" * 64}, "the evaluation is of the model 000000000000, the candidate is "),
        ({"dataset": "0" * 64}, "the evaluation is on the dataset 000000000000, the run's is "),
    ],
)
def test_what_did_not_pass_or_belongs_to_another_run_is_not_registered(
    made: tuple[ModelLoop, Path], tmp_path: Path, change: dict[str, object], said: str
) -> None:
    spec, place = made
    store = FakeRegistry()
    folder = changed(place, replace(judged(place), **change), tmp_path)  # type: ignore[arg-type]
    with pytest.raises(GateFailed) as caught:
        register.run(spec.model_dump_json(), "t", place / "data", place / "model", folder, store)
    assert caught.value.reasons[0].startswith(said)
    assert store.versions("parcels") == ()


def test_a_gap_between_groups_is_a_figure_of_the_version(made: tuple[ModelLoop, Path], tmp_path: Path) -> None:
    spec, place = made
    gap = FairnessGap("shop", "equalOpportunity", 0.04, 0.0, 0.09, {"north": 0.5}, {"north": 300})
    folder = changed(place, replace(judged(place), fairness=(gap,)), tmp_path)
    version = register.run(spec.model_dump_json(), "t", place / "data", place / "model", folder, FakeRegistry())
    assert version.metrics["fairness gap shop"] == 0.04


def test_a_model_that_was_changed_after_validation_is_not_registered(
    made: tuple[ModelLoop, Path], tmp_path: Path
) -> None:
    spec, place = made
    for path in (place / "model").iterdir():
        (tmp_path / path.name).write_bytes(path.read_bytes() + (b" " if path.name == "model.skops" else b""))
    with pytest.raises(ArtifactError, match=r"model\.skops"):
        register.run(spec.model_dump_json(), "t", place / "data", tmp_path, place / "evaluation", FakeRegistry())


def test_a_store_that_is_away_is_said_to_be(made: tuple[ModelLoop, Path]) -> None:
    spec, place = made
    store = FakeRegistry()
    store.away = "the server is down"
    with pytest.raises(Unavailable):
        register.run(spec.model_dump_json(), "t", place / "data", place / "model", place / "evaluation", store)
