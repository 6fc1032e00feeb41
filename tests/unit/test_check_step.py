from __future__ import annotations

from dataclasses import replace
from datetime import timedelta
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest

from serinus import sources, wire
from serinus.decide.data import Column, Measured, Part
from serinus.errors import ArtifactError, GateFailed
from serinus.facts import Dataset
from serinus.spec import ModelLoop
from serinus.steps import check, train
from tests import data_sets

QUICK = {"estimator": "logistic-regression"}


def taken(frame: pd.DataFrame, spec: ModelLoop, folder: Path) -> Dataset:
    return sources.snapshot(frame, "made up", spec.spec.data.time, folder)


def shares(labels: pd.Series[Any]) -> dict[str, int]:
    return {kind: int((labels == kind).sum()) for kind in ("kept", "returned")}


@pytest.mark.parametrize("make", [data_sets.binary, data_sets.multiclass, data_sets.regression])
def test_good_rows_pass_and_leave_a_report_and_a_page(make: object, tmp_path: Path) -> None:
    spec, frame = make()  # type: ignore[operator]
    about = taken(frame, spec, tmp_path / "data")
    report = check.run(spec.model_dump_json(), tmp_path / "data", None, tmp_path / "out", data_sets.END)
    assert (report.loop, report.dataset, report.verdict.outcome) == (spec.name, about, "pass")
    assert wire.load(check.CheckReport, (tmp_path / "out" / "check.json").read_bytes()) == report
    assert "data check" in (tmp_path / "out" / "check.html").read_text(encoding="utf-8")


def test_everything_wrong_is_said_at_once_and_kept(tmp_path: Path) -> None:
    checks = {"minRows": 5000, "maxAge": "1d", "ranges": {"price": [0, 1]}, "maxNullFraction": 0.01}
    spec, frame = data_sets.binary(data={"checks": checks})
    frame.loc[3, "price"] = np.inf
    taken(frame, spec, tmp_path / "data")
    late = data_sets.END + timedelta(days=2)
    with pytest.raises(GateFailed) as caught:
        check.run(spec.model_dump_json(), tmp_path / "data", None, tmp_path / "out", late)
    report = wire.load(check.CheckReport, (tmp_path / "out" / "check.json").read_bytes())
    bad = [finding for finding in report.findings if not finding.passed]
    assert [(finding.check, finding.column) for finding in bad] == [
        ("rows", ""), ("freshness", "sold at"), ("nulls", "weight"), ("finite", "price"), ("nulls", "shop"),
        ("range", "price"),
    ]  # fmt: skip
    assert caught.value.gate == "check"
    assert caught.value.reasons == [finding.reason for finding in bad]
    assert str(caught.value).startswith("check failed: The window has 1200 rows; ")
    assert "The window has 1200 rows" in (tmp_path / "out" / "check.html").read_text(encoding="utf-8")


def test_everything_is_measured_as_it_is_in_the_rows(tmp_path: Path) -> None:
    spec, frame = data_sets.binary(rows=200)
    frame.loc[frame.index[:20], "fate"] = None
    frame.loc[0, "price"], frame.loc[1, "price"], frame.loc[2, "price"] = np.inf, 0.25, -1.0
    frame.loc[[10, 11]] = frame.loc[[9, 9]].to_numpy()  # a row thrice: two copies
    frame = frame.astype({"weight": float, "price": float, "sold at": "datetime64[us, UTC]"})
    about = taken(frame, spec, tmp_path / "data")
    rows, _ = sources.open_snapshot(tmp_path / "data")
    labelled = frame[frame["fate"].notna()]
    newer = labelled["sold at"] > data_sets.END - timedelta(days=6)
    assert check.measure(spec, rows, about, None) == Measured(
        rows=200,
        columns={
            "fate": Column("string", 0.1),
            "price": Column("double", 0.0, -1.0, np.inf, 1),
            "shop": Column("string", float(frame["shop"].isna().mean())),
            "sold at": Column("timestamp[us, tz=UTC]", 0.0),
            "weight": Column(
                "double",
                float(frame["weight"].isna().mean()),
                float(frame["weight"].min()),
                float(frame["weight"].max()),
            ),
        },
        duplicates=0.01,
        newest=data_sets.END,
        train=Part(int((~newer).sum()), shares(labelled["fate"][~newer])),
        holdout=Part(int(newer.sum()), shares(labelled["fate"][newer])),
    )


def test_a_column_that_is_not_there_is_a_finding_and_no_crash(tmp_path: Path) -> None:
    spec, frame = data_sets.binary()
    taken(frame.drop(columns=["fate"]), spec, tmp_path / "data")
    with pytest.raises(GateFailed, match="Column fate: expected, found price, shop, sold at, weight"):
        check.run(spec.model_dump_json(), tmp_path / "data", None, tmp_path / "out", data_sets.END)


def test_categories_are_unseen_when_the_champion_never_met_them(tmp_path: Path) -> None:
    spec, frame = data_sets.binary(training=QUICK)
    taken(frame, spec, tmp_path / "old")
    train.run(spec.model_dump_json(), "", tmp_path / "old", tmp_path / "champion")
    frame.loc[frame.index % 10 == 0, "shop"] = "kiosk & co"
    frame.loc[frame.index % 100 == 1, "shop"] = "van"
    taken(frame, spec, tmp_path / "new")
    loop = spec.model_dump_json()
    assert check.run(loop, tmp_path / "new", None, tmp_path / "out", data_sets.END).verdict.outcome == "pass"
    with pytest.raises(GateFailed) as caught:
        check.run(loop, tmp_path / "new", tmp_path / "champion", tmp_path / "out", data_sets.END)
    assert caught.value.reasons == [
        "Column shop: 11.0% of the rows have a category that the champion never saw (kiosk & co, van); "
        "checks.maxUnseenFraction allows 5.0%."
    ]
    assert "kiosk &amp; co" in (tmp_path / "out" / "check.html").read_text(encoding="utf-8")


def test_a_champion_that_was_changed_is_not_asked(tmp_path: Path) -> None:
    spec, frame = data_sets.binary(training=QUICK)
    taken(frame, spec, tmp_path / "data")
    train.run(spec.model_dump_json(), "", tmp_path / "data", tmp_path / "champion")
    contract = tmp_path / "champion" / "contract.json"
    contract.write_bytes(contract.read_bytes().replace(b"north", b"souht"))
    with pytest.raises(ArtifactError, match=r"contract\.json"):
        check.run(spec.model_dump_json(), tmp_path / "data", tmp_path / "champion", tmp_path / "out", data_sets.END)


def test_a_categorys_type_change_is_the_schemas_business(tmp_path: Path) -> None:
    """The champion's numeric feature has no categories, so nothing of the new text column is unseen."""
    spec, frame = data_sets.binary(training=QUICK)
    about = taken(frame, spec, tmp_path / "data")
    train.run(spec.model_dump_json(), "", tmp_path / "data", tmp_path / "champion")
    champion = check._contract(tmp_path / "champion")
    frame["weight"] = "heavy"
    schema = replace(about, schema={**about.schema, "weight": "string"})
    assert check.measure(spec, frame, schema, champion).columns["weight"] == Column("string", 0.0)
