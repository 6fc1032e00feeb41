"""ingest: from the loop's source to a snapshot that has a version."""

from __future__ import annotations

from datetime import datetime
from pathlib import Path

from serinus import sources
from serinus.facts import Dataset
from serinus.ports import Open
from serinus.spec import ModelLoop
from serinus.steps import skew


def run(loop: str, folder: str, out: Path, now: datetime, records: Open | None = None) -> Dataset:
    """Read the window's rows and write their snapshot into `out`.

    loop: the ModelLoop as JSON. folder: where its file lies; "" where there is none. records: opens the collector's
    records, for a loop that learns from its own production. Raises DataError, Unavailable.
    """
    spec = ModelLoop.model_validate_json(loop)
    key = skew.key(spec)
    frame = sources.read(spec, Path(folder) if folder else None, now, records, (key,) if key else ())
    if key and records is not None and key in frame.columns:
        skew.keep(spec, key, frame, records, out)
    frame = frame.drop(columns=key, errors="ignore") if key else frame
    return sources.snapshot(frame, sources.describe(spec), spec.spec.data.time, out)
