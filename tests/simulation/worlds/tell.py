"""Rollouts' endings as figures: shares with their bounds, times, answers that were hurt."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from scipy.special import betaincinv

from tests.simulation.worlds.play import Ending


@dataclass(frozen=True)
class Summary:
    """What came of a scenario's rollouts."""

    seeds: int
    harm: int  # rolled back for harm
    timeout: int  # rolled back, or still held, because they convinced nobody in time
    promoted: int
    upper: float  # 95 % Clopper-Pearson upper bound of the share rolled back for harm
    median: float  # seconds to the end; NaN of no seeds
    high: float  # 95 % of them ended by then
    hurt: float  # mean of the canary's answers that stable would have given better


def summary(endings: Sequence[Ending]) -> Summary:
    """The figures of one scenario under one judge."""
    harm = sum(e.cause == "harm" for e in endings)
    promoted = sum(e.action == "promote" for e in endings)
    times = [e.seconds for e in endings]
    return Summary(
        len(endings),
        harm,
        len(endings) - harm - promoted,
        promoted,
        upper(harm, len(endings)),
        float(np.median(times)),
        float(np.quantile(times, 0.95)),
        float(np.mean([e.hurt for e in endings])),
    )


def upper(found: int, of: int, miss: float = 0.05) -> float:
    """The one-sided Clopper-Pearson bound that a share exceeds with probability `miss` at most."""
    return 1.0 if found >= of else float(betaincinv(found + 1, of - found, 1 - miss))


HEAD = f"{'':42}{'rolled back':>12}{'<= 95 %':>9}{'timeout':>9}{'promoted':>9}{'median':>9}{'p95':>8}{'hurt':>8}"


def line(name: str, s: Summary) -> str:
    """One row under HEAD."""
    shares = f"{s.harm / s.seeds:>12.1%}{s.upper:>9.1%}{s.timeout / s.seeds:>9.1%}{s.promoted / s.seeds:>9.1%}"
    return f"{name:42}{shares}{s.median:>7.0f} s{s.high:>6.0f} s{s.hurt:>8.1f}"
