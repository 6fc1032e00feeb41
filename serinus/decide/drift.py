"""Whether a window of traffic still looks like the rows a version learned from."""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import replace

from serinus.decide.distributions import (
    SCALES,
    SCORE,
    Counts,
    Distribution,
    Engine,
    distribution,
    enough,
    judge,
    kinds,
    known,
)
from serinus.drift_words import NAMED
from serinus.facts import (
    Bins,
    Cell,
    DriftFinding,
    DriftSign,
    FeatureDrift,
    Outcome,
    Profile,
    Stretches,
    Verdict,
    Window,
)
from serinus.spec import Confirm, DriftSpec
from serinus.spec.budget import apart

GATE = "drift"
SIGNS = {"shape": "PSI {:.2f}", "shift": "{:+.2f} sd", "missing": "missing {:+.1%}", "unseen": "unseen {:+.1%}"}
MOST = 0.05  # the level of a look, where the budget would allow for more


def level(spec: DriftSpec) -> float:
    """How likely a look at traffic in which nothing has changed may be to find a window in violation.

    The looks between two false alarms that the budget allows share it alike (a union bound), so that it holds whatever
    the windows have in common. Fewer than the looks could be reckoned with where windows overlap, but not many fewer:
    of an hourly look at a day's window at these levels about 19 of 24 count (the rate of upcrossings of a triangular
    covariance, Slepian 1961), which is nothing in the size of a shift that is found.
    """
    return min(spec.every / apart(spec.false_alarms), MOST)


def compare(
    spec: DriftSpec,
    version: int,
    profile: Profile,
    features: Mapping[str, Counts],
    score: Counts,
    *,
    p_values: Engine,
    window: Window,
    parts: Sequence[Mapping[str, Counts]] = (),
    before: Sequence[Mapping[str, Counts]] = (),
    stretches: Stretches | None = None,
) -> DriftFinding:
    """The finding over `window`, from the rows counted in it for each of the features and for the score.

    Pure, and its cost does not grow with the rows. `parts` are the counts of the window's parts in the order of time
    and `before` those of as long windows before it, oldest first, both by distribution (`SCORE` for the score's) and
    bin. Both may be left out: rows are then taken to be independent, and a drift too slow for one window is not seen.
    `stretches` tell how unlike each other windows are in which nothing has changed; without, that is not known.

    A distribution (a feature's, or the score's) has drifted when one of its tests is significant and its change large
    enough: `psi` for the shape of the histogram, `shift` for numbers that have become larger or smaller, `missing` for
    the share of missing or unseen values. With traffic enough significance alone flags differences too small to
    matter, and with little of it size alone is noise. One that drifted puts the window in violation.

    `level` is shared over all tests of all distributions (Bonferroni): half of it for the window itself, the other half
    for the latest 2, 4 and 8 windows, each looked at as one (a window-limited scan for a change of unknown age: Willsky
    & Jones 1976; Lai 1995, "Sequential changepoint detection in quality control and dynamical systems").

    A distribution with fewer than `min_rows` rows in all of them is not decided, and then neither is the window, unless
    another one has drifted: no data is not a pass. Counts in a bin that the profile does not have are not this
    version's, which is an `error`.
    """
    counted = {**features, SCORE: score}
    length = (window.end - window.start).total_seconds()
    share = min(stretches.seconds / length, 1.0) if stretches is not None else 1.0
    pairs = [
        distribution(
            bins,
            counted.get(bins.name, {}),
            (part.get(bins.name, {}) for part in parts),
            (older.get(bins.name, {}) for older in before),
            stretches.alike.get(bins.name) if stretches is not None else None,
            share,
        )
        for bins in (*profile.features, profile.score)
    ]
    rows = max(pair.rows for pair in pairs)
    alien = [f"{pair.name} (bin {', '.join(pair.alien)})" for pair in pairs if pair.alien]
    if alien:
        return could_not_look(version, window, f"counted in bins that the profile lacks: {'; '.join(alien)}", rows)

    bounds = _bounds(spec, pairs)
    ready = [p for p in pairs if known(spec, p) and any(enough(spec, p, windows) for windows in bounds)]
    found = judge(spec, ready, bounds, p_values)
    wanting = [pair for pair in pairs if pair not in ready]
    figures = {
        "rows": float(rows),
        "distributions": float(len(pairs)),
        "drifted": float(sum(f.drifted for f in found)),
        "psi": max((f.psi for f in found), default=0.0),
        "psi_bound": spec.psi,
        "p_bound": bounds[1],
        "clumps": max((f.clumps for f in found), default=1.0),
        "windows": float(max(bounds)),
    }
    return DriftFinding(version, window, rows, _verdict(spec, found, wanting, figures), found)


def of_labels(name: str, cells: Sequence[Cell]) -> Bins | None:
    """The distribution of the labels of the holdout that `cells` count, as one more to compare; None where there are
    none: of a regression, or of a version that was made before they were counted.
    """
    rows: Counter[str] = Counter()
    for cell in cells:
        if cell.truth is not None:
            rows[cell.truth] += cell.rows
    if not rows:
        return None
    categories = tuple(sorted(rows))
    return Bins(name, "categorical", categories=categories, counts=(*(rows[one] for one in categories), 0, 0))


def held_against(profile: Profile, counted: Sequence[Mapping[str, Counts]]) -> Profile:
    """The profile's bins with the rows of other windows in place of training's, by distribution and bin."""

    def held(bins: Bins) -> Bins:
        rows = [one.get(bins.name, {}) for one in counted]
        return replace(bins, counts=tuple(sum(one.get(label, 0) for one in rows) for label in bins.labels()))

    score = held(profile.score)
    return Profile(sum(score.counts), tuple(held(bins) for bins in profile.features), score)


def confirmed(confirm: Confirm, finding: DriftFinding, p_value: float, before: int, now: int) -> DriftFinding:
    """A finding in violation after a second look on rows, `before` of training against `now` of the window: as it was
    when that is significant too, else not decided, so that it neither asks for a retrain nor counts as a window.
    """
    figures = {
        **finding.verdict.figures,
        "confirm_p": p_value,
        "confirm_alpha": confirm.alpha,
        "confirm_reference": float(before),
        "confirm_rows": float(now),
    }
    p = f"p {p_value:.2g}" if p_value >= 1e-6 else "p < 1e-6"
    looked = f"{confirm.detector} on {now:,} rows against {before:,} of training ({p}, bound {confirm.alpha:g})"
    if p_value < confirm.alpha:
        verdict = Verdict(GATE, "fail", f"{finding.verdict.reason}; confirmed by {looked}", figures)
    else:
        verdict = Verdict(GATE, "undecided", f"not confirmed by {looked}: {finding.verdict.reason}", figures)
    return replace(finding, verdict=verdict)


def unconfirmed(finding: DriftFinding, why: str, outcome: Outcome = "undecided") -> DriftFinding:
    """A finding in violation that no second look could be had at; `why` says why not."""
    reason = f"no second look at the rows: {why}; the counters say: {finding.verdict.reason}"
    return replace(finding, verdict=Verdict(GATE, outcome, reason, finding.verdict.figures))


def could_not_look(version: int, window: Window, reason: str, rows: int = 0) -> DriftFinding:
    """The finding of a look that saw nothing it could trust; `reason` says why."""
    return DriftFinding(version, window, rows, Verdict(GATE, "error", reason))


def nothing_to_compare(window: Window, reason: str) -> DriftFinding:
    """The finding while no version serves everyone: there is no profile to hold the traffic against."""
    return DriftFinding(0, window, 0, Verdict(GATE, "undecided", reason))


def _bounds(spec: DriftSpec, pairs: Sequence[Distribution]) -> dict[int, float]:
    """By how many windows are looked at as one: the p-value below which one test of one distribution is significant."""
    tests = sum(len(kinds(pair.bins)) for pair in pairs)
    most = max(len(pair.before) for pair in pairs) + 1
    # The windows before are themselves the reference when it is not training.
    scales = [scale for scale in SCALES if scale <= most] if spec.reference == "training" else [1]
    first, *others = scales
    share = level(spec) / tests
    return {first: share / 2 if others else share, **{scale: share / 2 / len(others) for scale in others}}


def _verdict(
    spec: DriftSpec, found: Sequence[FeatureDrift], wanting: Sequence[Distribution], figures: Mapping[str, float]
) -> Verdict:
    total, rows = len(found) + len(wanting), f"{figures['rows']:,.0f} rows"
    bounds = f"bounds: PSI {spec.psi:g}, p {figures['p_bound']:.2g}"
    drifted = sorted((f for f in found if f.drifted), key=lambda f: -f.psi)
    missing = "; ".join(_wants(spec, pair) for pair in wanting)
    if drifted:
        parts = [f"{len(drifted)} of {total} distributions drifted over {rows}: {_named(drifted)}"]
        parts += [bounds, *([f"not decided: {missing}"] if missing else [])]
        return Verdict(GATE, "fail", "; ".join(parts), figures)
    if not found and all(known(spec, pair) for pair in wanting):
        return Verdict(GATE, "undecided", f"{rows} in the window; {spec.min_rows:,} are needed to decide", figures)
    if wanting:
        return Verdict(GATE, "undecided", f"{spec.min_rows:,} rows are needed to decide: {missing}", figures)
    largest = max(found, key=lambda f: f.psi)
    text = f"none of {total} distributions drifted over {rows}; the largest change: {_text(largest)}; {bounds}"
    return Verdict(GATE, "pass", text, figures)


def _named(drifted: Sequence[FeatureDrift]) -> str:
    more = f" and {len(drifted) - NAMED} more" if len(drifted) > NAMED else ""
    return f"{', '.join(map(_text, drifted[:NAMED]))}{more}"


def _text(feature: FeatureDrift) -> str:
    signs = feature.signs or (DriftSign("shape", feature.psi, feature.p_value),)
    return f"{feature.name} ({'; '.join(map(_sign, signs))})"


def _sign(sign: DriftSign) -> str:
    size = SIGNS[sign.test].format(sign.effect).replace("%", " %")
    p = f"p {sign.p_value:.1g}" if sign.p_value >= 1e-6 else "p < 1e-6"
    return f"{size}, {p}" + (f" over {sign.windows} windows" if sign.windows > 1 else "")


def _wants(spec: DriftSpec, pair: Distribution) -> str:
    if known(spec, pair):
        return f"{pair.name} has {pair.rows:,}"
    if spec.reference == "training":
        return f"{pair.name} has none in the training profile"
    return f"{pair.name} has {sum(pair.bins.counts):,} in the reference ({spec.reference})"
