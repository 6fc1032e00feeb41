"""Training-serving skew, beside a snapshot: looked at by ingest, which sees the source's keys, and shown by check.

It is a report: whatever it says, and whether or not it could be had, it fails no run.
"""

from __future__ import annotations

import logging
from collections.abc import Iterator
from pathlib import Path
from typing import TYPE_CHECKING

from serinus import wire
from serinus.decide.data import Finding
from serinus.errors import SerinusError
from serinus.facts import Value
from serinus.ports import Open
from serinus.spec import ModelLoop
from serinus.stats.skew import Skew, compare

if TYPE_CHECKING:
    import pandas as pd

log = logging.getLogger(__name__)

FILE = "skew.json"
KEYS = 1000
"""The newest keys of the table that are looked for in production."""


def key(spec: ModelLoop) -> str:
    """The column of the source with the business key; "" where nothing is collected by one, or no other source."""
    data, collect = spec.spec.data, spec.spec.collect
    if collect is None or collect.key is None or data.source.production is not None:
        return ""
    taken = (data.time, data.label, *data.features.numeric, *data.features.categorical, *spec.spec.validation.columns)
    return collect.key if collect.key not in taken else ""


def keep(spec: ModelLoop, key: str, frame: pd.DataFrame, records: Open, out: Path) -> None:
    """Write into `out` how the newest keyed rows of `frame` were served, as far as the collector can be asked."""
    collect, data = spec.spec.collect, spec.spec.data
    hidden = collect.hash if collect is not None else ()
    columns = [c for c in (*data.features.numeric, *data.features.categorical) if c not in hidden]
    rows = frame[frame[key].notna()].drop_duplicates(key, keep="last").tail(KEYS)
    table: dict[str, dict[str, Value]] = {
        str(name): {str(column): value for column, value in row.items()}
        for name, row in zip(rows[key], rows[columns].to_dict("records"), strict=True)
    }
    try:
        found = records().find(spec.name, keys=list(table)) if table else ()
    except SerinusError as error:
        log.warning("whether features were served as the table has them is not known: %s", error)
        return
    served = {record.prediction.key: record.prediction.features for record in found}  # oldest first: the latest stays
    out.mkdir(parents=True, exist_ok=True)
    (out / FILE).write_bytes(wire.dump(compare(table, served, columns)))


def findings(dataset: Path) -> tuple[Skew | None, tuple[Finding, ...]]:
    """What was kept beside the snapshot, and a line of the check's page for each feature."""
    if not (dataset / FILE).exists():
        return None, ()
    skew = wire.load(Skew, (dataset / FILE).read_bytes())
    return skew, tuple(_lines(skew))


def figures(skew: Skew) -> dict[str, float]:
    """For the check's verdict."""
    shares = {f"skew_{column.name}": column.share for column in skew.columns if column.rows}
    return {"skew_keys": float(skew.served), **shares}


def _lines(skew: Skew) -> Iterator[Finding]:
    for column in skew.columns:
        if not column.rows:
            continue
        text = f"{column.share:.1%} of {column.rows:,} keys"
        more = f", such as {column.example}" if column.example else ""
        reason = f"{column.name}: served otherwise than the table has it for {text}{more}"
        yield Finding("training-serving skew", column.name, True, text, "reported only", reason)
