"""Asking the compared programs about streams, each in a process of its own."""

from __future__ import annotations

import json
import subprocess
from collections.abc import Iterable, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from types import TracebackType
from typing import BinaryIO, cast

import numpy as np

from benchmarks.drift import worlds
from benchmarks.drift.programs import Tool, one_thread
from benchmarks.elsewhere.drift_wire import write_table


@dataclass(frozen=True)
class Stream:
    """A case, played with a seed for so many windows."""

    case: worlds.Case
    seed: int
    windows: int


@dataclass(frozen=True)
class Heard:
    """What a tool said of a stream's windows, in their order: its figure of each column, and its documented verdict."""

    figures: tuple[tuple[float, ...], ...]
    drift: tuple[bool, ...]
    seconds: float  # of processor, all windows


class Talk:
    """A tool's process while it is asked."""

    def __init__(self, tool: Tool) -> None:
        self._tool = tool
        self._process = subprocess.Popen(
            tool.command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=subprocess.DEVNULL, env=one_thread()
        )
        pipes = self._process.stdin, self._process.stdout
        self._into, self._said = cast("tuple[BinaryIO, BinaryIO]", pipes)

    def __enter__(self) -> Talk:
        return self

    def __exit__(
        self, _kind: type[BaseException] | None, error: BaseException | None, _trace: TracebackType | None
    ) -> None:
        if error is not None:
            self._process.kill()
        self._process.communicate()

    def ask(self, stream: Stream) -> Heard:
        """What it says of the stream. Raises RuntimeError when it ends."""
        reference = worlds.reference(stream.case, stream.seed)
        about = {"names": worlds.NAMES, "kinds": worlds.KINDS, "rows": worlds.WINDOW}
        answers = []
        try:
            write_table(self._into, {"reference": reference.shape, **about}, reference)
            for rows in worlds.windows(stream.case, stream.seed, stream.windows):
                write_table(self._into, {"window": rows.shape}, rows)
                answers.append(json.loads(self._said.readline()))
        except (BrokenPipeError, json.JSONDecodeError) as error:
            command = " ".join(self._tool.command)
            raise RuntimeError(f"{self._tool.name}: expected an answer, it ended; see what `{command}` says") from error
        return Heard(
            tuple(tuple(a["figures"]) for a in answers),
            tuple(a["drift"] for a in answers),
            float(np.sum([a["seconds"] for a in answers])),
        )


def heard(tool: Tool, streams: Sequence[Stream], processes: int = 1) -> list[Heard]:
    """What a tool says of each of the streams, asked in so many processes at once."""

    def some(mine: Iterable[Stream]) -> list[Heard]:
        with Talk(tool) as talk:
            return [talk.ask(stream) for stream in mine]

    shares = [streams[first::processes] for first in range(processes)]
    with ThreadPoolExecutor(processes) as pool:
        answers = list(pool.map(some, shares))
    return [answers[place % processes][place // processes] for place in range(len(streams))]
