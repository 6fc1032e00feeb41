"""How a drift benchmark talks to a library in an environment of its own: tables in, one line of JSON a window out.

Needs numpy alone, of any version. On standard input a message is one line of JSON and then a table's bytes, row by row,
float64: `{"reference": [rows, columns], "names": [...], "kinds": [...]}` starts a stream, `{"window": [rows, columns]}`
asks about the next window of it. Of a categorical column the values are the categories' numbers; NaN is missing.
"""

from __future__ import annotations

import json
import sys
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, BinaryIO

import numpy as np
import numpy.typing as npt

Rows = npt.NDArray[np.float64]


@dataclass(frozen=True)
class Table:
    """Rows, shape (n, columns), with their columns' names and kinds: "numeric" or "categorical"."""

    names: tuple[str, ...]
    kinds: tuple[str, ...]
    rows: Rows

    def of(self, kind: str) -> list[str]:
        """The names of the columns of a kind."""
        return [name for name, its in zip(self.names, self.kinds, strict=True) if its == kind]


@dataclass(frozen=True)
class Said:
    """What a library says of a window: its own figure of each column, larger when there is more drift (of a p-value
    -log10), and whether that is drift by the rule that it documents.
    """

    figures: tuple[float, ...]
    drift: bool


Look = Callable[[Rows], Said]
Fit = Callable[[Table, int | None], Look]
"""`(reference, rows of a window or None) -> look`: the library, fitted; None: as many as it likes, one look only."""


def read_table(stream: BinaryIO, shape: Sequence[int]) -> Rows:
    """The table that follows a message. Raises EOFError when it breaks off."""
    rows, columns = shape
    data = stream.read(rows * columns * 8)
    if len(data) != rows * columns * 8:
        raise EOFError(f"expected {rows * columns * 8} bytes of a table, got {len(data)}")
    return np.frombuffer(data, dtype=np.float64).reshape(rows, columns)


def write_table(stream: BinaryIO, message: dict[str, Any], rows: Rows) -> None:
    """A message and its table."""
    stream.write(json.dumps(message).encode() + b"\n")
    stream.write(np.ascontiguousarray(rows, dtype=np.float64).tobytes())
    stream.flush()


def serve(fit: Fit, source: BinaryIO, out: Callable[[str], object]) -> None:
    """Answers a stream's windows until the input ends."""
    look: Look | None = None
    while line := source.readline():
        message = json.loads(line)
        began = time.process_time()
        if "reference" in message:
            rows = read_table(source, message["reference"])
            look = fit(Table(tuple(message["names"]), tuple(message["kinds"]), rows), message["rows"])
            continue
        if look is None:
            raise ValueError("expected a reference before the first window, got a window")
        said = look(read_table(source, message["window"]))
        spent = time.process_time() - began
        out(json.dumps({"figures": list(said.figures), "drift": bool(said.drift), "seconds": spent}))


def main(fit: Fit, arguments: Sequence[str]) -> None:
    """Without arguments `serve`; with REFERENCE.npy WINDOW.npy COLUMNS.json one look at that window, and no more."""

    def out(line: str) -> None:
        sys.stdout.write(line + "\n")
        sys.stdout.flush()

    if not arguments:
        serve(fit, sys.stdin.buffer, out)
        return
    reference, window, columns = arguments
    about = json.loads(Path(columns).read_text())
    known = np.load(reference, allow_pickle=False)
    table = Table(tuple(about["names"]), tuple(about["kinds"]), known)
    said = fit(table, None)(np.load(window, allow_pickle=False))
    out(json.dumps({"drift": bool(said.drift)}))
