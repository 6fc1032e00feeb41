"""How far what drifted has moved, how much it matters, and since when, as a finding says it."""

from __future__ import annotations

import json
from dataclasses import replace
from datetime import UTC, datetime, timedelta

import pytest

from serinus import drift_words, wire
from serinus.decide import findings, shifts
from serinus.facts import Bins, DriftFinding, FeatureDrift, Importance, Profile, Shift, Verdict, Window

WINDOW = Window(datetime(2026, 1, 1, tzinfo=UTC), datetime(2026, 1, 2, tzinfo=UTC))
BEGAN = datetime(2026, 1, 1, 18, tzinfo=UTC)
TEMP = Bins("temp", "numeric", (10.0, 20.0), counts=(500, 1000, 500, 0, 0), means=(5.0, 15.0, 25.0), sd=8.0)
CARRIER = Bins("carrier", "categorical", categories=("AA", "UA"), counts=(1200, 800, 0, 0))
SCORE = Bins("score", "numeric", (0.5,), counts=(1500, 500, 0, 0), means=(0.2, 0.8), sd=0.3)
PROFILE = Profile(2000, (TEMP, CARRIER), SCORE)
COUNTS = {"temp": {"0": 100, "1": 500, "2": 400}, "carrier": {"0": 400, "1": 600}, "score": {"0": 750, "1": 250}}
KNOWN = (Importance("temp", 0.06, 0.01, 0.1), Importance("carrier", 0.02, 0.01, 0.05))


def drift(name: str, drifted: bool = True, shift: Shift | None = None) -> FeatureDrift:
    return FeatureDrift(name, 0.0, 0.3, drifted, shift)


def finding(*features: FeatureDrift, outcome: str = "fail") -> DriftFinding:
    return DriftFinding(4, WINDOW, 1000, Verdict("drift", outcome, "2 of 3 drifted"), features)  # type: ignore[arg-type]


def described(*importance: Importance, profile: Profile = PROFILE) -> dict[str, Shift | None]:
    found = finding(drift("temp"), drift("carrier"), drift("score", drifted=False), drift("stranger"))
    told = shifts.described(found, profile, COUNTS, importance)
    return {one.name: one.shift for one in told.features}


def test_every_distribution_says_how_far_it_moved_and_how_much_the_model_goes_by_it() -> None:
    found = described(*KNOWN)
    temp, carrier, score = (found[name] or Shift(-1) for name in ("temp", "carrier", "score"))
    assert temp.sd == pytest.approx((0.1 * 5 + 0.5 * 15 + 0.4 * 25 - 15) / 8)
    assert temp.importance == pytest.approx(0.75)
    assert (temp.largest, temp.used) == ("over 20 25 % to 40 %", True)
    assert carrier.importance == pytest.approx(0.25)
    assert (carrier.sd, carrier.largest) == (None, "AA 60 % to 40 %")
    assert (score.distance, score.sd, score.importance) == (0.0, 0.0, None)
    assert 0 < temp.distance < 1


def test_a_distribution_that_the_profile_lacks_or_without_rows_says_nothing_more() -> None:
    assert described()["stranger"] is None
    assert described(profile=replace(PROFILE, features=(replace(TEMP, counts=(0,) * 5), CARRIER)))["temp"] is None
    found = shifts.described(finding(drift("temp")), PROFILE, {}, KNOWN)
    assert found.features[0].shift is None


def test_a_version_made_before_importance_was_measured_has_none() -> None:
    temp = described()["temp"] or Shift(-1, importance=1.0)
    assert temp.importance is None
    assert temp.used


def test_a_feature_whose_shuffling_changes_no_answer_is_not_used_and_one_that_costs_nothing_has_no_share() -> None:
    found = described(Importance("temp", 0.0, 0.0, 0.0), Importance("carrier", 0.02, 0.0, 0.1))
    assert (found["temp"] or Shift(0)).used is False
    assert (found["temp"] or Shift(0)).importance == 0.0
    assert (found["carrier"] or Shift(0)).importance == 1.0
    harmless = described(Importance("temp", -0.01, 0.0, 0.2), Importance("carrier", 0.0, 0.0, 0.1))
    assert (harmless["temp"] or Shift(0)).importance is None, "no feature's shuffling costs anything"
    assert (harmless["temp"] or Shift(0)).used


def test_what_matters_most_comes_first_and_what_has_no_importance_last() -> None:
    far_unused = drift("noise", shift=Shift(0.9, importance=0.0, used=False))
    near = drift("temp", shift=Shift(0.2, importance=0.8))
    score = drift("score", shift=Shift(0.5))
    bare, larger = drift("bare"), replace(drift("larger"), psi=0.4)
    calm = drift("calm", drifted=False, shift=Shift(0.9, importance=1.0))
    order = [one.name for one in drift_words.ranked((bare, score, larger, calm, far_unused, near))]
    assert order == ["temp", "noise", "score", "larger", "bare"]


def test_the_sentence_names_three_and_counts_the_others() -> None:
    several = [drift(f"f{i}", shift=Shift(0.5 - i / 10, sd=0.5 + i, importance=0.2)) for i in range(5)]
    assert shifts.matter(finding(*several)) == (
        "f0: mean +0.50 sd, 20 % of the importance; f1: mean +1.50 sd, 20 % of the importance;"
        " f2: mean +2.50 sd, 20 % of the importance; and 2 more"
    )
    assert shifts.matter(finding(drift("bare"))) == ""


def test_a_violation_says_what_matters_most_and_a_pass_does_not() -> None:
    one = drift("temp", shift=Shift(0.3, sd=-0.84, importance=0.41, since=BEGAN))
    assert shifts.told(finding(one)).verdict.reason == (
        "2 of 3 drifted; most matters temp: mean -0.84 sd, 41 % of the importance, since 2026-01-01 18:00 UTC"
    )
    calm = finding(replace(one, drifted=False), outcome="pass")
    assert shifts.told(calm) == calm
    assert shifts.told(finding(drift("temp"))) == finding(drift("temp"))


@pytest.mark.parametrize(
    ("shift", "said"),
    [
        (Shift(0.3, largest="AA 60 % to 40 %"), "AA 60 % to 40 %"),
        (Shift(0.3, sd=0.1, largest="missing 0 % to 12 %"), "missing 0 % to 12 %"),
        (Shift(0.3, sd=0.1, used=False), "mean +0.10 sd, not used by the model"),
        (Shift(0.3, sd=0.1, since=BEGAN, earlier=True), "mean +0.10 sd, since 2026-01-01 18:00 UTC or earlier"),
        (Shift(0.3, sd=0.1, since=BEGAN), "mean +0.10 sd, since 2026-01-01 18:00 UTC"),
        (None, "no details"),
    ],
)
def test_what_moved_is_told_in_the_words_that_fit_its_kind(shift: Shift | None, said: str) -> None:
    assert drift_words.said_of(drift("x", shift=shift)) == said


CALM, MOVED = {"0": 25, "1": 50, "2": 25}, {"0": 5, "1": 25, "2": 70}


def parts(*temps: dict[str, int]) -> list[shifts.Part]:
    """Stretches of six hours, the last four the window's."""
    first = WINDOW.end - timedelta(hours=6 * len(temps))
    return [(first + timedelta(hours=6 * i), {"temp": counts}) for i, counts in enumerate(temps)]


def began(temps: list[shifts.Part], known: DriftFinding | None = None) -> Shift:
    found = finding(drift("temp", shift=Shift(0.3)), drift("calm", drifted=False, shift=Shift(0.1)), drift("bare"))
    temp, calm, bare = shifts.begun(found, PROFILE, temps, known).features
    assert (calm.shift, bare.shift) == (Shift(0.1), None), "only what drifted began"
    return temp.shift or Shift(-1)


def test_a_drift_began_with_the_first_stretch_that_is_like_the_others_since() -> None:
    assert began(parts(CALM, CALM, CALM, MOVED)) == Shift(0.3, since=WINDOW.end - timedelta(hours=6))
    assert began(parts(CALM, CALM, MOVED, MOVED, MOVED, MOVED, MOVED)) == Shift(
        0.3, since=WINDOW.start - timedelta(hours=6)
    )


def test_a_drift_that_is_all_there_is_to_see_may_have_begun_earlier() -> None:
    assert began(parts({}, MOVED, MOVED, MOVED)) == Shift(0.3, since=WINDOW.start + timedelta(hours=6), earlier=True)


def test_what_had_drifted_already_began_when_it_was_said_to() -> None:
    said = Shift(0.4, since=WINDOW.start - timedelta(days=3), earlier=True)
    still = began(parts(MOVED, MOVED, MOVED, MOVED), finding(drift("temp", shift=said)))
    assert still == Shift(0.3, since=said.since, earlier=True)
    for other in (drift("temp", shift=None), drift("temp", drifted=False, shift=said), drift("carrier", shift=said)):
        assert began(parts(CALM, CALM, CALM, MOVED), finding(other)).since == WINDOW.end - timedelta(hours=6)


@pytest.mark.parametrize("nothing", [[], parts(MOVED, {}, {}, {}, {})])
def test_without_counts_of_the_windows_parts_nobody_knows_when_it_began(nothing: list[shifts.Part]) -> None:
    assert began(nothing) == Shift(0.3)


def test_a_beginning_that_is_not_known_has_no_words() -> None:
    assert drift_words.since_of(Shift(0.3)) == ""


def test_a_line_of_a_table_says_all_of_it_and_what_is_not_known() -> None:
    whole = Shift(0.31, -0.84, "up to 10 25 % to 60 %", 0.41, since=BEGAN)
    assert drift_words.row(drift("temp", shift=whole)) == (
        "temp", "0.300", "0.310", "-0.84 sd", "up to 10 25 % to 60 %", "41 % of the importance", "2026-01-01 18:00 UTC"
    )  # fmt: skip
    assert drift_words.row(drift("temp", shift=Shift(0.3))) == ("temp", "0.300", "0.300", "-", "-", "-", "-")
    assert drift_words.row(drift("temp")) == ("temp", "0.300", "-", "-", "-", "-", "-")
    assert len(drift_words.HEAD) == 7


def test_a_run_is_asked_for_by_what_drifted_and_no_longer_than_a_page() -> None:
    many = [drift(f"f{i:02}", shift=Shift(0.9 - i / 100, importance=0.1)) for i in range(30)]
    why = findings.why(finding(*reversed(many), drift("calm", drifted=False)))
    assert why.reason == "2 of 3 drifted"
    assert [one.name for one in why.drift] == [f"f{i:02}" for i in range(findings.SHOWN)]


@pytest.mark.parametrize(
    ("bins", "counts", "largest"),
    [
        (TEMP, {"2": 9, "missing": 1}, "over 20 25 % to 90 %"),
        (TEMP, {"1": 1000}, "10 to 20 50 % to 100 %"),
        (TEMP, {"missing": 9, "1": 1}, "missing 0 % to 90 %"),
        (CARRIER, {"unseen": 5}, "unseen 0 % to 100 %"),
        (Bins("one", "numeric", counts=(90, 10, 0)), {"0": 5, "missing": 5}, "any value 90 % to 50 %"),
    ],
)
def test_the_bin_that_changed_most_is_told_in_words(bins: Bins, counts: dict[str, int], largest: str) -> None:
    found = shifts.described(finding(drift(bins.name)), Profile(2000, (bins,), SCORE), {bins.name: counts}, ())
    assert found.features[0].shift is not None
    assert found.features[0].shift.largest == largest


def test_a_ledger_keeps_shifts_of_what_drifted_in_the_latest_finding_only() -> None:
    found = finding(drift("temp", shift=Shift(0.3)), drift("calm", drifted=False, shift=Shift(0.1)))
    assert [one.shift for one in findings.kept(found).features] == [Shift(0.3), None]
    assert [one.shift for one in findings.bare(found).features] == [None, None]


def test_a_finding_of_before_there_were_shifts_can_still_be_read() -> None:
    new = finding(drift("temp", shift=Shift(0.3, since=BEGAN + timedelta(hours=1))))
    assert wire.load(DriftFinding, wire.dump(new)) == new
    old = json.loads(wire.dump(finding(drift("temp"))))
    del old["features"][0]["shift"]
    assert wire.load(DriftFinding, json.dumps(old).encode()) == finding(drift("temp"))
