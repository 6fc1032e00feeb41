"""A window of counts against a training profile."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import UTC, datetime

import pytest
from hypothesis import given
from hypothesis import strategies as st

from serinus.decide.distributions import Engine
from serinus.decide.drift import (
    compare,
    confirmed,
    could_not_look,
    nothing_to_compare,
    unconfirmed,
)
from serinus.detectors import TABLE
from serinus.facts import Bins, DriftFinding, FeatureDrift, Profile, Verdict, Window
from serinus.spec import Confirm, DriftSpec
from serinus.stats.distances import psi

WINDOW = Window(datetime(2026, 1, 1, tzinfo=UTC), datetime(2026, 1, 2, tzinfo=UTC))
SPEC = DriftSpec()
TEMP = Bins("temp", "numeric", edges=(10.0, 20.0), counts=(500, 1000, 500, 0, 0))
CARRIER = Bins("carrier", "categorical", categories=("AA", "UA"), counts=(1200, 800, 0, 0))
SCORE = Bins("score", "numeric", edges=(0.5,), counts=(1500, 500, 0, 0))
PROFILE = Profile(2000, (TEMP, CARRIER), SCORE)
SAME = {"temp": {"0": 250, "1": 500, "2": 250}, "carrier": {"0": 600, "1": 400, "missing": 0, "unseen": 0}}
SAME_SCORE = {"0": 750, "1": 250}


def find(
    features: dict[str, dict[str, int]], score: dict[str, int], profile: Profile = PROFILE, spec: DriftSpec = SPEC
) -> DriftFinding:
    return compare(spec, 4, profile, features, score, p_values=TABLE["scipy"], window=WINDOW)


def always(p_value: float) -> Engine:
    def engine(reference: Sequence[Sequence[int]], current: Sequence[Sequence[int]]) -> tuple[float, ...]:
        return (p_value,) * len(reference)

    return engine


def test_traffic_like_the_training_rows_passes_and_says_on_what_figures() -> None:
    temp, carrier, score = (260, 500, 240, 0, 0), (600, 400, 0, 0), (750, 250, 0, 0)
    finding = find({**SAME, "temp": {"0": 260, "1": 500, "2": 240}}, SAME_SCORE)
    assert finding == DriftFinding(
        version=4,
        window=WINDOW,
        rows=1000,
        verdict=Verdict(
            "drift",
            "pass",
            "none of 3 distributions drifted over 1,000 rows; the largest change: temp (PSI 0.00, p 0.8); "
            "bounds: PSI 0.1, p 5.8e-05",
            {
                "rows": 1000.0,
                "distributions": 3.0,
                "drifted": 0.0,
                "psi": psi(TEMP.counts, temp),
                "psi_bound": 0.1,
                "p_bound": 1 / 2160 / 8,
                "clumps": 1.0,
                "windows": 1.0,
            },
        ),
        features=(
            FeatureDrift("temp", TABLE["scipy"]([TEMP.counts], [temp])[0], psi(TEMP.counts, temp), drifted=False),
            FeatureDrift("carrier", 1.0, psi(CARRIER.counts, carrier), drifted=False),
            FeatureDrift("score", 1.0, psi(SCORE.counts, score), drifted=False),
        ),
    )


def test_a_feature_that_moved_puts_the_window_in_violation_and_is_named_with_its_figures() -> None:
    finding = find({**SAME, "temp": {"0": 50, "1": 350, "2": 600}}, SAME_SCORE)
    assert finding.verdict.outcome == "fail"
    assert [f.name for f in finding.features if f.drifted] == ["temp"]
    assert finding.verdict.reason.startswith(
        "1 of 3 distributions drifted over 1,000 rows: temp (PSI 0.68, p < 1e-6; +0.77 sd, p < 1e-6)"
    )
    assert finding.verdict.reason.endswith("bounds: PSI 0.1, p 5.8e-05")
    assert finding.verdict.figures["drifted"] == 1


def test_several_that_moved_are_named_by_the_size_of_their_change() -> None:
    finding = find({**SAME, "temp": {"0": 100, "1": 500, "2": 400}}, {"0": 100, "1": 900})
    assert [f.name for f in finding.features if f.drifted] == ["temp", "score"]
    assert finding.verdict.reason.index("score") < finding.verdict.reason.index("temp")


def test_the_scores_distribution_is_a_feature_like_the_others() -> None:
    finding = find(SAME, {"0": 400, "1": 600})
    assert finding.verdict.outcome == "fail"
    assert [f.name for f in finding.features if f.drifted] == ["score"]


@pytest.mark.parametrize("label", ["missing", "unseen"])
def test_values_that_are_missing_or_never_seen_in_training_are_drift(label: str) -> None:
    finding = find({**SAME, "carrier": {"0": 540, "1": 360, label: 100}}, SAME_SCORE)
    assert [f.name for f in finding.features if f.drifted] == ["carrier"]


def test_a_significant_change_that_is_small_is_no_drift() -> None:
    n = 10**6
    finding = find(
        {
            "temp": {"0": n // 4 + 9000, "1": n // 2, "2": n // 4 - 9000},
            "carrier": {"0": 6 * n // 10, "1": 4 * n // 10},
        },
        {"0": 3 * n // 4, "1": n // 4},
        Profile(2 * n, (_times(TEMP, 1000), _times(CARRIER, 1000)), _times(SCORE, 1000)),
    )
    assert finding.features[0].p_value < 1e-20
    assert finding.verdict.outcome == "pass"


def test_a_large_change_that_is_not_significant_is_no_drift() -> None:
    finding = compare(
        SPEC, 4, PROFILE, {**SAME, "carrier": {"1": 1000}}, SAME_SCORE, p_values=always(0.004), window=WINDOW
    )
    assert finding.features[1].psi > 1
    assert finding.verdict.outcome == "pass"


@pytest.mark.parametrize(
    ("budget", "every", "bound"),
    [
        ("1 per 90d", "1h", 1 / 2160),
        ("2 per 90d", "1h", 2 / 2160),
        ("1 per 90d", "1d", 1 / 90),
        ("1 per 1h", "1d", 0.05),
    ],
)
def test_the_budget_is_shared_over_the_looks_of_its_time_and_all_tests(budget: str, every: str, bound: float) -> None:
    """Eight tests: of temp its shape, shift, missing; of carrier its shape, missing, unseen; of the score two."""
    spec = DriftSpec.model_validate({"falseAlarms": budget, "every": every})

    def outcome(p_value: float) -> str:
        moved = {**SAME, "carrier": {"1": 1000}}
        engine = always(p_value)
        return compare(spec, 4, PROFILE, moved, SAME_SCORE, p_values=engine, window=WINDOW).verdict.outcome

    assert outcome(bound / 8 * 0.999) == "fail"
    assert outcome(bound / 8) == "pass"


def test_with_too_few_rows_nothing_is_decided() -> None:
    few = {"temp": {"2": 599}, "carrier": {"0": 599}}
    finding = find(few, {"1": 599})
    assert (finding.verdict.outcome, finding.features, finding.rows) == ("undecided", (), 599)
    assert finding.verdict.reason == "599 rows in the window; 600 are needed to decide"


def test_without_any_counts_nothing_is_decided() -> None:
    assert find({}, {}).verdict.reason == "0 rows in the window; 600 are needed to decide"
    assert find({}, {}).verdict.outcome == "undecided"


def test_a_feature_without_counts_keeps_the_window_from_passing() -> None:
    finding = find({"temp": SAME["temp"]}, SAME_SCORE)
    assert finding.verdict.outcome == "undecided"
    assert finding.verdict.reason == "600 rows are needed to decide: carrier has 0"
    assert [f.name for f in finding.features] == ["temp", "score"]


def test_a_feature_without_counts_does_not_hide_that_another_drifted() -> None:
    finding = find({"temp": {"2": 1000}}, SAME_SCORE)
    assert finding.verdict.outcome == "fail"
    assert finding.verdict.reason.endswith("not decided: carrier has 0")


def test_a_profile_without_rows_is_no_reference() -> None:
    profile = Profile(2000, (TEMP, CARRIER), Bins("score", "numeric", counts=(0, 0, 0)))
    finding = find(SAME, {"0": 1000}, profile)
    assert finding.verdict.outcome == "undecided"
    assert finding.verdict.reason == "600 rows are needed to decide: score has none in the training profile"


def test_counts_in_bins_that_the_profile_lacks_are_an_error_and_not_drift() -> None:
    finding = find({**SAME, "temp": {"0": 1, "7": 900, "8": 3, "9": 0}}, SAME_SCORE)
    assert finding.verdict.outcome == "error"
    assert finding.verdict.reason == "counted in bins that the profile lacks: temp (bin 7, 8)"


def test_a_look_that_could_not_be_taken_is_an_error_with_its_reason() -> None:
    assert could_not_look(4, WINDOW, "Prometheus is away") == DriftFinding(
        4, WINDOW, 0, Verdict("drift", "error", "Prometheus is away")
    )


def test_without_a_champion_there_is_nothing_to_compare() -> None:
    assert nothing_to_compare(WINDOW, "no version yet") == DriftFinding(
        0, WINDOW, 0, Verdict("drift", "undecided", "no version yet")
    )


COUNTS = st.fixed_dictionaries({label: st.integers(0, 2000) for label in TEMP.labels()})


@given(COUNTS, st.sampled_from([100, 600, 5000]))
def test_the_outcome_follows_from_the_features_and_the_rows(temp: dict[str, int], min_rows: int) -> None:
    spec = DriftSpec(min_rows=min_rows)
    finding = find({**SAME, "temp": temp}, SAME_SCORE, spec=spec)
    wanting = [rows for rows in (sum(temp.values()), 1000, 1000) if rows < min_rows]
    assert len(finding.features) == 3 - len(wanting)
    expected = "fail" if any(f.drifted for f in finding.features) else "undecided" if wanting else "pass"
    assert finding.verdict.outcome == expected
    shaped = [f.p_value < 1 / 2160 / 8 and f.psi >= 0.1 for f in finding.features]
    assert [any(sign.test == "shape" for sign in f.signs) for f in finding.features] == shaped
    assert all(f.drifted == bool(f.signs) for f in finding.features)


def _times(bins: Bins, factor: int) -> Bins:
    return Bins(bins.name, bins.kind, bins.edges, bins.categories, tuple(c * factor for c in bins.counts))


BAD = DriftFinding(4, WINDOW, 1000, Verdict("drift", "fail", "temp drifted", {"psi": 0.3}))


@pytest.mark.parametrize(
    ("p_value", "outcome", "reason"),
    [
        (1e-9, "fail", "temp drifted; confirmed by mmd on 900 rows against 1,000 of training (p < 1e-6, bound 0.05)"),
        (
            0.2,
            "undecided",
            "not confirmed by mmd on 900 rows against 1,000 of training (p 0.2, bound 0.05): temp drifted",
        ),
    ],
)
def test_a_second_look_confirms_what_the_counters_say_or_leaves_it_undecided(
    p_value: float, outcome: str, reason: str
) -> None:
    found = confirmed(Confirm(detector="mmd"), BAD, p_value, 1000, 900)
    assert (found.verdict.outcome, found.verdict.reason) == (outcome, reason)
    figures = {"confirm_p": p_value, "confirm_alpha": 0.05, "confirm_reference": 1000.0, "confirm_rows": 900.0}
    assert found.verdict.figures == {"psi": 0.3, **figures}
    assert (found.version, found.window, found.rows) == (4, WINDOW, 1000)


def test_without_a_second_look_nothing_is_decided_and_the_reason_says_why() -> None:
    found = unconfirmed(BAD, "12 rows")
    assert found.verdict == Verdict(
        "drift", "undecided", "no second look at the rows: 12 rows; the counters say: temp drifted", {"psi": 0.3}
    )
    assert unconfirmed(BAD, "it is away", "error").verdict.outcome == "error"
