"""The page docs/statistics.md: simulations, plots, text. See the package for how to call it."""

from __future__ import annotations

import argparse
import json
import sys
import time
from collections.abc import Mapping
from pathlib import Path

import jinja2
from matplotlib.figure import Figure

from tools.statistics import drift, gates, judge, quality
from tools.statistics.section import Figures, Section
from tools.svg import save

SECTIONS: tuple[Section, ...] = (*judge.SECTIONS, *drift.SECTIONS, *gates.SECTIONS, *quality.SECTIONS)
DOCS = Path("docs")
PAGE, FOLDER, KEPT = "statistics.md", "statistics", "figures.json"


def page(found: Mapping[str, Figures]) -> str:
    """The page as Markdown, its numbers from `found`: figures of every section by name."""
    loader = jinja2.FileSystemLoader(Path(__file__).parent)
    environment = jinja2.Environment(
        loader=loader,
        undefined=jinja2.StrictUndefined,
        keep_trailing_newline=True,
        autoescape=jinja2.select_autoescape(),  # of HTML; this is Markdown
    )
    environment.filters["percent"] = lambda share: f"{100 * share:.3g} %"
    return environment.get_template("page.md.j2").render(f=found)


def plot(section: Section, figures: Figures, into: Path) -> None:
    """The section's plot as SVG: the same bytes for the same figures."""
    figure = Figure(figsize=(7, 3.6), layout="constrained")
    axes = figure.subplots()
    section.draw(axes, figures)
    axes.grid(alpha=0.3)
    axes.legend(fontsize="small", frameon=False)
    save(figure, into / f"{section.name}.svg")


def write(docs: Path, found: Mapping[str, Figures]) -> None:
    """Page, plots and figures."""
    (docs / FOLDER).mkdir(parents=True, exist_ok=True)
    (docs / FOLDER / KEPT).write_text(json.dumps(found, indent=1) + "\n")
    (docs / PAGE).write_text(page(found))
    for section in SECTIONS:
        plot(section, found[section.name], docs / FOLDER)


def kept(docs: Path) -> dict[str, Figures]:
    """The figures of the last simulations; none where there were none."""
    path = docs / FOLDER / KEPT
    return dict(json.loads(path.read_text())) if path.exists() else {}


def main() -> None:
    """Simulate what is asked for, and make the page."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--only", nargs="*", choices=[s.name for s in SECTIONS], help="simulate these sections anew")
    parser.add_argument("--page", action="store_true", help="simulate nothing: page and plots of the figures kept")
    args = parser.parse_args()
    found = kept(DOCS)
    for section in SECTIONS:
        if not args.page and (args.only is None or section.name in args.only):
            begun = time.monotonic()
            found[section.name] = section.found()
            sys.stderr.write(f"{section.name}: {time.monotonic() - begun:.0f} s\n")
            (DOCS / FOLDER).mkdir(parents=True, exist_ok=True)
            (DOCS / FOLDER / KEPT).write_text(json.dumps(found, indent=1) + "\n")
    write(DOCS, found)


if __name__ == "__main__":
    main()
