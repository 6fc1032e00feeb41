"""That the page of methods says what its simulations found, and that these are still what the code gives."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from tools.statistics import __main__ as statistics
from tools.statistics.section import Section

DOCS = Path(__file__).parents[2] / "docs"
FOUND = statistics.kept(DOCS)
QUICK = ("bound", "repeated", "expected")


def test_the_page_is_what_its_figures_make_of_it() -> None:
    assert (DOCS / statistics.PAGE).read_text() == statistics.page(FOUND)


@pytest.mark.parametrize("section", statistics.SECTIONS, ids=lambda s: s.name)
def test_every_plot_is_what_its_figures_make_of_it_and_is_shown(section: Section, tmp_path: Path) -> None:
    statistics.plot(section, FOUND[section.name], tmp_path)
    name = f"{section.name}.svg"
    assert (tmp_path / name).read_bytes() == (DOCS / statistics.FOLDER / name).read_bytes()
    assert f"]({statistics.FOLDER}/{name})" in (DOCS / statistics.PAGE).read_text()


@pytest.mark.parametrize("name", QUICK)
def test_a_simulation_that_takes_seconds_still_finds_what_is_kept(name: str) -> None:
    section = next(s for s in statistics.SECTIONS if s.name == name)
    assert json.loads(json.dumps(section.found())) == FOUND[name]
