"""A drift benchmark's tables for the libraries that take pandas; needs pandas and numpy, of any version."""

from __future__ import annotations

import pandas as pd

from benchmarks.elsewhere.drift_wire import Rows, Table


def frame(rows: Rows, like: Table) -> pd.DataFrame:
    """`rows` under the names of `like`: categories as text, what is missing still missing."""
    made = pd.DataFrame(rows, columns=list(like.names))
    for name in like.of("categorical"):
        made[name] = made[name].map("c{:.0f}".format, na_action="ignore")
    return made
