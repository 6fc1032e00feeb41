"""Evidently on a window: DataDriftPreset with its defaults, a report of reference and window.

With over 1,000 rows of reference that is the Wasserstein distance in standard deviations for numbers and the
Jensen-Shannon distance for categories, a column drifted from 0.1, the table when half of its columns are. A report
takes seconds, most of it for the pictures: it is asked for the first window of all, and must say what Evidently's own
tests say of the columns; the windows after it are those tests alone.
Environment: evidently.txt; how to talk to it: drift_wire.py.
"""

from __future__ import annotations

import os
import sys

os.environ["DO_NOT_TRACK"] = "1"  # before the import: it sends nothing anywhere

import pandas as pd
from evidently import DataDefinition, Dataset, Report
from evidently.legacy.calculations.stattests import get_stattest
from evidently.presets import DataDriftPreset

from benchmarks.elsewhere.drift_frames import frame
from benchmarks.elsewhere.drift_wire import Look, Rows, Said, Table, main

KINDS = {"numeric": "num", "categorical": "cat"}  # as it calls them
compared: list[Said] = []


def fit(reference: Table, rows: int | None) -> Look:
    """The preset's report for one look, or for the first of all."""
    known = frame(reference.rows, reference)

    def look(window: Rows) -> Said:
        asked = frame(window, reference)
        if rows is None:
            return _report(known, asked, reference)
        said = _tests(known, asked, reference)
        if not compared:
            report = _report(known, asked, reference)
            if report.drift != said.drift or max(map(_apart, report.figures, said.figures)) > 1e-9:
                raise ValueError(f"expected the report to say what the tests do, {said}, got {report}")
            compared.append(said)
        return said

    return look


def _report(known: pd.DataFrame, asked: pd.DataFrame, like: Table) -> Said:
    columns = DataDefinition(numerical_columns=like.of("numeric"), categorical_columns=like.of("categorical"))
    sets = [Dataset.from_pandas(frame, data_definition=columns) for frame in (asked, known)]
    figures, drift = {}, False
    for metric in Report([DataDriftPreset()]).run(*sets).dict()["metrics"]:
        about = metric["config"]
        if about["type"].endswith("DriftedColumnsCount"):
            drift = float(metric["value"]["share"]) >= about["drift_share"]
        else:
            figures[about["column"]] = float(metric["value"])
    return Said(tuple(figures[name] for name in like.names), drift)


def _tests(known: pd.DataFrame, asked: pd.DataFrame, like: Table) -> Said:
    found = []
    for name, kind in zip(like.names, like.kinds, strict=True):
        before, now = known[name].dropna(), asked[name].dropna()
        found.append(get_stattest(before, now, KINDS[kind], None)(before, now, KINDS[kind], None))
    drifted = sum(bool(one.drifted) for one in found)
    return Said(tuple(float(one.drift_score) for one in found), drifted >= 0.5 * len(found))


def _apart(one: float, other: float) -> float:
    return abs(one - other)


if __name__ == "__main__":
    main(fit, sys.argv[1:])
