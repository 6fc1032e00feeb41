"""Predictions and labels for the suite of Recorder and Records, short to write down."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from datetime import UTC, datetime, timedelta
from typing import Protocol

from serinus.facts import Label, Prediction, Record, Taken, Value, Window
from serinus.ports import Recorder, Records

NOW = datetime(2026, 1, 2, 3, 4, 5, 678901, tzinfo=UTC)
ALWAYS = Window(NOW - timedelta(days=400), NOW + timedelta(days=400))


class Both(Recorder, Records, Protocol):
    """What the suite is about: one object that is both ports."""


Open = Callable[[str], Both]
"""The ports of a namespace; all of them together have one database."""


def later(minutes: float) -> datetime:
    return NOW + timedelta(minutes=minutes)


def prediction(
    name: str = "p",
    minutes: float = 0,
    answer: str = "yes",
    score: float = 0.75,
    key: str = "",
    version: int = 1,
    features: Mapping[str, Value] | None = None,
) -> Prediction:
    return Prediction(name, version, later(minutes), features or {}, score, answer, key)


def label(truth: str | float = "yes", minutes: float = 10, id: str = "", key: str = "") -> Label:
    return Label(truth, later(minutes), id, key)


def said(answer: Taken) -> tuple[dict[str, int], int]:
    """Outcomes that came about, and how many sentences were said."""
    return {name: count for name, count in answer.outcomes.items() if count}, len(answer.problems)


def truths(records: Both, *ids: str, loop: str = "a") -> list[str | float | None]:
    """What is known of these predictions, in this order; fails when one of them is not held."""
    found: dict[str, Record] = {record.prediction.id: record for record in records.find(loop, ids)}
    return [found[name].truth for name in ids]
