"""What the predictors counted of a version: rows by distribution and bin, over all the processes that served it."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Mapping

from serinus.decide.counts import LABELLED, OTHER
from serinus.facts import UNSEEN, Bins, Series, Window
from serinus.ports import Metrics

Counts = Mapping[str, int]
"""Rows by bin."""
FEATURES = "serinus_feature_bin_total"
SCORES = "serinus_score_bin_total"


def counted(metrics: Metrics, loop: str, version: int, window: Window) -> tuple[Mapping[str, Counts], Counts]:
    """The counts of every feature that has a series, and of the scores. Raises what the port does."""
    labels = {"loop": loop, "version": str(version)}
    features = metrics.increases(FEATURES, labels, window.start, window.end)
    scores = metrics.increases(SCORES, labels, window.start, window.end)
    names = {series.labels.get("feature", "") for series in features}
    found = {name: _tally(series for series in features if series.labels.get("feature") == name) for name in names}
    return found, _tally(scores)


def labelled(metrics: Metrics, loop: str, version: int, window: Window, label: Bins) -> Counts:
    """The truths that came in the window about the version's answers, by the bins of `label`; none where the collector
    has no series for some of the classes, whose shares cannot be told then. Raises what the port does.
    """
    found = metrics.increases(LABELLED, {"loop": loop, "version": str(version)}, window.start, window.end)
    rows: Counter[str] = Counter()
    for one in found:
        rows[one.labels.get("truth", "")] += round(one.increase)
    if rows[OTHER]:
        return {}
    places = {category: str(place) for place, category in enumerate(label.categories)}
    counts: Counter[str] = Counter()
    for truth, labels in rows.items():
        counts[places.get(truth, UNSEEN)] += labels
    return counts


def _tally(series: Iterable[Series]) -> Mapping[str, int]:
    rows: Counter[str] = Counter()
    for one in series:
        rows[one.labels.get("bin", "")] += round(one.increase)
    return rows
