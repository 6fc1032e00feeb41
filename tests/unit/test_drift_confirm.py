"""A second look at drift, with a real model over a real database of records."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from serinus import artifact
from serinus.adapters.records_sql import SqlRecords
from serinus.errors import Unavailable
from serinus.facts import DriftFinding, Reference, Verdict, Window
from serinus.spec import Confirm
from services.drift import confirm
from tests.production_cases import Made, day, make, opened, serve

BAD = DriftFinding(1, Window(day(0), day(1)), 400, Verdict("drift", "fail", "weight drifted"))
TABULAR = Confirm(detector="tabular", rows=300)


@pytest.fixture(scope="module")
def made(tmp_path_factory: pytest.TempPathFactory) -> Made:
    return make(tmp_path_factory.mktemp("made"), rows=1500)


@pytest.fixture
def records(tmp_path: Path) -> Iterator[SqlRecords]:
    found, engine = opened(tmp_path, day(9))
    yield found
    engine.dispose()


def second(made: Made, records: SqlRecords, finding: DriftFinding = BAD, **collect: Any) -> DriftFinding:
    spec = made.spec.model_copy(
        update={"spec": made.spec.spec.model_validate({**made.spec.spec.model_dump(by_alias=True), "collect": collect})}
    )
    return confirm.second_look(spec, TABULAR, known(made), finding, lambda: records)


def known(made: Made) -> Reference:
    found = artifact.reference(made.directory)
    assert found is not None
    return found


def test_rows_that_moved_confirm_it(made: Made, records: SqlRecords) -> None:
    serve(made, records, 0, heavy=True)
    found = second(made, records)
    assert found.verdict.outcome == "fail"
    assert "confirmed by tabular on 300 rows against 300 of training" in found.verdict.reason


def test_rows_like_those_of_training_do_not(made: Made, records: SqlRecords) -> None:
    serve(made, records, 0)
    found = second(made, records)
    assert found.verdict.outcome == "undecided"
    assert found.verdict.figures["confirm_p"] > 0.05
    assert found.verdict.reason.endswith("weight drifted")


def test_rows_of_another_version_or_day_are_none(made: Made, records: SqlRecords) -> None:
    serve(made, records, 0, heavy=True, version=2)
    serve(made, records, 1, heavy=True)
    found = second(made, records)
    assert found.verdict.outcome == "undecided"
    assert "no column is kept as it was served" in found.verdict.reason


def test_what_is_kept_as_hashes_is_not_compared(made: Made, records: SqlRecords) -> None:
    serve(made, records, 0, heavy=True)
    hashed = second(made, records, hash=["weight"])
    assert hashed.verdict.outcome == "undecided"
    assert "not confirmed by tabular" in hashed.verdict.reason
    everything = second(made, records, hash=["weight", "price", "shop"])
    assert "collect.hash" in everything.verdict.reason


def test_too_few_rows_decide_nothing(made: Made, records: SqlRecords) -> None:
    serve(made, records, 0, rows=99)
    assert "99 rows against 300 of training" in second(made, records).verdict.reason


def test_a_version_without_a_reference_and_a_collector_that_is_away(made: Made, records: SqlRecords) -> None:
    bare = confirm.second_look(made.spec, TABULAR, None, BAD, lambda: records)
    assert (bare.verdict.outcome, "without a reference" in bare.verdict.reason) == ("undecided", True)

    def away() -> SqlRecords:
        raise Unavailable("the collector does not answer")

    for open_ in (None, away):
        found = confirm.second_look(made.spec, TABULAR, known(made), BAD, open_)
        assert found.verdict.outcome == "error"
    empty = replace(known(made), sample={})
    serve(made, records, 0)
    assert confirm.second_look(made.spec, TABULAR, empty, BAD, lambda: records).verdict.outcome == "undecided"
