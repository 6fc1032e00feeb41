"""The model card: what stands in it, and that what came from data stays text."""

from __future__ import annotations

import html as escaping
from dataclasses import replace
from datetime import timedelta
from pathlib import Path
from typing import Any

import pytest

from serinus import artifact, wire
from serinus.facts import (
    Bins,
    Condition,
    Contract,
    Evaluation,
    Evidence,
    FairnessGap,
    FeatureDrift,
    Importance,
    Measured,
    Papers,
    Profile,
    Reference,
    Region,
    Shift,
    SliceScore,
    Version,
    Why,
)
from serinus.render.document import Document, Points, Section, Table, html, markdown
from serinus.render.model_card import approval, card, standing, summary
from tests.made_up_models import NOW, model_dir, papers_of, record


@pytest.fixture(scope="module")
def bare(tmp_path_factory: pytest.TempPathFactory) -> Papers:
    """A version of which nothing was kept but the model."""
    model = model_dir(tmp_path_factory.mktemp("bare") / "model")
    contract = wire.load(Contract, (model / artifact.CONTRACT).read_bytes())
    contract = replace(contract, params={"C": 1.0})
    return Papers(Version("flights", 3, "flights-drift-1", NOW, digest="a" * 64), contract)


@pytest.fixture(scope="module")
def full(bare: Papers, tmp_path_factory: pytest.TempPathFactory) -> Papers:
    """A version with papers."""
    folder = tmp_path_factory.mktemp("full")
    _, (evaluation, origin) = papers_of(folder / "extras", model_dir(folder / "model"))
    profile = Profile(
        2, (Bins("temp", "numeric", (1.0, 2.0, 30.5)), Bins("origin", "categorical", categories=("JFK", "LGA"))),
        Bins("score", "numeric"),
    )  # fmt: skip
    judged = replace(
        evaluation,
        champion=0.69,
        difference=0.01,
        interval=(-0.002, 0.022),
        method="paired bootstrap",
        metrics={"roc_auc": 0.7, "champion_roc_auc": 0.69, "baseline_roc_auc": 0.5, "f1": 0.4},
        slices=(
            SliceScore("origin", "JFK", 60, 0.72, 0.7, 0.01, (0.6, 0.84)),
            SliceScore("origin", "LGA", 40, 0.61, 0.62),
            SliceScore("origin", "EWR", 40, 0.65, None),
        ),
        fairness=(FairnessGap("origin", "equalOpportunity", 0.1, 0.02, 0.18, {"JFK": 0.6, "LGA": 0.5}, {"JFK": 60}),),
    )
    reference = Reference(
        100,
        {"roc_auc": Measured(0.7, 0.02, 0.66, 0.74, 100)},
        (),
        (Region((Condition("temp", low=1.0, high=2.0), Condition("origin", categories=("LGA",))), 12, 0.4, 0.2),),
        {},
    )
    contract = replace(bare.contract, profile=profile)
    return Papers(bare.version, contract, reference, judged, origin, (record(3),))


def text(papers: Papers) -> str:
    return markdown(card(papers))


def test_a_card_says_what_the_version_is_and_how_far_it_came(full: Papers) -> None:
    said = text(full)
    assert said.startswith(
        "# flights, version 3\n\nBinary classification: logistic-regression tells late from 1 features."
    )
    assert "It was rolled back at 2026-01-02 03:04 UTC: errors: 10 % errors." in said
    assert "| C | 1.0 |" in said
    assert "the score is the probability of 1" in said


@pytest.mark.parametrize(
    "sentence",
    [
        "roc_auc (higher is better) is 0.7000 (0.6600 to 0.7400); of the champion then 0.6900, of a model without",
        "Its gain over the champion is +0.0100, between -0.0020 and +0.0220 at 95% (paired bootstrap)",
        "| roc_auc | 0.7000 | 0.6600 to 0.7400 | 0.6900 | 0.5000 |",
        "| f1 | 0.4000 | - | - | - |",
        "| origin = JFK | 60 | 0.7200 | 0.6000 to 0.8400 | 0.7000 | +0.0200 | +0.0004 to +0.0396 |",
        "| origin = LGA | 40 | 0.6100 | - | 0.6200 | -0.0100 | - |",
        "| origin = EWR | 40 | 0.6500 | - | - | - | - |",
        "the largest gap between two groups is 0.1000, between 0.0200 and 0.1800 at 95%",
        "| LGA | 0.5000 | 0 |",
        "Its roc_auc is worst for origin = LGA (0.6100, 40 rows), origin = EWR (0.6500, 40 rows), origin = JFK",
        "Of its holdout it finds hardest: 1 \\< temp \\<= 2 and origin in {LGA} (12 rows, loss 0.4000).",
        "temp (1 to 30.5)",
        "origin (2)",
        "refuses rows in which one of these is null, since training saw none: temp",
        "| minimum | pass | It is enough. |",
        "ann let it in.",
        "to 2026-01-02 03:04 UTC beside version 1: rolled-back, errors: 10 % errors. ann had let it in.",
        "| errors | fail | 10 % errors |",
        "| errors | 0 of 0 | 0 of 0 | 10^0.4 |",
        "| Code's revision | abc1234 |",
        "| Image | serinus/pipeline:0.1.0 |",
        "| Packages | numpy 1.26.4 |",
        "| Cause | manual |",
        "| The rows themselves | kept with this version |",
    ],
)
def test_a_card_says(full: Papers, sentence: str) -> None:
    assert sentence in text(full)


def test_a_card_of_which_nothing_else_was_kept_says_that(bare: Papers) -> None:
    said = text(bare)
    for sentence in (
        "No evaluation was kept.",
        "No slices were looked at",
        "No groups were compared",
        "No verdicts were kept.",
        "None has ended.",
        "Whether somebody had to let it in was not kept.",
        "| The rows themselves | not kept |",
    ):
        assert sentence in said
    assert summary(bare) == "logistic-regression, 2 rows of files data/, 2026-01-02 03:04 to 2026-01-02 03:04 UTC"


def test_without_a_champion_the_gain_is_over_a_model_without_features(full: Papers) -> None:
    assert full.evaluation is not None
    alone = replace(
        full.evaluation,
        champion=None,
        difference=None,
        interval=None,
        baseline_interval=(0.1, 0.3),
        higher_is_better=False,
    )
    said = text(replace(full, evaluation=alone))
    assert "gain over a model without features is between +0.1000 and +0.3000" in said
    assert "lower is better" in said
    assert "is 0.7000 (0.6600 to 0.7400); of a model without features 0.5000" in said
    assert "worst for origin = JFK" in said
    neither = replace(full.evaluation, difference=None, interval=None)
    assert "gain over" not in text(replace(full, evaluation=neither))


def test_a_regression_has_no_classes(full: Papers) -> None:
    contract = replace(full.contract, task="regression", classes=(), positive=None, params={}, fields=())
    said = text(replace(full, contract=contract))
    assert "Label late." in said
    assert "| Parameter |" not in said
    assert "refuses rows" not in said
    several = replace(full.contract, task="multiclass-classification", classes=("a", "b", "c"), positive=None)
    assert "Label late; classes: a, b, c." in text(replace(full, contract=several))


def test_a_profile_of_one_kind_of_feature_says_nothing_of_the_other(full: Papers) -> None:
    for name, absent in (("temp", "takes any other as unseen"), ("origin", "beyond them it extrapolates")):
        only = tuple(each for each in full.contract.profile.features if each.name == name)
        contract = replace(full.contract, profile=replace(full.contract.profile, features=only))
        assert absent not in text(replace(full, contract=contract))


@pytest.mark.parametrize(
    ("condition", "said"),
    [
        (Condition("temp", low=1.0), "temp > 1"),
        (Condition("temp", high=2.5), "temp <= 2.5"),
        (Condition("temp", low=1.0, missing=True), "temp > 1 or null"),
        (Condition("temp", missing=True), "temp is null"),
        (Condition("temp"), "temp"),
        (Condition("origin", categories=("JFK", "LGA"), missing=True), "origin in {JFK, LGA} or null"),
        (None, "all rows"),
    ],
)
def test_regions_are_told_by_what_their_rows_have_in_common(
    full: Papers, condition: Condition | None, said: str
) -> None:
    assert full.reference is not None
    region = Region((condition,) if condition is not None else (), 5, 0.1, 0.1)
    page = html(card(replace(full, reference=replace(full.reference, regions=(region,)))))
    assert f"hardest: {escaping.escape(said)} (5 rows" in page


@pytest.mark.parametrize(
    ("spec", "outcome", "said"),
    [
        ("{}", None, "Nobody had to let it in: approval is automatic."),
        ('{"approval":"automatic"}', "promoted", "Nobody had to let it in: approval is automatic."),
        ('{"approval":"required"}', "rejected", "Somebody had to let it in, and it was rejected."),
        ('{"approval":"required"}', None, "Somebody has to let it in, and nobody has, as far as this card knows."),
    ],
)
def test_who_let_it_in(full: Papers, spec: str, outcome: Any, said: str) -> None:
    assert full.origin is not None
    records = (replace(record(3), outcome=outcome, approved_by=""),) if outcome else ()
    papers = replace(full, origin=replace(full.origin, spec=f'{{"spec":{spec}}}'), rollouts=records)
    assert approval(papers) == said


def test_a_version_that_was_promoted_and_brought_back_tells_both(full: Papers) -> None:
    first = replace(record(3), outcome="promoted", reason="it is better", stable=None, verdicts=(), evidence={})
    then = replace(
        record(3),
        ended=NOW + timedelta(hours=1),
        approved_by="",
        evidence={"errors": Evidence(peak_harm=float("-inf"))},
    )
    papers = replace(full, rollouts=(first, then))
    said = text(papers)
    assert "03:04 UTC: promoted, it is better. ann had let it in." in said
    assert "| errors | 0 of 0 | 0 of 0 | - |" in said
    assert approval(papers) == "ann let it in."
    assert standing(papers) == "It was rolled back at 2026-01-02 04:04 UTC: errors: 10 % errors."
    assert standing(replace(full, rollouts=())) == "Its rollout has not ended, or has not begun."
    assert summary(papers).endswith(
        "; roc_auc 0.7000 on 100 rows; rolled-back 2026-01-02 04:04 UTC: errors: 10 % errors"
    )


def test_rows_that_were_not_kept_are_said_to_be_gone(full: Papers) -> None:
    assert full.origin is not None
    assert "not kept: larger than is kept" in text(replace(full, origin=replace(full.origin, kept=False)))


# --- documents ---------------------------------------------------------------------------------------------------

NASTY = "<script>alert(1)</script> | *bold* [link](http://x) `code`\n# heading"


def nasty() -> Document:
    table = Table((NASTY, "b"), ((NASTY, "2"),))
    return Document(NASTY, NASTY, (Section(NASTY, (NASTY, table, Points((NASTY,)), Table(("", ""), (("a", "b"),)))),))


def test_what_stands_in_a_document_is_never_markup_in_html() -> None:
    page = html(nasty())
    assert "<script" not in page
    assert page.count("&lt;script&gt;alert(1)&lt;/script&gt;") == 8
    assert "<th></th>" not in page, "a head of empty texts is not shown"
    assert "src=" not in page
    assert "href=" not in page


def test_what_stands_in_a_document_is_never_markup_in_markdown() -> None:
    said = markdown(nasty())
    assert "<script>" not in said.replace("\\<", "")
    assert "\n# heading" not in said
    for line in said.splitlines():
        if line.startswith("| ") and "script" in line:
            assert line.replace("\\|", "").count("|") == 3, "a cell cannot open another"
    assert "\\*bold\\*" in said
    assert "\\[link\\](http://x)" in said


def test_an_evaluation_without_slices_has_no_worst_one(full: Papers) -> None:
    judged: Evaluation | None = full.evaluation
    assert judged is not None
    said = text(replace(full, evaluation=replace(judged, slices=(), fairness=()), reference=None))
    assert "is worst for" not in said
    assert "it finds hardest" not in said


def test_large_figures_are_shown_with_thousands(full: Papers) -> None:
    assert full.evaluation is not None
    assert "of a model without features 12,345.7" in text(
        replace(full, evaluation=replace(full.evaluation, baseline=12345.67))
    )


def test_made_up_papers_are_whole(tmp_path: Path) -> None:
    folder, _ = papers_of(tmp_path / "extras", model_dir(tmp_path / "model"))
    assert (folder / "dataset" / "data.parquet").exists()


def test_the_card_says_what_the_model_goes_by(bare: Papers, full: Papers) -> None:
    assert "How much it goes by each feature was not measured." in text(bare)
    assert full.reference is not None
    assert "How much it goes by each feature was not measured." in text(full), "made before it was"
    measured = (Importance("origin", 0.0, 0.0, 0.0), Importance("temp", 0.0512, 0.004, 0.11))
    told = text(replace(full, reference=replace(full.reference, importance=measured)))
    assert "| temp | +0.0512 | 0.0040 | 0.1100 |\n| origin | +0.0000 | 0.0000 | nothing: not used |" in told


def test_the_card_says_what_its_run_was_asked_for(full: Papers) -> None:
    def asked(why: Why | None) -> str:
        assert full.origin is not None
        return text(replace(full, origin=replace(full.origin, why=why)))

    assert "Its run was asked for because" not in asked(None) + asked(Why())
    assert "Its run was asked for because: the schedule says so" in asked(Why("the schedule says so"))
    drifted = FeatureDrift("temp", 0.0, 0.3, True, Shift(0.31, 0.84, "over 20 10 % to 40 %", 0.41))
    told = asked(Why("1 of 3 drifted", (drifted,)))
    assert "| temp | 0.300 | 0.310 | +0.84 sd | over 20 10 % to 40 % | 41 % of the importance | - |" in told
