from __future__ import annotations

import io
import math
import re
import subprocess
import sys
from dataclasses import replace
from datetime import UTC, datetime
from html.parser import HTMLParser
from pathlib import Path

import pytest
from rich.console import Console

from serinus.facts import Event
from services.demo import report
from services.demo.plots import drawing
from services.demo.plots.drift import features
from services.demo.plots.evidence import last_verdict, rollouts
from services.demo.plots.traffic import phases
from services.demo.record import Candidate, Month, Record, Tick
from tests.unit.made_up_record import LIMITS, record

VOID = {"meta", "br"}
EVIL = "<script>alert('x')</script>\" onload=\"y [bold red]z[/]"
EMPTY = Record((), (), (), (), 0, 0, 0, 0, math.nan, math.nan, LIMITS)


class Page(HTMLParser):
    """Checks that tags are closed in order, and collects what a reader and a browser find."""

    def __init__(self, text: str) -> None:
        super().__init__()
        self.open: list[str] = []
        self.text: list[str] = []
        self.tags: list[str] = []
        self.attributes: list[tuple[str, str]] = []
        self.feed(text)
        self.close()
        assert self.open == [], f"never closed: {self.open}"

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.tags.append(tag)
        self.attributes += [(name, value or "") for name, value in attrs]
        if tag not in VOID:
            self.open.append(tag)

    def handle_startendtag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.handle_starttag(tag, attrs)
        if tag not in VOID:
            self.open.pop()

    def handle_endtag(self, tag: str) -> None:
        assert self.open.pop() == tag

    def handle_data(self, data: str) -> None:
        self.text.append(data)

    @property
    def words(self) -> str:
        return " ".join(" ".join(self.text).split())


def terminal(of: Record, width: int = 100) -> str:
    console = Console(width=width, record=True, file=io.StringIO())
    console.print(report.table(of))
    return console.export_text()


@pytest.fixture(scope="module")
def full() -> Record:
    return record()


@pytest.fixture(scope="module")
def page(full: Record) -> Page:
    return Page(report.page(full))


# --- the page ------------------------------------------------------------------------------------------------------


def test_the_page_needs_nothing_from_elsewhere_and_runs_no_script(full: Record, page: Page) -> None:
    text = report.page(full)
    addresses = [value for name, value in page.attributes if name in ("src", "href", "xlink:href", "action", "srcset")]
    assert addresses == []
    assert not {"script", "link", "iframe", "img", "object"} & set(page.tags)
    assert not any(name.startswith("on") for name, _ in page.attributes)
    assert re.findall(r"@import|url\((?!#)", text) == []


def test_the_page_is_small_and_the_same_every_time(full: Record) -> None:
    text = report.page(full)
    assert text == report.page(record())
    assert len(text.encode()) < 500_000


def test_the_page_shows_the_record_s_figures(full: Record, page: Page) -> None:
    spring_on = [m for m in full.months if "2013-03" <= m.month <= "2013-10"]
    gain = sum(m.loop - m.frozen for m in spring_on) / len(spring_on)
    assert f"+{gain:.3f} AUC gained" in page.words
    assert f"0 requests failed of {full.requests:,}, with {full.rows:,} flights" in page.words
    assert "own 14 errors, made on purpose, are counted apart" in page.words
    assert "3 canaries promoted versions 2, 4, 6" in page.words
    assert "2 canaries thrown back versions 3, 5; none had traffic for more than 11 s" in page.words
    assert "32 s from drift to new traffic" in page.words
    assert "8.1 ms for the median answer 99 of 100 within 42.7 ms" in page.words
    assert "1 February to 31 October 2013" in page.words
    for month in full.months:
        served = f"{month.month} {month.rows:,} {month.frozen:.3f} {month.loop:.3f} {month.loop - month.frozen:+.3f}"
        assert served in page.words


def test_the_page_says_of_every_candidate_how_it_fared_and_why(full: Record, page: Page) -> None:
    assert "v2 ✓ promoted drift 32 s 29 s" in page.words
    assert "v3 ✕ thrown back a person broken: fails on some requests 30 s 11 s" in page.words
    assert "v7 under way drift – – 0 of 0 –" in page.words  # noqa: RUF001
    for candidate in full.candidates:
        for sentence in report.reasons(candidate):
            assert sentence in page.words


def test_the_page_lists_every_event_with_the_day_that_was_replayed(full: Record, page: Page) -> None:
    assert f"{len(full.events)} events, in order" in page.words
    for _, event in full.events:
        assert " ".join(event.message.split()) in page.words
    assert "\N{MINUS SIGN}0:12 Promoted 1" in page.words  # before the first request
    assert "2:03 2013-04-25 Promoted 2" in page.words


def test_kept_promises_and_broken_ones_are_told_apart(full: Record, page: Page) -> None:
    assert "Every promise was kept." in page.words
    broken = Page(report.page(replace(full, missed=("3 of 20 requests failed", "no canary was promoted")))).words
    assert "Every promise was kept." not in broken
    assert "Not every promise was kept: 3 of 20 requests failed no canary was promoted" in broken


def test_every_drawing_says_what_it_shows_to_those_who_cannot_see_it(page: Page) -> None:
    ids = [value for name, value in page.attributes if name == "id"]
    named = [value.split() for name, value in page.attributes if name == "aria-labelledby"]
    assert len(ids) == len(set(ids))
    assert set(sum(named, [])) <= set(ids)  # noqa: RUF017
    drawings = page.attributes.count(("role", "img"))
    assert drawings == 5 * 2 + len(rollouts(record()))
    assert page.tags.count("desc") == drawings


def test_hostile_text_stays_text(full: Record) -> None:
    evil = replace(
        full,
        ticks=tuple(replace(t, psi={EVIL: 0.3}, drifted=(EVIL,), harm={EVIL: 1.0}, flying=EVIL) for t in full.ticks),
        candidates=tuple(replace(c, cause=EVIL, fault=EVIL, outcome=EVIL, reason=EVIL) for c in full.candidates),
        events=tuple((s, replace(e, kind="Promoted", message=EVIL)) for s, e in full.events),
        months=tuple(replace(m, month=EVIL) for m in full.months),
        addresses={EVIL: EVIL},
        missed=(EVIL,),
    )
    page = Page(report.page(evil))
    assert "script" not in page.tags
    assert not any(name.startswith("on") for name, _ in page.attributes)
    assert page.words.count(EVIL) > len(full.events)
    assert EVIL in terminal(evil, width=200)


def test_the_page_appears_whole_in_a_folder_that_was_not_there(tmp_path: Path, full: Record) -> None:
    file = tmp_path / "new" / "report.html"
    report.write(full, file)
    assert file.read_text(encoding="utf-8") == report.page(full)
    assert [f.name for f in file.parent.iterdir()] == ["report.html"]


# --- records that are not as usual ---------------------------------------------------------------------------------


TICK = Tick(0.0, "2013-02-01", {1: 100}, 3, {}, (), None, {}, {})


@pytest.mark.parametrize(
    "odd",
    [
        pytest.param(EMPTY, id="nothing happened"),
        pytest.param(replace(EMPTY, ticks=(TICK,)), id="one second"),
        pytest.param(replace(EMPTY, ticks=(replace(TICK, weights={}, requests=0, flying=""),) * 3), id="no answers"),
        pytest.param(
            replace(
                EMPTY,
                ticks=(
                    replace(TICK, canary=2, weights={1: 80, 2: 20}, harm={"errors": math.inf}, psi={"a": math.nan}),
                ),
                months=(Month("2013-02", 0, math.nan, math.nan, {}), Month("2013-05", 9, math.nan, 0.5, {0: 9})),
                candidates=(
                    Candidate(2, "drift", "", "rolled-back", "errors: gone", math.nan, None, None, 0, 0),
                    Candidate(3, "schedule", "", "superseded", "version 4 came before", 1.0, 0.0, math.nan, 0, 0),
                ),
                events=((-5.0, Event(datetime(2026, 1, 1, tzinfo=UTC), "RolledBack", "who knows")),),
            ),
            id="figures that are none",
        ),
    ],
)
def test_an_odd_record_still_renders(odd: Record) -> None:
    words = Page(report.page(odd)).words
    assert "nan" not in words.lower().split()
    assert f"{odd.requests} requests failed" in words or "0 requests failed" in words
    assert "mean Mar-Oct" in terminal(odd)


# --- the terminal --------------------------------------------------------------------------------------------------


def test_the_table_shows_months_candidates_requests_and_the_verdict_in_80_columns(full: Record) -> None:
    text = terminal(full, width=80)
    for month in full.months:
        numbers = f"{month.rows:,} {month.frozen:.3f} {month.loop:.3f} {month.loop - month.frozen:+.3f}"
        assert f"{month.month} {numbers}" in " ".join(text.split())
    lines = [" ".join(line.split()) for line in text.splitlines()]
    assert "mean Mar-Oct 0.672 0.722 +0.050" in lines
    assert "3 broken: errors rolled-back 30 s 11 s 14 of 121" in lines
    assert f"requests {full.requests:,} with {full.rows:,} flights" in lines
    assert "failed 0" in lines
    assert "All promises were kept." in lines
    assert "worse by more than 1 percentage point with evidence 1:15,210 (needed 1:200)" in " ".join(text.split())


def test_the_table_names_the_promises_that_were_not_kept(full: Record) -> None:
    text = terminal(replace(full, missed=("the loop gained 0.010 of AUC",)))
    assert "Not all promises were kept:\n  the loop gained 0.010 of AUC" in text
    assert "All promises were kept" not in text


# --- what the plots are made of ------------------------------------------------------------------------------------


def test_phases_follow_who_answered_and_smooth_only_within(full: Record) -> None:
    found = phases(full.ticks)
    assert [tuple(p.shares) for p in found] == [
        (1,), (1, 2), (2,), (2, 3), (2,), (2, 4), (4,), (4, 5), (4,), (4, 6), (6,)
    ]  # fmt: skip
    assert [(p.start, p.end) for p in found[:4]] == [(0.0, 94.0), (94.0, 123.0), (123.0, 188.0), (188.0, 199.0)]
    for phase in found:
        for _, shares in phase.course:
            assert set(shares) <= set(phase.shares)
            assert sum(shares.values()) == pytest.approx(100)


def test_a_canary_that_misses_a_second_is_still_there() -> None:
    ticks = [replace(TICK, seconds=float(s), canary=2, weights={1: 95, 2: 5} if s != 3 else {1: 100}) for s in range(6)]
    (only,) = phases(ticks)
    assert only.shares == pytest.approx({1: 95 + 5 / 6, 2: 25 / 6})


def test_the_look_that_ends_a_rollout_is_read_from_its_sentence(full: Record) -> None:
    by_version = {c.version: c for c in full.candidates}
    ends = {
        (version, name): last_verdict(name, ticks, by_version[version])
        for version, ticks in rollouts(full)
        for name in ("errors", "latency", "rejections")
    }
    assert {key for key, verdict in ends.items() if verdict == "fail"} == {(3, "errors"), (5, "latency")}
    assert ends[2, "errors"] == "pass"
    assert last_verdict("errors", [], None) == "undecided"


def test_features_are_sorted_by_how_far_they_drifted(full: Record) -> None:
    names = features(full.ticks)
    assert names[0] == "temp"
    peaks = [max(t.psi[name] for t in full.ticks if t.psi) for name in names]
    assert peaks == sorted(peaks, reverse=True)


def test_stairs_hold_each_height_until_the_next() -> None:
    assert drawing.stairs([(0, 1), (1, 1), (2, 5), (3, 5)]) == [(0, 1), (2, 1), (2, 5), (3, 5)]


@pytest.mark.parametrize(
    ("low", "high", "most", "expected"),
    [(0, 100, 5, [0, 20, 40, 60, 80, 100]), (0.64, 0.77, 5, [0.65, 0.7, 0.75]), (1, 1, 5, []), (0, math.nan, 5, [])],
)
def test_marks_are_round_numbers(low: float, high: float, most: int, expected: list[float]) -> None:
    assert drawing.marks(low, high, most) == pytest.approx(expected)


def test_figures_read_well() -> None:
    assert [drawing.clock(s) for s in (0, 67.9, 600, -3.2, math.nan)] == ["0:00", "1:07", "10:00", "−0:03", "–"]  # noqa: RUF001
    assert [drawing.duration(s) for s in (None, 8, 31.6, 89, 95)] == ["–", "8.0 s", "32 s", "89 s", "1 min 35 s"]  # noqa: RUF001
    assert [drawing.odds(x) for x in (-1, 0, 2.4771, 9, math.inf)] == ["1:1", "1:1", "1:300", "1:10^9", "1:10^1000000"]
    assert report.milliseconds(0.2) == "200 ms"


def test_the_report_is_imported_without_heavy_libraries() -> None:
    code = "import sys, services.demo.report; print(*sorted({m.partition('.')[0] for m in sys.modules}))"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    heavy = {"numpy", "pandas", "sklearn", "matplotlib", "jinja2", "rich", "pydantic", "mlflow"}
    assert not heavy & set(done.stdout.split())
