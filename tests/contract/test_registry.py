"""The ports Registry and ModelStore: MLflow's real server and the fake keep the same promises."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, replace
from datetime import UTC, datetime, timedelta
from pathlib import Path
from time import monotonic
from typing import Any
from uuid import uuid4

import pytest

from serinus import artifact, wire
from serinus.adapters.fakes.registry import FakeRegistry
from serinus.adapters.mlflow import MlflowRegistry
from serinus.errors import ArtifactError, Fatal, Unavailable
from serinus.facts import Contract, Measured, Reference
from tests.made_up_models import model_dir, papers_of, record
from tests.servers.mlflow import free_port, mlflow_uri  # noqa: F401

pytestmark = pytest.mark.xdist_group("mlflow")  # one server for them all
Store = MlflowRegistry | FakeRegistry


@pytest.fixture(params=["mlflow", "fake"])
def store(request: pytest.FixtureRequest) -> Store:
    if request.param == "fake":
        return FakeRegistry()
    return MlflowRegistry(request.getfixturevalue("mlflow_uri"))


@pytest.fixture
def loop() -> str:
    return f"loop-{uuid4().hex[:12]}"  # the server is shared


@dataclass(frozen=True)
class Given:
    """Registers made-up models, one line each."""

    store: Store
    loop: str
    folder: Path

    def version(self, trigger: str) -> int:
        model = model_dir(self.folder / trigger, trigger.encode())
        return self.store.register(self.loop, trigger, model, {}, {"roc_auc": 0.7}).number


@pytest.fixture
def given(store: Store, loop: str, tmp_path: Path) -> Given:
    return Given(store, loop, tmp_path / "given")


def test_a_loop_that_nobody_registered_has_no_versions(store: Store, loop: str) -> None:
    assert store.versions(loop) == ()
    assert store.find(loop, "champion") is None
    assert store.reason(loop, "t") is None


def test_a_registered_model_is_the_challenger_and_says_where_it_came_from(
    store: Store, loop: str, tmp_path: Path
) -> None:
    model = model_dir(tmp_path / "model")
    before = datetime.now(UTC)
    metrics = {"roc_auc": 0.75, "roc_auc origin=JFK": 0.5}
    made = store.register(loop, "t1", model, {"run": "r"}, metrics)
    assert (made.loop, made.number, made.trigger) == (loop, 1, "t1")
    assert made.aliases == {"challenger"}
    assert (made.dataset, made.digest) == ("d" * 64, artifact.verify(model))
    assert made.metrics == metrics
    assert abs((made.created - before).total_seconds()) < 30
    assert store.versions(loop) == (made,)
    assert store.find(loop, "challenger") == made
    assert store.find(loop, "champion") is None


def test_a_new_version_takes_the_alias_from_the_one_before(given: Given) -> None:
    first, second = given.version("t1"), given.version("t2")
    assert [(v.number, v.trigger, v.aliases) for v in given.store.versions(given.loop)] == [
        (first, "t1", frozenset()),
        (second, "t2", {"challenger"}),
    ]


def test_the_same_trigger_gives_the_same_version_whatever_comes_with_it(given: Given, tmp_path: Path) -> None:
    store, loop = given.store, given.loop
    first = given.version("t1")
    again = store.register(loop, "t1", model_dir(tmp_path / "other", b"other"), {}, {})
    assert again.number == first
    assert again.metrics == {"roc_auc": 0.7}
    assert len(store.versions(loop)) == 1


def test_registering_again_does_not_bring_an_older_version_back(given: Given, tmp_path: Path) -> None:
    first, second = given.version("t1"), given.version("t2")
    again = given.store.register(given.loop, "t1", tmp_path / "given" / "t1", {}, {})
    assert (again.number, again.aliases) == (first, frozenset())
    challenger = given.store.find(given.loop, "challenger")
    assert challenger is not None
    assert challenger.number == second


def test_a_directory_that_is_not_true_to_its_manifest_is_not_registered(
    store: Store, loop: str, tmp_path: Path
) -> None:
    model = model_dir(tmp_path / "model")
    (model / artifact.MODEL).write_bytes(b"another model")
    with pytest.raises(ArtifactError, match="sha256"):
        store.register(loop, "t1", model, {}, {})
    assert store.versions(loop) == ()


def test_two_loops_do_not_see_each_other(given: Given, tmp_path: Path) -> None:
    given.version("t1")
    other = f"{given.loop}-b"
    given.store.register(other, "t1", tmp_path / "given" / "t1", {}, {})
    assert [v.loop for v in given.store.versions(given.loop)] == [given.loop]
    assert [v.loop for v in given.store.versions(other)] == [other]


def test_an_alias_moves_stays_and_goes(given: Given) -> None:
    store, loop = given.store, given.loop
    first, second = given.version("t1"), given.version("t2")
    for _ in range(2):
        store.alias(loop, "champion", first)
        assert [v.aliases for v in store.versions(loop)] == [{"champion"}, {"challenger"}]
    store.alias(loop, "champion", second)
    assert [v.aliases for v in store.versions(loop)] == [frozenset(), {"challenger", "champion"}]
    for _ in range(2):
        store.alias(loop, "challenger", None)
        assert [v.aliases for v in store.versions(loop)] == [frozenset(), {"champion"}]


def test_an_alias_needs_a_version_that_exists(given: Given, loop: str) -> None:
    with pytest.raises(Fatal):
        given.store.alias(loop, "champion", 1)
    given.version("t1")
    with pytest.raises(Fatal):
        given.store.alias(loop, "champion", 2)
    given.store.alias("loop-nobody-knows", "champion", None)


def test_a_rollout_is_recorded_as_often_as_one_likes(given: Given) -> None:
    number = given.version("t1")
    before = given.store.versions(given.loop)
    given.store.record(given.loop, record(number))
    given.store.record(given.loop, record(number))
    assert given.store.versions(given.loop) == before


def test_a_recorded_version_does_not_become_challenger_again(given: Given, tmp_path: Path) -> None:
    number = given.version("t1")
    given.store.alias(given.loop, "challenger", None)
    given.store.record(given.loop, record(number))
    again = given.store.register(given.loop, "t1", tmp_path / "given" / "t1", {}, {})
    assert (again.number, again.aliases) == (number, frozenset())


def test_a_record_needs_a_version_that_exists(given: Given) -> None:
    with pytest.raises(Fatal):
        given.store.record(given.loop, record(1))


def test_what_is_fetched_is_what_was_registered(given: Given, tmp_path: Path) -> None:
    first, second = given.version("t1"), given.version("t2")
    into = tmp_path / "deep" / "models" / "1"
    assert given.store.fetch(given.loop, first, into) == into
    assert (into / artifact.MODEL).read_bytes() == b"t1"
    assert artifact.verify(into) == artifact.verify(tmp_path / "given" / "t1")
    given.store.fetch(given.loop, second, into)
    assert (into / artifact.MODEL).read_bytes() == b"t2"
    assert [path.name for path in into.parent.iterdir()] == ["1"]


def test_what_the_holdout_said_is_fetched_with_the_model(store: Store, loop: str, tmp_path: Path) -> None:
    reference = Reference(2, {"accuracy": Measured(0.5, 0.4, 0.0, 1.0, 2)}, (), (), {"temp": (1.0, None)})
    model = model_dir(tmp_path / "model", reference=reference)
    number = store.register(loop, "t1", model, {}, {}).number
    into = store.fetch(loop, number, tmp_path / "models" / "1")
    assert artifact.verify(into) == artifact.verify(model)
    assert artifact.reference(into) == reference


def test_a_fetched_directory_that_was_changed_is_fetched_anew(given: Given, tmp_path: Path) -> None:
    number = given.version("t1")
    into = given.store.fetch(given.loop, number, tmp_path / "models" / "1")
    (into / artifact.MODEL).write_bytes(b"tampered")
    given.store.fetch(given.loop, number, into)
    assert (into / artifact.MODEL).read_bytes() == b"t1"
    assert [path.name for path in into.parent.iterdir()] == ["1"]


def test_a_version_that_does_not_exist_cannot_be_fetched(given: Given, tmp_path: Path) -> None:
    given.version("t1")
    with pytest.raises(Fatal):
        given.store.fetch(given.loop, 7, tmp_path / "models" / "7")
    assert not (tmp_path / "models").exists()


def test_why_a_run_registered_nothing_is_kept_and_the_latest_word_counts(store: Store, loop: str) -> None:
    store.refuse(loop, "t1", "check", "temp: 30 % nulls, allowed are 20 %")
    store.refuse(loop, "t2", "validate", "roc_auc 0.5")
    assert store.reason(loop, "t1") == ("check", "temp: 30 % nulls, allowed are 20 %")
    store.refuse(loop, "t1", "validate", "a 'second' word; ü")
    assert store.reason(loop, "t1") == ("validate", "a 'second' word; ü")
    assert store.reason(loop, "t3") is None
    assert store.versions(loop) == ()


def test_papers_are_all_that_was_kept_with_a_version(store: Store, loop: str, tmp_path: Path) -> None:
    reference = Reference(2, {"accuracy": Measured(0.5, 0.4, 0.0, 1.0, 2)}, (), (), {"temp": (1.0, None)})
    model = model_dir(tmp_path / "model", reference=reference)
    extras, kept = papers_of(tmp_path / "extras", model)
    made = store.register(loop, "t1", model, {}, {"roc_auc": 0.7}, extras)
    papers = store.papers(loop, made.number)
    assert papers.version == made
    assert papers.contract == wire.load(Contract, (model / artifact.CONTRACT).read_bytes())
    assert (papers.reference, papers.evaluation, papers.origin) == (reference, *kept)
    assert papers.rollouts == ()
    into = store.dataset(loop, made.number, tmp_path / "rows")
    assert {path.name: path.read_bytes() for path in into.iterdir()} == {
        path.name: path.read_bytes() for path in (extras / "dataset").iterdir()
    }


def test_papers_have_every_rollout_once_oldest_first(given: Given) -> None:
    number, end = given.version("t1"), record(1).ended
    first = replace(record(number), outcome="promoted", approved_by="")
    then = replace(record(number), ended=end + timedelta(days=1))
    for each in (first, then, first):
        given.store.record(given.loop, each)
    assert given.store.papers(given.loop, number).rollouts == (first, then)


def test_a_version_whose_papers_were_never_kept_has_those_there_are(given: Given, tmp_path: Path) -> None:
    number = given.version("t1")
    papers = given.store.papers(given.loop, number)
    assert (papers.reference, papers.evaluation, papers.origin, papers.rollouts) == (None, None, None, ())
    with pytest.raises(Fatal, match="not kept"):
        given.store.dataset(given.loop, number, tmp_path / "rows")
    assert not (tmp_path / "rows").exists()


def test_a_version_that_does_not_exist_has_no_papers(given: Given, tmp_path: Path) -> None:
    given.version("t1")
    with pytest.raises(Fatal):
        given.store.papers(given.loop, 7)
    with pytest.raises(Fatal):
        given.store.dataset(given.loop, 7, tmp_path / "rows")


@pytest.fixture(params=["mlflow", "fake"])
def away(request: pytest.FixtureRequest) -> Store:
    """A store that cannot be asked."""
    if request.param == "mlflow":
        return MlflowRegistry(f"http://127.0.0.1:{free_port()}")
    fake = FakeRegistry()
    fake.away = "MLflow is away"
    return fake


@pytest.mark.parametrize(
    "ask",
    [
        lambda s, _: s.versions("a"),
        lambda s, _: s.alias("a", "champion", 1),
        lambda s, _: s.alias("a", "champion", None),
        lambda s, _: s.record("a", record(1)),
        lambda s, p: s.register("a", "t", p / "model", {}, {}),
        lambda s, p: s.fetch("a", 1, p / "into"),
        lambda s, _: s.find("a", "champion"),
        lambda s, _: s.refuse("a", "t", "check", "why"),
        lambda s, _: s.reason("a", "t"),
        lambda s, _: s.papers("a", 1),
        lambda s, p: s.dataset("a", 1, p / "into"),
    ],
)
def test_a_store_that_is_away_says_so_soon(away: Store, ask: Callable[[Any, Path], object], tmp_path: Path) -> None:
    model_dir(tmp_path / "model")
    start = monotonic()
    with pytest.raises(Unavailable):
        ask(away, tmp_path)
    assert monotonic() - start < 5
    assert [path.name for path in tmp_path.iterdir()] == ["model"]
