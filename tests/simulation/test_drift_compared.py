"""That the comparison of drift checks counts what tools say as it says it does, and that its page has the figures."""

from __future__ import annotations

import io
import json
import subprocess
import sys
from dataclasses import asdict
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from benchmarks.drift import ours, worlds
from benchmarks.drift.asking import Heard, Stream, heard
from benchmarks.drift.cost import spent
from benchmarks.drift.page import page
from benchmarks.drift.plots import plots
from benchmarks.drift.programs import OURS, TOOLS, Tool
from benchmarks.drift.table import EVERY, Cell, Limit, cell, tuned
from benchmarks.elsewhere.drift_wire import Look, Rows, Said, Table, serve, write_table

SHIFT = next(case for case in worlds.CASES if case.name.startswith("shift of 0.25"))
CELLS = (
    Cell("clean", OURS, False, 10, 365, 2.14, 5.0, None, None, None, None, 0.05),
    Cell("clean", "Frouros", False, 10, 365, 51.3, 71.0, None, None, None, None, 0.04),
    Cell("clean", "Frouros", True, 10, 365, 4.1, 9.0, None, None, None, None, 0.04),
    Cell(SHIFT.name, OURS, True, 40, 20, None, None, 0.975, 1.0, 1.0, 2.0, 0.05),
    Cell(SHIFT.name, "Frouros", True, 40, 20, None, None, 0.4, 0.45, None, None, 0.04),
)
KNOWN: dict[str, Any] = {
    "versions": {OURS: "0.1.0", "Frouros": "0.9.0"},
    "cells": [asdict(c) for c in CELLS],
    "costs": [
        {"tool": "Frouros", "source": "rows", "rows": 1_000_000, "runs": 3, "seconds": 12.345, "megabytes": 1234.5},
        {"tool": OURS, "source": "counters", "rows": 100_000_000, "runs": 3, "seconds": 0.987, "megabytes": 98.7},
    ],
}


def said(*figures: float) -> Heard:
    """Windows with one column, none of them in alarm by the documented rule."""
    return Heard(tuple((f,) for f in figures), tuple(False for _ in figures), 0.1)


def test_the_page_has_every_figure_and_which_versions_and_how_many_streams_they_are_of() -> None:
    text = page(KNOWN)
    assert "| clean, documented | 2.1 (5) | 51.3 (71) |" in text
    assert "| clean, same rate |  | 4.1 (9) |" in text
    assert f"| {SHIFT.name} | 1, 2 (98%, 100%) | never, never (40%, 45%) |" in text
    assert "| Frouros | 1,000,000 | 12.35 | 1,234 |" in text
    assert f"| {OURS} | 100,000,000 | 0.99 | 99 |" in text
    assert f"{OURS} 0.1.0, Frouros 0.9.0." in text
    assert "10 clean years and 40 streams" in text


def test_a_page_that_is_kept_is_what_its_figures_make() -> None:
    figures, text = (Path(__file__).parents[2] / "docs/benchmarks" / name for name in ("drift.json", "drift.md"))
    kept = [page(json.loads(figures.read_text()))] if figures.exists() else []
    assert kept == ([text.read_text()] if text.exists() else [])


def test_the_plots_are_the_same_bytes_for_the_same_cells(tmp_path: Path) -> None:
    plots(CELLS, tmp_path)
    first = {path.name: path.read_bytes() for path in tmp_path.iterdir()}
    plots(CELLS, tmp_path)
    assert set(first) == {"drift-false.svg", "drift-found.svg"}
    assert first == {path.name: path.read_bytes() for path in tmp_path.iterdir()}
    assert b"shift of 0.25 sd" in first["drift-found.svg"]


def test_the_common_rate_is_that_of_the_clean_windows_a_limit_is_tuned_on() -> None:
    rng = np.random.default_rng(1)
    clean = [said(*rng.normal(size=900).tolist()) for _ in range(2)]
    plain, scaled = (tuned(Tool("x", "x", "x", "x", one), clean) for one in (False, True))
    for limit in (plain, scaled):
        assert sum(int(limit.alarms(one).sum()) for one in clean) == 1800 // EVERY


def test_a_column_with_a_limit_of_its_own_is_measured_by_its_own_spread() -> None:
    rng = np.random.default_rng(2)
    wide = rng.normal(5, 100, size=2000)
    clean = [Heard(tuple(zip(wide.tolist(), rng.normal(size=2000).tolist(), strict=True)), (False,) * 2000, 0.1)]
    limit = tuned(Tool("x", "x", "x", "x", True), clean)
    asked = Heard(((5.0, 6.0), (105.0, 0.0), (700.0, 0.0)), (False,) * 3, 0.1)
    assert limit.alarms(asked).tolist() == [True, False, True]


def test_ties_go_to_fewer_alarms() -> None:
    limit = tuned(TOOLS[0], [said(*[0.0] * 80, *[90.0] * 10)])
    assert limit == Limit((0.0,), (1.0,), 90.0)


def test_windows_are_counted_from_the_change_and_alarms_before_it_are_not() -> None:
    early, second, never = (np.zeros(worlds.FIRST + worlds.AFTER, dtype=np.bool_) for _ in range(3))
    early[[0, worlds.FIRST]] = True
    second[worlds.FIRST + 1 :] = True
    never[: worlds.FIRST] = True
    found = cell(SHIFT, TOOLS[0], True, [early, second, never], 0.1)
    assert (found.first, found.found, found.median, found.late) == (1 / 3, 2 / 3, 2.0, None)
    assert (found.yearly, found.streams) == (None, 3)


def test_a_clean_year_is_counted_by_its_windows_in_alarm() -> None:
    quiet, loud = np.zeros(worlds.YEAR, dtype=np.bool_), np.zeros(worlds.YEAR, dtype=np.bool_)
    loud[:8] = True
    found = cell(worlds.CLEAN, TOOLS[0], False, [quiet, loud], 0.1)
    assert (found.yearly, found.worst, found.first) == (4.0, 8.0, None)


@pytest.mark.parametrize("case", worlds.CASES, ids=lambda case: case.name)
def test_a_stream_is_the_same_for_the_same_seed_and_changes_in_what_its_case_says(case: worlds.Case) -> None:
    number = worlds.FIRST + worlds.AFTER
    one, again = (list(worlds.windows(case, 3, number)) for _ in range(2))
    clean = list(worlds.windows(worlds.Case("x", alike=case.alike), 3, number))
    assert all(np.array_equal(a, b, equal_nan=True) for a, b in zip(one, again, strict=True))
    before, after = slice(0, worlds.FIRST), slice(worlds.FIRST, number)
    assert all(np.array_equal(a, b, equal_nan=True) for a, b in zip(one[before], clean[before], strict=True))
    changed = [
        {worlds.NAMES[i] for i in range(a.shape[1]) if not np.array_equal(a[:, i], b[:, i], equal_nan=True)}
        for a, b in zip(one[after], clean[after], strict=True)
    ]
    expected = {
        "shift of 0.1 sd, long tails": {"returns"},
        "5 % of rows to another category": {"plan", "score"},
        "missing values 2 % to 5 %": {"balance"},
    }.get(case.name, set() if case.clean or case.name == "nothing" else {"income", "score"})
    assert all(names == expected for names in changed)


def test_rows_like_the_one_before_are_so_and_others_are_not() -> None:
    alike, other = (worlds.reference(case, 4)[:, 0] for case in (worlds.ALIKE, worlds.CLEAN))
    correlated = [float(np.corrcoef(column[:-1], column[1:])[0, 1]) for column in (alike, other)]
    assert correlated == pytest.approx([worlds.ALIKE.alike, 0.0], abs=0.03)


def test_a_program_is_told_the_rows_and_answers_every_window() -> None:
    seen: list[float] = []

    def fit(reference: Table, rows: int | None) -> Look:
        seen.append(float(reference.rows.sum()))
        assert (reference.of("categorical"), rows) == (["b"], 2)

        def look(window: Rows) -> Said:
            return Said(tuple(window[0].tolist()), bool(window[0, 0] > 1))

        return look

    stream, answers = io.BytesIO(), list[str]()
    about = {"names": ["a", "b"], "kinds": ["numeric", "categorical"], "rows": 2}
    write_table(stream, {"reference": [3, 2], **about}, np.ones((3, 2)))
    for first in (1.0, 2.0):
        write_table(stream, {"window": [2, 2]}, np.array([[first, 0.0], [0.0, 0.0]]))
    stream.seek(0)
    serve(fit, stream, answers.append)
    assert seen == [6.0]
    told = [(a["figures"], a["drift"]) for a in map(json.loads, answers)]
    assert told == [([1.0, 0.0], False), ([2.0, 0.0], True)]


def test_programs_are_asked_side_by_side_and_answers_keep_the_order_of_their_streams() -> None:
    tool = Tool("first value", "numpy", "tests.simulation.first_value", sys.executable)
    asked = [Stream(worlds.CLEAN, seed, 2) for seed in (1, 2, 3)]
    answers = heard(tool, asked, processes=2)
    expected = [[float(w[0, 0]) for w in worlds.windows(worlds.CLEAN, seed, 2)] for seed in (1, 2, 3)]
    assert [[figures[0] for figures in one.figures] for one in answers] == expected
    assert [list(one.drift) for one in answers] == [[value > 0 for value in one] for one in expected]


def test_a_program_that_ends_is_told_with_what_to_run() -> None:
    ends = Tool("ends", "numpy", "benchmarks.drift.programs", sys.executable)
    with pytest.raises(RuntimeError, match=r"ends: expected an answer, it ended; .* -m benchmarks\.drift\.programs"):
        heard(ends, [Stream(worlds.CLEAN, 1, 1)])


def test_the_memory_that_is_measured_is_the_programs_own() -> None:
    """Measured by a small process, as it is in the benchmark: from here it would be the memory of these tests."""
    measure = "import sys; from benchmarks.drift.cost import spent; print(*spent([sys.executable, '-c', sys.argv[1]]))"
    small, large = (
        subprocess.run([sys.executable, "-c", measure, code], check=True, capture_output=True, text=True).stdout.split()
        for code in ("pass", "x = bytearray(2**27)")
    )
    assert float(large[1]) - float(small[1]) == pytest.approx(128, abs=8)
    assert float(small[0]) > 0


def test_a_program_that_fails_has_no_cost() -> None:
    with pytest.raises(RuntimeError, match=r"to end well, got 3; run it by itself"):
        spent([sys.executable, "-c", "raise SystemExit(3)"])


def test_ours_calls_a_planted_shift_drift_and_the_windows_before_it_none() -> None:
    reference = Table(worlds.NAMES, worlds.KINDS, worlds.reference(SHIFT, 5))
    look = ours.fit(reference, worlds.WINDOW)
    answers = [look(window) for window in worlds.windows(SHIFT, 5, worlds.FIRST + 2)]
    assert [one.drift for one in answers] == [False] * worlds.FIRST + [True, True]
    assert answers[-1].figures == (max(ours.APART),)


def test_a_look_at_counters_is_the_same_decision_whatever_the_number_of_requests() -> None:
    profile = ours.profiled(Table(worlds.NAMES, worlds.KINDS, worlds.reference(worlds.CLEAN, 6)))
    for requests in (1_000, 100_000):
        known = ours.counters(profile, requests, 7)
        assert sum(known.whole["score"].values()) == requests
        assert not ours.found(ours.SPEC, known.profile, known.whole, known.parts, known.before)
