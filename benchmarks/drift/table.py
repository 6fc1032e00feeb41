"""What is counted of each tool in each case, as it is documented and at the same rate of false alarms."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from benchmarks.drift.asking import Heard, Stream, heard
from benchmarks.drift.programs import Tool
from benchmarks.drift.worlds import AFTER, CASES, CLEAN, FIRST, YEAR, Case

EVERY = 90  # windows between two false alarms that the limits are tuned to
TUNING, HELD = 1_000_000, 2_000_000  # seeds of the clean years that limits are tuned on, and of those that are counted
Floats = npt.NDArray[np.float64]
Alarms = npt.NDArray[np.bool_]


@dataclass(frozen=True)
class Cell:
    """A tool in a case, by its documented rule or (tuned) at the common rate of false alarms."""

    case: str
    tool: str
    tuned: bool
    streams: int
    windows: int  # of each
    yearly: float | None  # windows in alarm a year of windows, of a case in which nothing ever changes
    worst: float | None  # the year with most of them
    first: float | None  # share of streams in which the first window with the change raised the alarm
    found: float | None  # and of those in which one of the AFTER windows did
    median: float | None  # windows until it did, of all streams; None when half of them never do
    late: float | None  # and until it had in 95 % of them
    seconds: float  # of processor, a window


@dataclass(frozen=True)
class Limit:
    """Where a tool's figures of a window become an alarm: the largest of (figure - center) / scale above `most`."""

    center: tuple[float, ...]
    scale: tuple[float, ...]
    most: float

    def alarms(self, one: Heard) -> Alarms:
        """For each of a stream's windows."""
        return np.asarray(_largest(one, self.center, self.scale) > self.most)


def tuned(tool: Tool, clean: Sequence[Heard]) -> Limit:
    """The limit that clean windows exceed once in EVERY, at most; ties go to fewer alarms."""
    figures = np.array([window for one in clean for window in one.figures], dtype=np.float64)
    center, scale = np.zeros(figures.shape[1]), np.ones(figures.shape[1])
    if tool.scaled:
        center, scale = figures.mean(axis=0), np.maximum(figures.std(axis=0), 1e-12)
    by = tuple(center.tolist()), tuple(scale.tolist())
    largest = np.sort(np.concatenate([_largest(one, *by) for one in clean]))[::-1]
    return Limit(*by, float(largest[len(largest) // EVERY]))


def cells(
    tool: Tool,
    seeds: int,
    years: int,
    processes: int = 1,
    only: Sequence[str] = (),
    told: Callable[[str], object] = print,
) -> Iterator[Cell]:
    """Every case's two cells; a clean case is played for so many years, and so are those that limits are tuned on."""
    limit = tuned(tool, heard(tool, [Stream(CLEAN, TUNING + year, YEAR) for year in range(years)], processes))
    told(f"{tool.name}: the common rate is a limit of {limit.most:.4g}")
    for case in (case for case in CASES if not only or case.name in only):
        asked = streams(case, seeds, years)
        answers = heard(tool, asked, processes)
        seconds = sum(a.seconds for a in answers) / sum(len(a.drift) for a in answers)
        yield cell(case, tool, False, [np.asarray(a.drift, dtype=np.bool_) for a in answers], seconds)
        yield cell(case, tool, True, [limit.alarms(a) for a in answers], seconds)


def streams(case: Case, seeds: int, years: int) -> list[Stream]:
    """A case's."""
    if case.clean:
        return [Stream(case, HELD + year, YEAR) for year in range(years)]
    return [Stream(case, seed, FIRST + AFTER) for seed in range(seeds)]


def cell(case: Case, tool: Tool, by_limit: bool, alarms: Sequence[Alarms], seconds: float) -> Cell:
    """The figures of one rule; alarms: of each stream's windows."""
    number, windows = len(alarms), len(alarms[0])
    if case.clean:
        yearly = [float(one.mean()) * YEAR for one in alarms]
        mean, most = float(np.mean(yearly)), max(yearly)
        return Cell(case.name, tool.name, by_limit, number, windows, mean, most, None, None, None, None, seconds)
    waited = [_wait(one[FIRST:]) for one in alarms]
    late = [float(np.quantile(waited, share, method="higher")) for share in (0.5, 0.95)]
    median, most_waited = (None if np.isinf(one) else one for one in late)
    found = float(np.mean(np.isfinite(waited)))
    first = float(np.mean(np.asarray(waited) == 1))
    return Cell(
        case.name, tool.name, by_limit, number, windows, None, None, first, found, median, most_waited, seconds
    )  # fmt: skip


def _wait(alarms: Alarms) -> float:
    """Windows until the first alarm, counted from 1; infinite when there is none."""
    return float(np.argmax(alarms)) + 1 if alarms.any() else float("inf")


def _largest(one: Heard, center: Sequence[float], scale: Sequence[float]) -> Floats:
    figures = np.asarray(one.figures, dtype=np.float64)
    return np.asarray(((figures - np.asarray(center)) / np.asarray(scale)).max(axis=1))
