"""The tests of one distribution: what each sees, how large a change must be, and what rows that are alike count."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from datetime import UTC, datetime, timedelta

import numpy as np
import pytest
from scipy.stats import norm

from serinus.decide.drift import compare, held_against, level
from serinus.detectors import TABLE
from serinus.facts import Alike, Bins, DriftFinding, DriftSign, Profile, Stretches, Window
from serinus.spec import DriftSpec

END = datetime(2026, 1, 2, tzinfo=UTC)
WINDOW = Window(END - timedelta(days=1), END)
EDGES = norm.ppf(np.arange(1, 10) / 10)
TEMP = Bins("temp", "numeric", tuple(EDGES.tolist()), counts=(2000,) * 10 + (0, 0))
CARRIER = Bins("carrier", "categorical", (), ("AA", "B6", "UA"), (12_000, 7_990, 10, 0, 0))
SCORE = Bins("score", "numeric", (0.5,), counts=(15_000, 5_000, 0, 0))
PROFILE = Profile(20_000, (TEMP, CARRIER), SCORE)
Counts = dict[str, dict[str, int]]


def window(rows: int = 2000, shift: float = 0.0, missing: float = 0.0, unseen: float = 0.0) -> Counts:
    """Rows as they are to be expected, of which temp is larger by `shift` standard deviations."""
    shares = np.diff(norm.cdf(EDGES - shift), prepend=0, append=1)
    temp = {str(i): round(share * rows * (1 - missing)) for i, share in enumerate(shares)}
    carrier = {"0": round(rows * 0.6 * (1 - unseen)), "1": round(rows * 0.4 * (1 - unseen))}
    return {
        "temp": {**temp, "missing": round(rows * missing)},
        "carrier": {**carrier, "unseen": round(rows * unseen)},
        "score": {"0": round(rows * 0.75), "1": round(rows * 0.25)},
    }


def found(
    now: Counts,
    spec: DriftSpec | None = None,
    parts: Sequence[Counts] = (),
    before: Sequence[Counts] = (),
    profile: Profile = PROFILE,
    stretches: Stretches | None = None,
) -> DriftFinding:
    return compare(
        spec or DriftSpec(), 4, profile, now, now["score"], p_values=TABLE["scipy"], window=WINDOW, parts=parts,
        before=before, stretches=stretches,
    )  # fmt: skip


def signs(finding: DriftFinding) -> Mapping[str, DriftSign]:
    return {f"{f.name} {sign.test}": sign for f in finding.features for sign in f.signs}


def test_a_shift_of_a_quarter_of_a_deviation_is_seen_though_its_psi_is_small() -> None:
    finding = found(window(shift=0.25))
    assert finding.features[0].psi < 0.08
    assert list(signs(finding)) == ["temp shift"]
    assert signs(finding)["temp shift"].effect == pytest.approx(0.25, abs=0.01)
    assert finding.verdict.reason.startswith("1 of 3 distributions drifted over 2,001 rows: temp (+0.25 sd, p < 1e-6)")


def test_a_shift_down_is_one_too_and_one_that_is_too_small_is_none() -> None:
    assert signs(found(window(shift=-0.25)))["temp shift"].effect < 0
    assert found(window(rows=50_000, shift=0.15)).verdict.outcome == "pass"
    assert found(window(rows=50_000, shift=0.15), DriftSpec(shift=0.1)).verdict.outcome == "fail"


@pytest.mark.parametrize("what", ["missing", "unseen"])
def test_a_rise_of_missing_or_unseen_values_from_none_to_some_is_drift_of_its_own(what: str) -> None:
    now = window(missing=0.014) if what == "missing" else window(unseen=0.014)
    few = window(missing=0.005) if what == "missing" else window(unseen=0.005)
    finding = found(now)
    assert max(feature.psi for feature in finding.features) < 0.1
    ((name, sign),) = signs(finding).items()
    assert name == {"missing": "temp missing", "unseen": "carrier unseen"}[what]
    assert sign.effect == pytest.approx(0.014, rel=0.01)
    assert f"{what} +1.4 %, p < 1e-6" in finding.verdict.reason
    assert found(few).verdict.outcome == "pass"
    assert found(now, DriftSpec(missing=0.05)).verdict.outcome == "pass"


def test_rare_categories_are_tested_as_one() -> None:
    """Seven of 600 rows instead of the 0.3 that are to be expected: of so few no chi-squared test says the truth."""
    now = window(600)
    now["carrier"] = {"0": 358, "1": 235, "2": 7}
    assert found(now, DriftSpec(psi=1e-6)).features[1].p_value > 1e-60
    assert found(now).verdict.outcome == "pass"


def parts_of(now: Counts, each: int, many: int = 24) -> list[Counts]:
    """The window's parts when its rows come `each` alike at a time."""
    rng = np.random.default_rng(1)
    made: list[Counts] = [{} for _ in range(many)]
    for name, bins in now.items():
        rows = rng.permutation(np.repeat(np.array(list(bins)), [count // each for count in bins.values()]))
        for part, some in zip(made, np.array_split(rows, many), strict=True):
            labels, counts = np.unique(some, return_counts=True)
            part[name] = dict(zip(labels.tolist(), (each * counts).tolist(), strict=True))
    return made


def test_rows_that_come_many_alike_are_less_certain() -> None:
    now = window(shift=0.25)
    independent, alike = found(now, parts=parts_of(now, 1)), found(now, parts=parts_of(now, 20))
    assert independent.verdict.outcome == "fail"
    assert independent.features[0].clumps < 3
    assert alike.verdict.outcome == "pass"
    assert alike.features[0].clumps > 10
    ignored = found(now, DriftSpec(clumps="ignored"), parts_of(now, 20))
    assert (ignored.verdict.outcome, ignored.features[0].clumps) == ("fail", 1.0)


def test_a_change_in_the_middle_of_a_window_is_hardly_taken_for_clumps() -> None:
    early, late = window(1000), window(1000, shift=1.0)
    now = {name: {label: early[name].get(label, 0) + late[name].get(label, 0) for label in late[name]} for name in late}
    finding = found(now, parts=[*parts_of(early, 1, 12), *parts_of(late, 1, 12)])
    assert list(signs(finding)) == ["temp shape", "temp shift"]
    assert finding.features[0].clumps < 4


def test_rows_that_are_all_alike_prove_nothing() -> None:
    now: Counts = {"temp": {"9": 600}, "carrier": {"0": 600}, "score": {"0": 600}}
    parts: list[Counts] = [{**now, "temp": {str(i % 2 * 9): 300}} for i in range(24)]
    assert not found(now, parts=parts).features[0].drifted


def test_windows_that_differ_from_each_other_make_a_change_less_certain() -> None:
    swinging = [window(shift=shift) for shift in (0.4, -0.4, 0.4, -0.4, 0.4, -0.4, 0.4)]
    assert found(window(shift=0.3), before=swinging).verdict.outcome == "pass"
    assert found(window(shift=0.3), before=[window() for _ in range(7)]).verdict.outcome == "fail"
    assert found(window(shift=0.3), before=[*(window() for _ in range(5)), window(shift=0.3)]).verdict.outcome == "fail"


def days(correlation: float, effect: float = 1.0, hours: int = 24) -> Stretches:
    """Training whose rows of so many hours are alike in the mean of temp."""
    return Stretches(hours * 3600.0, {"temp": {"shift": Alike(effect, correlation)}})


def test_where_days_of_training_were_unlike_each_other_a_day_tells_less() -> None:
    now = window(shift=0.25)
    assert found(now, stretches=days(0.0)).verdict.outcome == "fail"
    unlike = found(now, stretches=days(0.01))
    assert unlike.verdict.outcome == "pass"
    assert unlike.features[0].clumps == pytest.approx(1 + 2000 * 0.01, rel=1e-6)
    assert found(now, DriftSpec(clumps="ignored"), stretches=days(0.01)).verdict.outcome == "fail"
    assert found(window(shift=1.0), stretches=days(0.01)).verdict.outcome == "fail", "no day was so far off"


def test_a_window_of_several_stretches_has_rows_that_are_as_alike_as_those_of_one() -> None:
    quarter, week = (found(window(shift=0.25), stretches=days(0.01, hours=hours)) for hours in (6, 7 * 24))
    assert quarter.features[0].clumps == pytest.approx(1 + 500 * 0.01, rel=0.01)
    assert week.features[0].clumps == pytest.approx(1 + 2000 * 0.01, rel=0.01)


def test_training_rows_that_are_alike_are_an_uncertain_reference_but_other_windows_are_no_training() -> None:
    now = window(shift=0.25)
    sure, unsure = (found(now, stretches=days(0.0, effect)) for effect in (1.0, 100.0))
    assert (sure.verdict.outcome, unsure.verdict.outcome) == ("fail", "pass")
    rolling = found(now, DriftSpec(reference="rolling"), before=[window()] * 2, stretches=days(0.0, 100.0))
    assert rolling.verdict.outcome == "fail"


def test_what_is_too_little_in_one_window_is_seen_in_several() -> None:
    few = window(250, shift=0.3)
    assert found(few).verdict.outcome == "undecided"
    assert found(few, DriftSpec(min_rows=200, false_alarms="1 per 3650d")).verdict.outcome == "pass"
    finding = found(few, before=[few] * 3)
    assert signs(finding)["temp shift"].windows == 4
    assert "+0.30 sd, p < 1e-6 over 4 windows" in finding.verdict.reason
    assert finding.rows == 250


def test_several_windows_count_only_while_the_latest_moves_with_them() -> None:
    past = [window(shift=0.5)] * 7
    assert found(window(shift=0.12), before=past).verdict.outcome == "fail"
    assert found(window(), before=past).verdict.outcome == "pass"
    assert found(window(shift=-0.12), before=past).verdict.outcome == "pass"


def test_half_of_the_level_is_the_windows_own_where_others_are_looked_at_as_well() -> None:
    alone, others = found(window()), found(window(), before=[window()] * 7)
    tests = 3 + 3 + 2
    assert alone.verdict.figures["p_bound"] == pytest.approx(level(DriftSpec()) / tests)
    assert others.verdict.figures["p_bound"] == pytest.approx(level(DriftSpec()) / tests / 2)
    assert (alone.verdict.figures["windows"], others.verdict.figures["windows"]) == (1, 8)


def test_other_windows_may_be_the_reference() -> None:
    spec, moved = DriftSpec(reference="rolling"), window(shift=1.0)
    profile = held_against(PROFILE, [moved, moved])
    assert (profile.rows, profile.score.counts) == (4000, (3000, 1000, 0, 0))
    assert found(moved, spec, profile=profile, before=[moved, moved]).verdict.outcome == "pass"
    back = found(window(), spec, profile=profile, before=[moved, moved])
    assert (back.verdict.outcome, back.verdict.figures["windows"]) == ("fail", 1)
    assert signs(back)["temp shift"].effect < -0.9


def test_a_reference_of_too_few_rows_decides_nothing() -> None:
    spec = DriftSpec(reference="sameHourLastWeek")
    finding = found(window(), spec, profile=held_against(PROFILE, [window(400)]))
    assert finding.verdict.outcome == "undecided"
    assert "score has 400 in the reference (sameHourLastWeek)" in finding.verdict.reason
