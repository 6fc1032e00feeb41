"""Rows in Parquet or CSV files: one file, a folder or a glob, on this machine or behind any fsspec URI."""

from __future__ import annotations

import os
from pathlib import Path
from typing import TYPE_CHECKING, Any

from serinus.errors import DataError
from serinus.facts import Window
from serinus.sources.columns import Columns
from serinus.spec import ModelLoop

if TYPE_CHECKING:
    import pandas as pd

ENDINGS = {".parquet": "parquet", ".pq": "parquet", ".csv": "csv", ".csv.gz": "csv"}


def read(spec: ModelLoop, columns: Columns, window: Window, folder: Path | None) -> pd.DataFrame:  # noqa: ARG001
    """The needed columns of every file, in the order of their names.

    Whole files only: a writer writes under another name (`.` or `_` first, or `.tmp` last) and renames when it is
    done; such names are passed over.
    """
    import fsspec
    import pandas as pd

    wanted = spec.spec.data.source.files
    assert wanted is not None  # noqa: S101
    fs, path = fsspec.core.url_to_fs(_located(wanted.uri, folder))
    names = _names(fs, path)
    if not names:
        raise DataError(f"files {wanted.uri}: expected a file, a folder of Parquet or CSV files or a glob, found none")
    frames = [_one(fs, name, wanted.format, columns) for name in names]
    return pd.concat(frames, ignore_index=True)


def _located(uri: str, folder: Path | None) -> str:
    if "://" in uri or Path(uri).is_absolute() or folder is None:
        return uri
    return os.path.join(folder.resolve(), uri)  # noqa: PTH118


def _names(fs: Any, path: str) -> list[str]:
    if any(c in path for c in "*?["):
        found = fs.glob(path)
    elif fs.isdir(path):
        found = fs.find(path)
    else:
        found = [path] if fs.exists(path) else []
    return sorted(n for n in found if not n.rsplit("/", 1)[-1].startswith((".", "_")) and not n.endswith(".tmp"))


def _one(fs: Any, name: str, form: str, columns: Columns) -> pd.DataFrame:
    import pandas as pd

    kind = form if form != "auto" else next((k for e, k in ENDINGS.items() if name.endswith(e)), None)
    if kind is None:
        raise DataError(f"{name}: expected a name that ends in {', '.join(ENDINGS)}; or set data.source.files.format")
    with fs.open(name, "rb") as file:
        if kind == "csv":
            return pd.read_csv(file, usecols=list(columns.all), dtype=dict.fromkeys(columns.texts, str))
        return pd.read_parquet(file, columns=list(columns.all))
