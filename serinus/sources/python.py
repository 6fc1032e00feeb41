"""Rows of a user's own function, `(Window) -> pandas.DataFrame`."""

from __future__ import annotations

from typing import TYPE_CHECKING

from serinus import usercode
from serinus.errors import DataError, SerinusError
from serinus.facts import Window
from serinus.sources.columns import Columns, typed
from serinus.sources.place import Place
from serinus.spec import Source

if TYPE_CHECKING:
    import pandas as pd


def read(source: Source, columns: Columns, window: Window, place: Place) -> pd.DataFrame:
    """What the function gives for the window. Raises DataError when it fails or gives no DataFrame."""
    import pandas as pd

    where = f"python {source.python}"
    function = usercode.resolve(str(source.python), place.folder)
    try:
        frame = function(window)
    except SerinusError:  # it may say itself what is wrong, and whether to look again
        raise
    except Exception as error:  # a user's function may fail in any way; the traceback stays with the cause
        raise DataError(f"{where}: failed for {window}: {type(error).__name__}: {error}") from error
    if not isinstance(frame, pd.DataFrame):
        raise DataError(f"{where}: expected a pandas DataFrame, got {type(frame).__name__}")
    return typed(frame, columns, where)
