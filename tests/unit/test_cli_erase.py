"""What an erasure does not reach: which versions were made from rows that are forgotten now."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from datetime import UTC, datetime, timedelta

import pytest

from serinus import artifact, wire
from serinus.facts import Code, Contract, Origin, Papers, Prediction, Record, Version, Window
from services.cli.erase import may_hold, told
from tests.made_up_models import model_dir

NOW = datetime(2026, 3, 1, tzinfo=UTC)


@pytest.fixture(scope="module")
def contract(tmp_path_factory: pytest.TempPathFactory) -> Contract:
    model = model_dir(tmp_path_factory.mktemp("erase") / "model")
    return wire.load(Contract, (model / artifact.CONTRACT).read_bytes())


def version(
    contract: Contract, number: int, source: str, days: tuple[float, float], kept: bool | None = True
) -> Papers:
    window = Window(*(NOW + timedelta(days=day) for day in days))
    made = replace(contract, dataset=replace(contract.dataset, source=source, window=window))
    origin = Origin("r", "drift", "{}", "d", {}, made.dataset, kept, Code("1")) if kept is not None else None
    return Papers(Version("flights", number, f"flights-drift-{number}", NOW), made, origin=origin)


def records(*days: float) -> Sequence[Record]:
    return [Record(Prediction("p", 1, NOW + timedelta(days=day), {}, 0.5, "no")) for day in days]


def test_only_versions_made_from_production_of_that_time_may_hold_them(contract: Contract) -> None:
    every = [
        version(contract, 1, "files data/", (0, 9)),
        version(contract, 2, "production of flights", (0, 3)),
        version(contract, 3, "production of flights", (2, 5)),
        version(contract, 4, "production of others", (0, 9)),
    ]

    def numbers(*days: float) -> list[int]:
        return [papers.version.number for papers in may_hold(every, records(*days))]

    assert numbers(1) == [2]
    assert numbers(1, 5) == [2, 3], "the newest row is one of them"
    assert numbers(-1, 5.001) == numbers() == []


def test_where_the_rows_are_is_said_of_each(contract: Contract) -> None:
    text = told(
        [version(contract, n, "production of flights", (0, 1), kept) for n, kept in enumerate((True, False, None))]
    )
    assert "0 (rows kept: folder dataset of the MLflow run of flights-drift-0), 1 (no rows kept), 2 (whether" in text
    assert told([]) == "No version was made from production of the time in which these predictions were answered."
