"""What every Records promises of its counting; a part of the suite in records_suite.py."""

from __future__ import annotations

from datetime import timedelta
from typing import Any

import pytest

from serinus.facts import BINS, Cell, ErrorSums, Tally, TallyQuestion, Value, Window
from tests.contract.records_cases import NOW, Both, label, later, prediction

HOUR = 3600.0


def near(number: float) -> Any:
    """Sums differ in their last digits by the order of their rows."""
    return pytest.approx(number)


def question(
    hours: float = 1, every: float = HOUR, columns: tuple[str, ...] = (), regression: bool = False
) -> TallyQuestion:
    return TallyQuestion(NOW, NOW + timedelta(hours=hours), every, None, columns, regression)


class TallyPromises:
    """Cells of classifications, sums of regressions, by window, version and slice."""

    def test_rows_that_agree_are_one_cell(self, records: Both) -> None:
        scores = {"p": 0.75, "q": 0.755, "r": 0.75, "s": 0.25, "t": 0.75}
        records.add("a", [prediction(name, score=score) for name, score in scores.items()])
        records.label("a", [label(id="p"), label(id="q"), label("no", id="r"), label(id="s")])
        (tally,) = records.tally("a", question())
        assert tally == Tally(
            1,
            Window(NOW, later(60)),
            5,
            4,
            (
                Cell("no", "yes", 75, 1, 0.75, 0.5625),
                Cell("yes", "yes", 25, 1, 0.25, 0.0625),
                Cell("yes", "yes", 75, 2, near(1.505), near(0.75**2 + 0.755**2)),
                Cell(None, "yes", 75, 1, 0.75, 0.5625),
            ),
        )

    def test_windows_are_half_open_and_those_without_rows_left_out(self, records: Both) -> None:
        minutes = {"before": -0.001, "first": 0, "last": 59.999, "second": 60, "fourth": 180, "after": 210}
        records.add("a", [prediction(name, at) for name, at in minutes.items()])
        found = [(tally.window, tally.rows) for tally in records.tally("a", question(3.5))]
        assert found == [
            (Window(later(0), later(60)), 2),
            (Window(later(60), later(120)), 1),
            (Window(later(180), later(210)), 1),  # the end cuts it
        ]
        assert records.tally("b", question(3.5)) == ()

    def test_windows_are_exact_to_the_microsecond(self, records: Both) -> None:
        tick = timedelta(microseconds=1)
        times = [NOW + timedelta(seconds=0.1) * n + d for n in range(1, 4) for d in (-tick, tick * 0)]
        base = prediction()
        records.add("a", [type(base)(str(n), 1, at, {}, 0.5, "yes") for n, at in enumerate(times)])
        found = records.tally("a", TallyQuestion(NOW, NOW + timedelta(seconds=1), 0.1))
        assert [tally.rows for tally in found] == [1, 2, 2, 1]

    def test_versions_are_counted_apart_and_one_may_be_asked_for(self, records: Both) -> None:
        records.add("a", [prediction(str(n), 60 * (n // 2), version=2 - n % 2) for n in range(4)])
        found = records.tally("a", question(2))
        assert [(tally.window.start, tally.version) for tally in found] == [
            (later(0), 1),
            (later(0), 2),
            (later(60), 1),
            (later(60), 2),
        ]
        only = TallyQuestion(NOW, later(120), HOUR, version=2)
        assert records.tally("a", only) == tuple(tally for tally in found if tally.version == 2)

    def test_a_scores_bin_goes_by_its_true_edges(self, records: Both) -> None:
        edges = [n / BINS for n in range(BINS + 1)]
        below = [n / BINS - 2**-53 for n in range(1, BINS + 1)]
        records.add("a", [prediction(f"edge-{n}", score=score) for n, score in enumerate(edges)])
        records.add("a", [prediction(f"below-{n}", score=score) for n, score in enumerate(below)])
        (tally,) = records.tally("a", question())
        # Each bin holds its lower edge and what is a little below its upper one; the last also holds 1.
        rows = {cell.bin: cell.rows for cell in tally.cells}
        expected = dict.fromkeys(range(BINS), 0)
        for score in [*edges, *below]:
            expected[max(b for b in range(BINS) if b / BINS <= score)] += 1
        assert rows == expected

    def test_scores_too_small_to_be_squared_are_counted(self, records: Both) -> None:
        records.add("a", [prediction("p", score=5e-324), prediction("q", score=1e-200), prediction("r", score=0.0)])
        (tally,) = records.tally("a", question())
        assert [(cell.bin, cell.rows, cell.squares) for cell in tally.cells] == [(0, 3, 0.0)]

    def test_late_and_changed_labels_are_in_the_next_tally(self, records: Both) -> None:
        records.add("a", [prediction("p"), prediction("q", key="k")])

        def known() -> list[tuple[str | None, int]]:
            return [(cell.truth, cell.rows) for cell in records.tally("a", question())[0].cells]

        assert known() == [(None, 2)]
        records.label("a", [label("no", 10, id="p")])
        assert known() == [("no", 1), (None, 1)]
        records.label("a", [label("yes", 11, id="p"), label("yes", key="k")])
        assert known() == [("yes", 2)]
        records.erase("a", ["p"])
        assert known() == [("yes", 1)]

    def test_slices_are_counted_by_the_values_of_their_column(self, records: Both) -> None:
        rows: list[dict[str, Value]] = [
            {"city": "Zürich", "n": 1.0},
            {"city": "Zürich", "n": 2.5},
            {"city": None, "n": 1.0},
            {'o"d\\d': "x"},
        ]
        records.add("a", [prediction(str(n), features=row) for n, row in enumerate(rows)])
        records.label("a", [label(id="0")])
        columns = ("city", "n", 'o"d\\d')
        found = [(t.column, t.value, t.rows, t.labelled) for t in records.tally("a", question(columns=columns))]
        assert found == [
            ("", "", 4, 1),
            ("city", "Zürich", 2, 1),
            ("city", "null", 2, 0),
            ("n", "1", 2, 1),
            ("n", "2.5", 1, 0),
            ("n", "null", 1, 0),
            ('o"d\\d', "null", 3, 1),
            ('o"d\\d', "x", 1, 0),
        ]

    def test_slices_of_several_windows_and_versions_are_apart(self, records: Both) -> None:
        records.add("a", [prediction(str(n), 60 * n, version=1 + n, features={"c": "x"}) for n in range(2)])
        found = records.tally("a", question(2, columns=("c",)))
        assert [(t.column, t.version, t.window.start, t.rows) for t in found] == [
            ("", 1, later(0), 1),
            ("", 2, later(60), 1),
            ("c", 1, later(0), 1),
            ("c", 2, later(60), 1),
        ]

    def test_errors_of_a_regression_are_summed(self, records: Both) -> None:
        records.add("a", [prediction(name, answer="", score=s) for name, s in {"p": 3.0, "q": 1.0, "r": 9.0}.items()])
        records.label("a", [label(1.0, id="p"), label("4", id="q")])
        (tally,) = records.tally("a", question(regression=True))
        # The errors are 2 and -3.
        assert tally == Tally(1, Window(NOW, later(60)), 3, 2, (), ErrorSums(2, -1.0, 5.0, 13.0, 97.0))

    def test_a_regression_without_truth_has_sums_of_nothing(self, records: Both) -> None:
        records.add("a", [prediction(answer="", features={"c": "x"})])
        found = records.tally("a", question(regression=True, columns=("c",)))
        assert [(t.rows, t.labelled, t.errors, t.value) for t in found] == [
            (1, 0, ErrorSums(), ""),
            (1, 0, ErrorSums(), "x"),
        ]

    def test_the_largest_and_the_smallest_errors_are_numbers(self, records: Both) -> None:
        records.add("a", [prediction("big", 0, "", 1e70), prediction("small", 60, "", 1e-90)])
        records.label("a", [label(-1e70, id="big"), label(0.0, id="small")])
        big, small = (tally.errors for tally in records.tally("a", question(2, regression=True)))
        assert big == ErrorSums(1, 2e70, 2e70, near(4e140), near(1.6e281))
        assert small == ErrorSums(1, 0.0, 0.0, 0.0, 0.0)
