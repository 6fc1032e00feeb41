"""That the page of the comparison says what its cells say."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

from benchmarks.judges import watch
from benchmarks.judges.page import kept, page, plots
from benchmarks.judges.table import CASES, COMPARED, OURS, Cell
from benchmarks.judges.watch import HELD, WatchCell

GOOD = Cell("constant, 5/s", OURS, False, 400, 0.005, 0.016, 0.01, 0.985, 0.99, 600.0, 900.0, 0.0, 0.1)
WORSE = Cell("twice as slow, 50/s", OURS, True, 400, 0.9, 0.92, 0.0, 0.1, 0.12, 40.0, 55.0, 812.4, 0.1)
CELLS = (
    GOOD,
    replace(GOOD, rule="Flagger", rolled_back=0.182, rolled_back_at_most=0.217, timed_out=0.0, median=420.0),
    WORSE,
    replace(WORSE, rule="Flagger", promoted=1.0, median=None, late=None, hurt=6727.0),
)


def test_the_page_has_every_figure_and_sets_apart_rules_that_throw_good_canaries_back() -> None:
    text = page(CELLS)
    assert "| constant, 5/s | 0.5% (≤ 1.6%) [1.0%] | **18.2% (≤ 21.7%)** |" in text
    assert "| constant, 5/s | 600 s | 420 s |" in text
    assert "| twice as slow, 50/s | 10.0% | 100.0% |" in text
    assert "| twice as slow, 50/s | 40 s, 55 s | never, never |" in text
    assert "| twice as slow, 50/s | 812 | 6,727 |" in text
    assert "400 seeds a cell" in text
    assert f"in every world above: {OURS}." in text
    assert "60 to 400 seeds" in page((*CELLS[1:], replace(GOOD, seeds=60)))


def test_a_world_of_ours_alone_is_in_the_table_of_all_worlds_and_in_no_comparison() -> None:
    text = page((*CELLS, replace(GOOD, case="counter resets")))
    compared, every = text.split(f"## {OURS} in every world")
    assert "counter resets" not in compared
    assert "| counter resets | 0.5% (≤ 1.6%) | 1.0% | 98.5% | 600 s, 900 s |" in every
    assert "| twice as slow, 50/s | 90.0% (≤ 92.0%) | 0.0% | 10.0% | 40 s, 55 s |" in every
    assert {case.name for case in CASES} >= COMPARED


def test_what_becomes_of_versions_after_their_promotion_is_beside_what_does_where_nothing_is_held_back() -> None:
    held = WatchCell("constant, 5/s", HELD, False, 200, 198, 0.0, 0.015, None, None, 0.0)
    worse = WatchCell("constant answers, 50/s", HELD, True, 200, 200, 0.99, 1.0, 54.0, 150.0, 2415.3)
    text = page(CELLS, (held, replace(held, holdback=0, back=0.83, back_at_most=0.87), worse))
    assert f"| | {HELD} % held back | nothing held back |" in text
    assert "| constant, 5/s | 0.0% (≤ 1.5%) | 83.0% (≤ 87.0%) |" in text
    assert "| constant answers, 50/s | 99.0%; 54 s, 150 s; 2,415 |  |" in text
    assert "After the promotion\n" not in page(CELLS)


def test_the_plots_are_the_same_bytes_for_the_same_cells(tmp_path: Path) -> None:
    plots(CELLS, tmp_path)
    first = {path.name: path.read_bytes() for path in tmp_path.iterdir()}
    plots(CELLS, tmp_path)
    assert set(first) == {"judges-false.svg", "judges-hurt.svg"}
    assert first == {path.name: path.read_bytes() for path in tmp_path.iterdir()}
    assert b"twice as slow" in first["judges-hurt.svg"]


def test_the_page_and_plots_in_docs_are_what_the_cells_beside_them_make(tmp_path: Path) -> None:
    docs = Path(__file__).parents[2] / "docs" / "benchmarks"
    cells = kept(docs / "judges.json")
    assert (docs / "judges.md").read_text() == page(cells, watch.cells(docs / "watch.json"))
    plots(cells, tmp_path)
    for name in ("judges-false.svg", "judges-hurt.svg"):
        assert (docs / name).read_bytes() == (tmp_path / name).read_bytes()
