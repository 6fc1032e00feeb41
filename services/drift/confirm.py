"""A second look at drift, on the collector's rows instead of the counters' bins, before a retrain is paid for."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from serinus.decide.drift import confirmed, unconfirmed
from serinus.detectors import rows
from serinus.errors import SerinusError
from serinus.facts import DriftFinding, Record, Reference, RowsQuestion
from serinus.ports import Open
from serinus.spec import Confirm, ModelLoop

FEWEST = 100
"""Rows on either side, with fewer of which there is nothing to say."""


def second_look(
    spec: ModelLoop, confirm: Confirm, reference: Reference | None, finding: DriftFinding, records: Open | None
) -> DriftFinding:
    """The finding, which is in violation, confirmed or not by the rows of its window.

    Compared are the columns that the collector keeps as they were served with the training rows in the version's
    reference. Without these, or with too few rows, the finding is not decided; when the collector cannot be asked it
    is an `error`.
    """
    if records is None:
        return unconfirmed(finding, "there is no collector (SERINUS_COLLECTOR_URL)", "error")
    if reference is None:
        return unconfirmed(finding, f"version {finding.version} was made without a reference; a new run makes one")
    try:
        asked = RowsQuestion(finding.window, finding.version, limit=confirm.rows)
        found = records().rows(spec.name, asked)
        columns = _columns(spec, reference, found)
        training = _some(reference, columns, confirm.rows)
        now, before = len(found), len(training[columns[0]]) if columns else 0
        if not columns:
            return unconfirmed(finding, "no column is kept as it was served (collect.columns, collect.hash)")
        if min(now, before) < FEWEST:
            return unconfirmed(finding, f"{now:,} rows against {before:,} of training; {FEWEST} each are needed")
        current = {name: [record.prediction.features.get(name) for record in found] for name in columns}
        p_value = rows.TABLE[confirm.detector](training, current)
    except SerinusError as error:
        return unconfirmed(finding, str(error), "error")
    return confirmed(confirm, finding, p_value, before, now)


def _columns(spec: ModelLoop, reference: Reference, found: Sequence[Record]) -> tuple[str, ...]:
    """Those that are known of training, and of production as they were served."""
    hidden = spec.spec.collect.hash if spec.spec.collect is not None else ()
    served = {name for record in found for name in record.prediction.features}
    return tuple(name for name in reference.sample if name in served and name not in hidden)


def _some(reference: Reference, columns: Sequence[str], most: int) -> rows.Sample:
    """At most so many of the training rows, evenly over their time."""
    total = len(next(iter(reference.sample.values()), ()))
    places = np.linspace(0, max(total - 1, 0), min(most, total)).round().astype(int)
    return {name: [reference.sample[name][place] for place in places] for name in columns}
