"""One look of the quality job, with a real model over a real database of records."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, replace
from datetime import datetime, timedelta
from pathlib import Path

import pytest

from serinus.adapters.fakes.ledger import FakeLedger
from serinus.adapters.fakes.registry import FakeRegistry
from serinus.adapters.records_sql import SqlRecords
from serinus.decide import fairness
from serinus.errors import SpecError
from serinus.facts import QualityFinding, Request, TallyQuestion
from serinus.spec import ModelLoop, QualitySpec
from services.quality import job
from tests.production_cases import DAY, Made, day, make, opened, serve

LATE = day(30)


@pytest.fixture(scope="module")
def made(tmp_path_factory: pytest.TempPathFactory) -> Made:
    return make(tmp_path_factory.mktemp("made"))


@dataclass
class World:
    """A loop whose version 1 serves, and what the job sees of it."""

    made: Made
    folder: Path
    ledger: FakeLedger
    store: FakeRegistry
    records: SqlRecords

    def check(self, now: datetime, spec: ModelLoop | None = None) -> QualityFinding:
        return job.check(spec or self.made.spec, self.ledger, self.store, self.records, now, models=self.folder)

    @property
    def asked(self) -> tuple[Request, ...]:
        return self.ledger.read(self.made.spec.name).requests


@pytest.fixture
def world(made: Made, tmp_path: Path) -> Iterator[World]:
    records, engine = opened(tmp_path, LATE)
    world = World(made, tmp_path / "models", FakeLedger(), FakeRegistry(), records)
    world.store.register(made.spec.name, "first", made.directory, {}, {})
    entry = world.ledger.read(made.spec.name)
    world.ledger.write(made.spec.name, replace(entry.status, champion=1), [], entry.revision)
    yield world
    engine.dispose()


def quality(spec: ModelLoop) -> QualitySpec:
    assert spec.spec.quality is not None
    return spec.spec.quality


def test_a_version_that_is_as_good_as_on_its_holdout_passes_and_the_ledger_has_it(world: World) -> None:
    for number in range(4):
        serve(world.made, world.records, number)
    found = world.check(day(5))
    assert found.verdict.outcome == "pass", found.verdict.reason
    assert [w.window.start for w in found.windows] == [day(n) for n in range(4)]
    assert [w.mature for w in found.windows] == [True] * 4
    assert (found.change, found.metric, found.version) == (None, "accuracy", 1)
    name = f"quality-1-{day(5):%Y%m%dT%H%M%S}.000000Z"
    assert world.asked == (Request(name, "quality", day(5), "quality job", 1, found.verdict.reason, quality=found),)


def test_truths_that_turned_at_the_same_inputs_are_found_and_called_concept_drift(world: World) -> None:
    for number in range(16):
        serve(world.made, world.records, number, turned=number >= 10)
    before, after = world.check(day(11)), world.check(day(17))
    assert before.verdict.outcome == "pass", before.verdict.reason
    assert after.verdict.outcome == "fail", after.verdict.reason
    assert after.change is not None
    assert after.change.kind == "concept", after.change.reason
    assert job.shown(after)[2].startswith("concept: ")


def test_windows_whose_labels_are_to_come_are_not_judged(world: World) -> None:
    serve(world.made, world.records, 0, labelled=0.1)
    assert world.check(day(1) + timedelta(hours=1)).verdict.outcome == "undecided"
    assert world.check(day(3)).verdict.outcome == "undecided"


def test_a_look_goes_back_ninety_windows_that_begin_at_the_same_times_whenever_one_looks(world: World) -> None:
    asked = [
        job.question(world.made.spec, quality(world.made.spec), 1, day(100) + timedelta(hours=h)) for h in (0, 7, 23)
    ]
    assert asked == [TallyQuestion(day(11), day(101), 86400.0, 1)] * 3


def test_how_differently_groups_were_treated_is_in_the_finding_for_windows_whose_labels_had_time(world: World) -> None:
    rules = world.made.spec.spec.validation
    asked = {"groups": ["shop", "region"], "metric": "demographicParity", "maxGap": 0.1, "minRows": 20}
    validation = type(rules).model_validate({**rules.model_dump(by_alias=True, exclude_unset=True), "fairness": asked})
    fair = world.made.spec.model_copy(
        update={"spec": world.made.spec.spec.model_copy(update={"validation": validation})}
    )
    serve(world.made, world.records, 0)
    early = world.check(day(1), fair)
    assert early.fairness == ()
    (gap,) = world.check(day(3), fair).fairness
    assert (gap.column, gap.metric, gap.groups) == ("shop", "demographicParity", {})
    assert 0 <= gap.low <= gap.gap <= gap.high <= 1
    alone = fairness.gaps(fair, 1, world.records.tally(fair.name, job.question(fair, quality(fair), 1, day(3))), None)
    assert alone == (), "a model without a class that its scores are of"
    assert world.check(day(3)).fairness == ()


def test_without_a_champion_there_is_nothing_to_judge_and_nothing_is_left(world: World) -> None:
    world.ledger = FakeLedger()
    found = world.check(LATE)
    assert (found.version, found.verdict.outcome, world.asked) == (0, "undecided", ())


def test_a_store_that_is_away_is_an_error_that_is_left_in_the_ledger(world: World) -> None:
    world.store.away = "MLflow does not answer"
    found = world.check(LATE)
    assert (found.verdict.outcome, found.version) == ("error", 1)
    assert "MLflow does not answer" in found.verdict.reason
    assert [request.quality for request in world.asked] == [found]


def test_a_version_made_without_a_reference_cannot_be_judged(world: World, tmp_path: Path) -> None:
    bare = make(tmp_path / "bare", referenced=False, rows=1200)
    world.store.register(bare.spec.name, "second", bare.directory, {}, {})
    entry = world.ledger.read(bare.spec.name)
    world.ledger.write(bare.spec.name, replace(entry.status, champion=2), [], entry.revision)
    found = world.check(LATE)
    assert found.verdict.outcome == "undecided"
    assert "made without a reference" in found.verdict.reason


def test_a_loop_without_quality_is_not_looked_at(world: World) -> None:
    spec = world.made.spec.model_copy(update={"spec": world.made.spec.spec.model_copy(update={"quality": None})})
    with pytest.raises(SpecError, match=r"spec\.quality"):
        world.check(LATE, spec)


def test_the_same_look_twice_is_one_request(world: World) -> None:
    serve(world.made, world.records, 0)
    assert world.check(day(3) + DAY) == world.check(day(3) + DAY)
    assert len(world.asked) == 1
