"""Rows of a user's own function, `(Window) -> pandas.DataFrame`."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

from serinus import usercode
from serinus.errors import DataError
from serinus.facts import Window
from serinus.sources.columns import Columns
from serinus.spec import ModelLoop

if TYPE_CHECKING:
    import pandas as pd


def read(spec: ModelLoop, columns: Columns, window: Window, folder: Path | None) -> pd.DataFrame:  # noqa: ARG001
    """What the function gives for the window."""
    import pandas as pd

    reference = spec.spec.data.source.python
    assert reference is not None  # noqa: S101
    frame = usercode.resolve(reference, folder)(window)
    if not isinstance(frame, pd.DataFrame):
        raise DataError(f"python {reference}: expected a pandas DataFrame, got {type(frame).__name__}")
    return frame
