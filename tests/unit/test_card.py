from __future__ import annotations

import math
import re
from dataclasses import replace
from datetime import UTC, datetime
from html.parser import HTMLParser
from typing import Any

import pytest

from serinus.decide.data import Finding
from serinus.facts import (
    Bins,
    Contract,
    Dataset,
    Evaluation,
    FeatureDrift,
    Field,
    Importance,
    Profile,
    Shift,
    SliceScore,
    Verdict,
    Why,
    Window,
)
from serinus.spec import ModelLoop
from serinus.steps import card
from tests import data_sets

VOID = {"meta", "line", "circle", "rect", "path"}  # the last four are closed where they are opened
EVIL = "<script>alert('x')</script>\" onload=\"y"


class Page(HTMLParser):
    """Checks that tags are closed in order, and collects text and addresses."""

    def __init__(self, text: str) -> None:
        super().__init__()
        self.open: list[str] = []
        self.text: list[str] = []
        self.addresses: list[str] = []
        self.tags: list[str] = []
        self.feed(text)
        self.close()
        assert self.open == [], f"never closed: {self.open}"

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.tags.append(tag)
        self.addresses += [value or "" for name, value in attrs if name in ("src", "href", "xlink:href", "action")]
        assert not any(name.startswith("on") for name, _ in attrs)
        if tag not in VOID:
            self.open.append(tag)

    def handle_startendtag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.handle_starttag(tag, attrs)
        assert tag in VOID

    def handle_endtag(self, tag: str) -> None:
        assert self.open.pop() == tag

    def handle_data(self, data: str) -> None:
        self.text.append(data)

    @property
    def words(self) -> str:
        return " ".join(" ".join(self.text).split())


DATASET = Dataset(
    version="0123456789ab" + "c" * 52, source="files data/parcels",
    window=Window(datetime(2026, 1, 30, tzinfo=UTC), datetime(2026, 3, 1, 7, 30, tzinfo=UTC)),
    rows=6000, schema={"fate": "string", "price": "double", "sold at": "timestamp[us, tz=UTC]"},
)  # fmt: skip
CONTRACT = Contract(
    loop="parcels", task="binary-classification", fields=(Field("price", "numeric", False),), label="fate",
    classes=("kept", "returned"), positive="returned", profile=Profile(4800, (), Bins("score", "numeric")),
    dataset=DATASET, examples=(), expected=(), estimator="hist-gradient-boosting", params={"max_iter": 20}, seed=7,
    trust=(),
)  # fmt: skip
EVALUATION = Evaluation(
    metric="roc_auc", higher_is_better=True, rows=1200, candidate=0.8189, champion=0.8127, baseline=0.5,
    difference=0.0062, interval=(0.0032, 0.0093), method="a paired method (1988)",
    metrics={
        "roc_auc": 0.8189, "champion_roc_auc": 0.8127, "baseline_roc_auc": 0.5, "log_loss": 0.51, "rows_a_day": 12345.6,
    },
    slices=(SliceScore("shop", "south", 400, 0.80, 0.81), SliceScore("shop", "null", 40, 0.7, None)),
    labels=("kept", "returned"), confusion=((505, 135), (177, 388)),
    roc=((0.0, 0.0, 1.0), (0.25, 0.75, 0.5), (1.0, 1.0, 0.0)),
    verdicts=(Verdict("champion", "pass", "It is not worse."), Verdict("slices", "undecided", "Nobody knows.")),
    baseline_interval=(0.28, 0.34), digest="f" * 64, dataset=DATASET.version,
)  # fmt: skip


def spec(**validation: Any) -> ModelLoop:
    return data_sets.binary(1, validation={"metric": "roc_auc", "margin": 0.02, **validation})[0]


def test_the_card_says_what_a_person_must_know() -> None:
    page = Page(card.model(spec(), EVALUATION, CONTRACT))
    for said in (
        "parcels passed",
        "binary-classification, predicts fate (positive: returned )",
        "roc_auc 0.8189 candidate, higher is better",
        "champion 0.8127 same rows",
        "difference +0.0062 +0.0032 to +0.0093 at 95%",
        "pass champion It is not worse. undecided slices Nobody knows.",
        "a paired method (1988)",
        "roc_auc 0.8189 0.8127 0.5000 log_loss 0.5100 - - rows_a_day 12,345.6",
        "shop south 400 0.8000 0.8100 -0.0100 shop null 40 0.7000 - -",
        f"Version {DATASET.version} Source files data/parcels",
        "2026-01-30 00:00 UTC to 2026-03-01 07:30 UTC; the last 6d are the holdout",
        "6000, of which 4800 taught and 1200 judged",
        "fate string label price double numeric feature sold at timestamp[us, tz=UTC] time",
        "Estimator hist-gradient-boosting max_iter 20 Seed 7",
    ):
        assert said in page.words


def test_the_card_is_one_file_without_scripts_or_addresses() -> None:
    page = Page(card.model(spec(), EVALUATION, CONTRACT))
    assert page.addresses == []
    assert "script" not in page.tags
    assert page.tags.count("svg") == 3


IMPORTANCE = (
    Importance("price", 0.02, 0.005, 0.1), Importance("weight", 0.08, 0.01, 0.3),
    Importance("noise", -0.001, 0.002, 0.01), Importance("a feature with a very long name", 0.0, 0.0, 0.0),
)  # fmt: skip


def test_the_card_draws_what_the_model_goes_by_the_longest_bar_first() -> None:
    drawn = card.model(spec(), EVALUATION, CONTRACT, IMPORTANCE)
    bars = [float(width) for width in re.findall(r'<rect x="170" y="[\d.]+" width="([\d.]+)"', drawn)]
    assert bars == [pytest.approx(320 * 8 / 9, abs=0.1), pytest.approx(320 * 2 / 9, abs=0.1), 0.0, 0.0]
    page = Page(drawn)
    assert "weight +0.0800 " in page.words
    assert "a feature with a very… not used " in page.words
    assert "matter less" not in page.words
    assert "What the model goes by" not in Page(card.model(spec(), EVALUATION, CONTRACT)).words


def test_of_very_many_features_the_first_twenty_are_drawn() -> None:
    many = [Importance(f"f{i}", i / 100, 0.01, 0.1) for i in range(50)]
    page = Page(card.model(spec(), EVALUATION, CONTRACT, many))
    assert "f49" in page.words
    assert "30 more matter less." in page.words


def test_features_that_all_cost_nothing_are_drawn_too() -> None:
    nothing = [Importance("price", 0.0, 0.0, 0.0), Importance("weight", -0.1, 0.0, 0.2)]
    page = Page(card.model(spec(), EVALUATION, CONTRACT, nothing))
    assert "price not used" in page.words
    assert "weight -0.1000" in page.words


def test_the_card_of_a_run_that_drift_asked_for_says_what_drifted_how_far_and_since_when() -> None:
    shift = Shift(0.31, -0.84, "up to 10 25 % to 60 %", 0.41, since=datetime(2026, 3, 1, 4, tzinfo=UTC))
    why = Why(
        f"2 of 4 drifted {EVIL}", (FeatureDrift("price", 0.0, 0.3, True, shift), FeatureDrift(EVIL, 0, 0.2, True))
    )
    page = Page(card.model(spec(), EVALUATION, CONTRACT, (), why))
    assert "Why this run 2 of 4 drifted" in page.words
    line = "price 0.300 0.310 -0.84 sd up to 10 25 % to 60 % 41 % of the importance 2026-03-01 04:00 UTC"
    assert line in page.words
    assert "script" not in page.tags


def test_a_run_that_nobody_said_a_reason_for_says_none() -> None:
    for why in (None, Why()):
        assert "Why this run" not in Page(card.model(spec(), EVALUATION, CONTRACT, (), why)).words
    page = Page(card.model(spec(), EVALUATION, CONTRACT, (), Why("the schedule says so")))
    assert "Why this run the schedule says so" in page.words
    assert "Largest change" not in page.words


def test_the_same_evaluation_gives_the_same_bytes() -> None:
    assert card.model(spec(), EVALUATION, CONTRACT) == card.model(spec(), EVALUATION, CONTRACT)


def test_the_roc_curve_is_drawn_where_its_points_are() -> None:
    assert 'd="M40.0 280.0 L110.0 77.5 L320.0 10.0"' in card.model(spec(), EVALUATION, CONTRACT)


def test_the_interval_is_drawn_to_scale_with_the_margin_at_its_left() -> None:
    drawn = card.model(spec(), EVALUATION, CONTRACT)
    marks = {text: float(x) for x, text in re.findall(r'<text x="([\d.]+)" y="13"[^>]*>([^<]*)<', drawn)}
    low, high = re.findall(r'<line x1="([\d.]+)" x2="([\d.]+)" y1="40"', drawn)[0]
    unit = (marks["0"] - marks["margin -0.02"]) / 0.02
    assert marks["margin -0.02"] == 200.0
    assert float(low) == pytest.approx(marks["0"] + 0.0032 * unit, abs=0.2)
    assert float(high) == pytest.approx(marks["0"] + 0.0093 * unit, abs=0.2) == 620.0


def test_without_a_margin_only_zero_is_marked() -> None:
    drawn = card.model(spec(margin=0), EVALUATION, CONTRACT)
    assert re.findall(r'y="13"[^>]*>([^<]*)<', drawn) == ["0"]


@pytest.mark.parametrize(("higher", "baseline"), [(True, 0.5), (False, 1.1)])
def test_a_first_versions_card_shows_the_gain_over_the_baseline(higher: bool, baseline: float) -> None:
    first = replace(
        EVALUATION, champion=None, difference=None, interval=None, higher_is_better=higher, baseline=baseline,
        slices=(), candidate=0.8,
    )  # fmt: skip
    drawn = card.model(spec(), first, CONTRACT)
    page = Page(drawn)
    assert "champion - none to compare with" in page.words
    assert "candidate less baseline" in page.words
    assert "+0.3000, from +0.2800 to +0.3400" in drawn
    assert "Slices by" not in page.words


def test_a_refused_candidates_card_says_so() -> None:
    refused = replace(EVALUATION, verdicts=(Verdict("leakage", "fail", "Too good."),))
    words = Page(card.model(spec(), refused, CONTRACT)).words
    assert "parcels refused" in words
    assert "fail leakage Too good." in words


@pytest.mark.parametrize(
    "change",
    [
        {"interval": None, "difference": None, "baseline_interval": None},
        {"interval": (-math.inf, 0.1)},
        {"difference": math.nan},
    ],
)
def test_without_numbers_there_is_no_drawing_of_them(change: dict[str, Any]) -> None:
    page = Page(card.model(spec(), replace(EVALUATION, candidate=math.nan, **change), CONTRACT))
    assert "How sure" not in page.words
    assert "roc_auc nan" in page.words


def test_a_regressions_card_has_neither_curve_nor_matrix() -> None:
    bare = replace(EVALUATION, metric="rmse", higher_is_better=False, roc=(), confusion=(), labels=())
    page = Page(card.model(spec(), bare, replace(CONTRACT, task="regression", positive=None, classes=())))
    assert "ROC" not in page.words
    assert "Confusion" not in page.words
    assert "candidate, lower is better" in page.words


def test_a_matrix_of_many_classes_would_be_no_reading() -> None:
    names = tuple(f"class {i}" for i in range(13))
    many = replace(EVALUATION, labels=names, confusion=tuple((0,) * 13 for _ in names))
    assert "Confusion" not in Page(card.model(spec(), many, CONTRACT)).words


def test_a_class_without_rows_and_a_long_name_are_drawn_too() -> None:
    odd = replace(EVALUATION, labels=("kept", "returned by the neighbour"), confusion=((5, 0), (0, 0)))
    words = Page(card.model(spec(), odd, CONTRACT)).words
    assert "returned by…" in words
    assert "truth returned by the neighbour, predicted kept: 0 of 0" in words


def test_what_comes_from_the_data_cannot_become_part_of_the_page() -> None:
    """Page fails on attributes like onload and counts script tags."""
    evil = replace(
        EVALUATION,
        labels=(EVIL, "returned"),
        slices=(SliceScore(EVIL, EVIL, 400, 0.8, 0.8),),
        verdicts=(Verdict("slices", "fail", EVIL),),
    )
    contract = replace(
        CONTRACT, label=EVIL, params={EVIL: EVIL}, dataset=replace(DATASET, source=EVIL, schema={EVIL: EVIL})
    )
    finding = Finding("nulls", EVIL, False, EVIL, EVIL, EVIL)
    dataset = replace(DATASET, source=EVIL)
    for text in (
        card.model(spec(), evil, contract),
        card.checks(EVIL, dataset, Verdict("check", "fail", EVIL), [finding]),
    ):
        page = Page(text)
        assert "script" not in page.tags
        assert EVIL in page.words


def test_the_page_of_the_data_check_shows_each_finding_and_why_one_failed() -> None:
    findings = [
        Finding("nulls", "price", False, "21.0%", "<= 20.0%", "Column price: too many nulls."),
        Finding("rows", "", True, "6000", ">= 1000", "Enough."),
    ]
    words = Page(card.checks("parcels", DATASET, Verdict("check", "fail", "no"), findings)).words
    assert "parcels: data check fail 6000 rows of files data/parcels" in words
    assert "nulls price 21.0% <= 20.0% fail Column price: too many nulls. rows all rows 6000 >= 1000 pass" in words
    assert "Enough." not in words
