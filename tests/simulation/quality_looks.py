"""The judge of quality as the job runs it, over years at once: every day anew at the latest windows.

The reckoning of `decide.evidence.weigh`, an array over the looks instead of a call for each; a test holds it to that.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from statistics import NormalDist

import numpy as np
import numpy.typing as npt

from serinus.decide import evidence
from serinus.facts import Measured
from serinus.spec import LoopSpec, QualitySpec
from serinus.spec.budget import apart
from serinus.stats import edetector, spread
from serinus.stats.figures import LOWER_IS_BETTER
from services.quality.job import WINDOWS

Floats = npt.NDArray[np.float64]
Bools = npt.NDArray[np.bool_]
AT_ONCE = 330  # looks


@dataclass(frozen=True)
class Stream:
    """Windows in the order of time, as losses, and what they are held against."""

    loss: Floats
    alike: Floats
    within: Floats
    holdout: float
    unsure: float
    days: float
    margin: float
    needed: float


def stream(spec: LoopSpec, metric: str, holdout: Measured, windows: Sequence[Measured]) -> Stream:
    """As `weigh` prepares them."""
    rules = spec.quality or QualitySpec()
    sign = 1.0 if metric in LOWER_IS_BETTER else -1.0
    unsure = evidence._error(holdout)
    alike = unsure * np.sqrt(holdout.rows / np.array([m.rows for m in windows], dtype=np.float64))
    within = np.maximum(alike, [evidence._error(m) for m in windows])
    needed = max(apart(rules.false_alarms) / rules.window, 1.0) / (1 - evidence.HOLDOUT_FAILS)
    days = max(spec.data.holdout / rules.window, 1.0)
    loss = sign * np.array([m.value for m in windows])
    return Stream(loss, alike, within, sign * holdout.value, unsure, days, rules.margin, needed)


def first_alarm(seen: Stream) -> int | None:
    """The first window after which the job, that looks back over WINDOWS of them, finds that quality fell."""
    for first in range(0, len(seen.loss), AT_ONCE):
        ends = np.arange(first, min(first + AT_ONCE, len(seen.loss)))
        fell = _standing(seen, ends[:, None] + np.arange(1 - WINDOWS, 1)[None, :])
        if fell.any():
            return int(ends[np.argmax(fell)])
    return None


def _standing(seen: Stream, places: npt.NDArray[np.intp]) -> Bools:
    """Whether an alarm stands after the last of each row's windows, shape (looks,); places below 0 are no windows."""
    there, at = places >= 0, np.maximum(places, 0)
    guess = (evidence.GUESS * max(seen.margin, seen.unsure)) ** 2
    v = between(seen.loss[at], seen.within[at], there, guess, evidence.WEIGHT)
    z = NormalDist().inv_cdf(1 - evidence.HOLDOUT_FAILS)
    over = seen.loss[at] - (seen.holdout + z * np.sqrt(seen.unsure**2 + v / seen.days) + seen.margin)
    expected, error = np.sqrt(seen.alike[at] ** 2 + v), np.sqrt(seen.within[at] ** 2 + v)
    needed, effects = math.log(seen.needed), np.array(edetector.EFFECTS)
    parts = np.full((len(at), len(effects)), -np.inf)
    standing, good = np.zeros(len(at), dtype=bool), np.zeros(len(at), dtype=bool)
    for i in range(at.shape[1]):
        slope = effects[None, :] / expected[:, i, None]
        factor = np.minimum(slope * over[:, i, None] - (slope * error[:, i, None]) ** 2 / 2, needed / 2)
        parts = np.where(there[:, i, None], np.logaddexp(parts, 0) + factor, parts)
        alarm = there[:, i] & (np.logaddexp.reduce(parts, axis=1) - math.log(len(effects)) >= needed)
        within = there[:, i] & (over[:, i] <= 0)
        standing = alarm | (standing & ~(within & good))
        good = within & ~alarm
        parts[alarm] = -np.inf
    return standing


def between(values: Floats, errors: Floats, there: Bools, guess: float, weight: float) -> Floats:
    """`spread.between` of each row's windows, which begin with the first that is `there`; all of shape (looks, n)."""
    looks, n = values.shape
    near, far, one = np.zeros(looks), np.zeros(looks), np.full(looks, guess)
    found, before = np.zeros_like(values), np.zeros(looks)  # windows before this one
    for i in range(n):
        near += np.where(before > 1, _excess(values, errors, i - 1, i - 2, one), 0)
        far += np.where(before > spread.FAR, _excess(values, errors, i - 1, i - 1 - spread.FAR, one), 0)
        one = np.maximum((weight * guess + near) / (weight + np.maximum(before - 1, 0)), guess / 20)
        lasting = (weight * guess + far) / (weight + np.maximum(before - spread.FAR, 0))
        like = np.minimum(_like(lasting / one) * before / (before + spread.WINDOWS), spread.LIKE)
        found[:, i] = one * (1 + like) / (1 - like) ** 2
        before += there[:, i]
    return found


def _like(ratio: Floats) -> Floats:
    low, high = np.zeros_like(ratio), np.full_like(ratio, 0.95)
    for _ in range(11):
        middle = (low + high) / 2
        more = (1 - middle**spread.FAR) / (1 - middle) < ratio
        low, high = np.where(more, middle, low), np.where(more, high, middle)
    return low


def _excess(values: Floats, errors: Floats, a: int, b: int, before: Floats) -> Floats:
    chance = (errors[:, a] ** 2 + errors[:, b] ** 2) / 2
    return np.asarray(np.minimum((values[:, a] - values[:, b]) ** 2 / 2, spread.ODD * (before + chance)) - chance)
