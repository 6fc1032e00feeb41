"""Whether a window of traffic still looks like the rows a version learned from."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace

from serinus.decide.shifts import NAMED
from serinus.facts import Bins, DriftFinding, FeatureDrift, Outcome, Profile, Verdict, Window
from serinus.spec import Confirm, DriftSpec
from serinus.stats.distances import psi

GATE = "drift"
SCORE = "score"
"""The name under which the distribution of the model's scores is one more feature."""

Counts = Mapping[str, int]
"""Rows by bin, the bins as `Bins.labels()` names them; a bin that is not there has none."""
Engine = Callable[[Sequence[Sequence[int]], Sequence[Sequence[int]]], tuple[float, ...]]
"""The p-values of the chi-squared tests, as `serinus.detectors.Engine` describes them."""


@dataclass(frozen=True)
class _Pair:
    """One distribution: of the training rows, and of the window's."""

    name: str
    reference: tuple[int, ...]
    current: tuple[int, ...]
    alien: tuple[str, ...]  # bins that were counted and that the profile does not have

    @property
    def rows(self) -> int:
        return sum(self.current)


def compare(
    spec: DriftSpec,
    version: int,
    profile: Profile,
    features: Mapping[str, Counts],
    score: Counts,
    *,
    p_values: Engine,
    window: Window,
) -> DriftFinding:
    """The finding over `window`, from the rows counted in it for each of the features and for the score.

    A distribution (a feature's, or the score's) has drifted when its p-value is below `alpha` shared over all of them
    (Bonferroni) and its PSI is at least `psi`: with traffic enough significance alone flags differences too small to
    matter, and with little of it size alone is noise. One that drifted puts the window in violation.

    A distribution with fewer than `min_rows` rows is not decided, and then neither is the window, unless another one
    has drifted: no data is not a pass. Counts in a bin that the profile does not have are not this version's, which
    is an `error`.
    """
    pairs = [_pair(bins.name, bins, features.get(bins.name, {})) for bins in profile.features]
    pairs.append(_pair(SCORE, profile.score, score))
    rows = max(pair.rows for pair in pairs)
    alien = [f"{pair.name} (bin {', '.join(pair.alien)})" for pair in pairs if pair.alien]
    if alien:
        return could_not_look(version, window, f"counted in bins that the profile lacks: {'; '.join(alien)}", rows)

    ready = [pair for pair in pairs if pair.rows >= spec.min_rows and sum(pair.reference) > 0]
    bound = spec.alpha / len(pairs)
    tests = p_values([pair.reference for pair in ready], [pair.current for pair in ready])
    found = tuple(_drift(spec, pair, p, bound) for pair, p in zip(ready, tests, strict=True))
    wanting = [pair for pair in pairs if pair not in ready]
    figures = {
        "rows": float(rows),
        "distributions": float(len(pairs)),
        "drifted": float(sum(f.drifted for f in found)),
        "psi": max((f.psi for f in found), default=0.0),
        "psi_bound": spec.psi,
        "p_bound": bound,
    }
    return DriftFinding(version, window, rows, _verdict(spec, found, wanting, figures), found)


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


def _pair(name: str, bins: Bins, counts: Counts) -> _Pair:
    labels = bins.labels()
    alien = tuple(sorted(label for label, rows in counts.items() if rows and label not in labels))
    return _Pair(name, bins.counts, tuple(counts.get(label, 0) for label in labels), alien)


def _drift(spec: DriftSpec, pair: _Pair, p_value: float, bound: float) -> FeatureDrift:
    size = psi(pair.reference, pair.current)
    return FeatureDrift(pair.name, p_value, size, drifted=p_value < bound and size >= spec.psi)


def _verdict(
    spec: DriftSpec, found: Sequence[FeatureDrift], wanting: Sequence[_Pair], figures: Mapping[str, float]
) -> Verdict:
    total, rows = len(found) + len(wanting), f"{figures['rows']:,.0f} rows"
    bounds = f"bounds: PSI {spec.psi:g}, p {figures['p_bound']:.2g}"
    drifted = sorted((f for f in found if f.drifted), key=lambda f: -f.psi)
    missing = "; ".join(_wants(pair) for pair in wanting)
    if drifted:
        parts = [f"{len(drifted)} of {total} distributions drifted over {rows}: {_named(drifted)}"]
        parts += [bounds, *([f"not decided: {missing}"] if missing else [])]
        return Verdict(GATE, "fail", "; ".join(parts), figures)
    if not found and all(sum(pair.reference) for pair in wanting):
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
    p = f"p {feature.p_value:.1g}" if feature.p_value >= 1e-6 else "p < 1e-6"
    return f"{feature.name} (PSI {feature.psi:.2f}, {p})"


def _wants(pair: _Pair) -> str:
    return f"{pair.name} has {pair.rows:,}" if sum(pair.reference) else f"{pair.name} has none in the training profile"
