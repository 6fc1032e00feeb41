"""A made-up record of a demo as it usually goes: 400 seconds, three promotions, two broken canaries thrown back."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from datetime import UTC, date, datetime, timedelta

import numpy as np

from serinus.facts import Event
from services.demo.record import Candidate, Judged, Month, Record, Tick

SECONDS = 400
BEGAN = datetime(2026, 1, 5, 9, 0, tzinfo=UTC)
FIRST_DAY, DAYS = date(2013, 2, 1), 273
FEATURES = (
    "carrier", "distance", "hour", "humid", "origin", "precip", "score", "temp", "visib", "wind_speed",
)  # fmt: skip
LIMITS = {"errors": 2.3010, "latency": 2.9031, "rejections": 2.9031}  # 1:200, 1:800


@dataclass(frozen=True)
class Course:
    """How one made-up candidate fared."""

    version: int
    cause: str
    fault: str
    outcome: str
    reason: str
    started: int
    traffic: int | None
    ended: int | None

    def weight(self, second: int) -> int:
        """Its share in percent at that second, as a canary or afterwards."""
        if self.traffic is None or second < self.traffic:
            return 0
        if self.ended is not None and second >= self.ended:
            return 100 if self.outcome == "promoted" else 0
        step = (second - self.traffic) // 9
        return (20, 40, 50)[min(step, 2)]


COURSES = (
    Course(2, "drift", "", "promoted", "errors: canary 0 of 402 (0.0 %) against stable 0 of 811 (0.0 %), not worse by "
           "1 percentage point with evidence 1:41 (needed 1:20); latency: canary 1 of 402 (0.2 %) against stable 2 of "
           "811 (0.2 %), not worse by 2 percentage points with evidence 1:380 (needed 1:20)", 62, 94, 123),
    Course(3, "manual", "errors", "rolled-back", "errors: canary 14 of 96 (14.6 %) against stable 0 of 371 (0.0 %), "
           "worse by more than 1 percentage point with evidence 1:15,210 (needed 1:200)", 158, 188, 199),
    Course(4, "drift", "", "promoted", "errors: canary 0 of 377 (0.0 %) against stable 0 of 790 (0.0 %), not worse by "
           "1 percentage point with evidence 1:36 (needed 1:20)", 204, 231, 259),
    Course(5, "manual", "slow", "rolled-back", "latency: canary 44 of 50 (88.0 %) against stable 1 of 322 (0.3 %), "
           "worse by more than 2 percentage points with evidence 1:10^9 (needed 1:800)", 276, 304, 312),
    Course(6, "drift", "", "promoted", "errors: canary 0 of 418 (0.0 %) against stable 0 of 866 (0.0 %), not worse by "
           "1 percentage point with evidence 1:44 (needed 1:20)", 318, 349, 378),
    Course(7, "drift", "", "under way", "", 386, None, None),
)  # fmt: skip


def record(seed: int = 7) -> Record:
    """The record; the same seed gives the same one."""
    draw = np.random.default_rng(seed)
    ticks = tuple(_ticks(draw))
    requests = sum(tick.requests for tick in ticks)
    return Record(
        ticks=ticks,
        months=_months(draw),
        candidates=tuple(_candidates(ticks)),
        events=tuple(sorted(_events(ticks), key=lambda pair: pair[0])),
        requests=requests,
        rows=requests * 4,
        failed=0,
        injected=14,
        p50=0.0081,
        p99=0.0427,
        limits=LIMITS,
        judged=tuple(_judged(draw)),
        unit="EUR",
        addresses={"mlflow": "http://127.0.0.1:5000", "prometheus": "http://127.0.0.1:9090"},
    )


def _champion(second: int) -> int:
    return max(
        [1, *(c.version for c in COURSES if c.outcome == "promoted" and c.ended is not None and c.ended <= second)]
    )


def _trained(second: int) -> int:
    """The second at which the data of the version that serves was cut off."""
    return next((c.started for c in COURSES if c.version == _champion(second)), 0)


def _ticks(draw: np.random.Generator) -> Iterator[Tick]:
    psi: dict[str, float] = {}
    drifted: tuple[str, ...] = ()
    for second in range(SECONDS):
        if second % 5 == 0:
            psi = _psi(second, draw)
            drifted = tuple(name for name, value in psi.items() if value >= 0.1)
        champion = _champion(second)
        flying = next((c for c in COURSES if c.weight(second) not in (0, 100)), None)
        canary = None if flying is None else flying.version
        share = 0 if flying is None else flying.weight(second)
        fresh = any(c.outcome == "promoted" and c.ended is not None and 0 <= second - c.ended < 4 for c in COURSES)
        harm, verdicts = ({}, {}) if flying is None else _evidence(flying, second)
        yield Tick(
            seconds=float(second),
            flying=(FIRST_DAY + timedelta(days=second * DAYS // SECONDS)).isoformat(),
            weights={champion: 100} if canary is None else _split(champion, canary, share, draw),
            requests=int(draw.poisson(50)),
            psi={} if fresh else psi,
            drifted=() if fresh else drifted,
            canary=canary,
            harm=harm,
            verdicts=verdicts,
        )


def _split(champion: int, canary: int, share: int, draw: np.random.Generator) -> dict[int, int]:
    """What fifty callers see of the weights in one second."""
    seen = 2 * int(draw.binomial(50, share / 100))
    return {champion: 100 - seen, canary: seen} if seen else {champion: 100}


def _psi(second: int, draw: np.random.Generator) -> dict[str, float]:
    age = (second - _trained(second)) / SECONDS
    noise = dict(zip(FEATURES, draw.gamma(2.0, 0.008, len(FEATURES)), strict=True))
    season = {"temp": 1.0, "humid": 0.45, "visib": 0.25, "wind_speed": 0.3, "score": 0.5, "precip": 0.1}
    return {name: float(noise[name] + season.get(name, 0.02) * age**1.3) for name in FEATURES}


def _evidence(course: Course, second: int) -> tuple[dict[str, float], dict[str, str]]:
    assert course.traffic is not None
    age = second - course.traffic
    harm = {"errors": -0.03 * age, "latency": -0.02 * age - 0.1 * (age % 3), "rejections": -0.012 * age}
    if course.fault == "errors":
        harm["errors"] = 0.23 * max(age - 1, 0)  # the look that ends it leaves no tick behind
    if course.fault == "slow":
        harm["latency"] = 0.55 * max(age - 3, 0)
    verdicts = {
        name: "pass" if age > 17 and value < 0 and name != "errors" else "undecided" for name, value in harm.items()
    }
    assert all(value < LIMITS[name] for name, value in harm.items())
    return harm, verdicts


def _said(course: Course) -> str:
    ends = {"promoted": "serves everyone: ", "rolled-back": "was rolled back: "}
    return f"version {course.version} {ends[course.outcome]}{course.reason}" if course.outcome in ends else ""


def _months(draw: np.random.Generator) -> tuple[Month, ...]:
    frozen = (0.684, 0.660, 0.676, 0.704, 0.691, 0.683, 0.667, 0.655, 0.638)
    gains = (0.0, 0.021, 0.058, 0.047, 0.061, 0.055, 0.062, 0.052, 0.043)
    served = ({1: 100}, {1: 100}, {1: 26, 2: 74}, {2: 96, 3: 4}, {2: 55, 3: 2, 4: 43}, {4: 100}, {4: 97, 5: 3},
              {4: 83, 6: 17}, {4: 20, 6: 80})  # fmt: skip
    rows = draw.integers(8300, 9500, len(frozen))
    return tuple(
        Month(
            f"2013-{i + 2:02d}",
            int(rows[i]),
            f + g,
            f,
            {v: int(rows[i]) * s // 100 for v, s in served[i].items()},
            worth=0.7 * int(rows[i]),
            worth_frozen=0.5 * int(rows[i]),
        )
        for i, (f, g) in enumerate(zip(frozen, gains, strict=True))
    )


def _judged(draw: np.random.Generator) -> Iterator[Judged]:
    for start in range(0, SECONDS, 12):
        for version in sorted({_champion(start), _champion(start + 11)}):
            auc, rows = 0.70 + 0.02 * float(draw.standard_normal()), int(draw.integers(700, 2500))
            half = 1.1 / rows**0.5
            labelled = rows if start < SECONDS - 12 else rows // 2
            yield Judged(start, start + 12, version, auc, auc - half, auc + half, rows, labelled, 0.6 * labelled)


def _candidates(ticks: tuple[Tick, ...]) -> Iterator[Candidate]:
    for course in COURSES:
        answers = sum(tick.requests * tick.weights.get(course.version, 0) // 100 for tick in ticks)
        yield Candidate(
            version=course.version,
            cause=course.cause,
            fault=course.fault,
            outcome=course.outcome,
            reason=_said(course),
            started=float(course.started) + 0.4,
            first_traffic=None if course.traffic is None else float(course.traffic),
            ended=None if course.ended is None else float(course.ended),
            answers=answers,
            bad={"errors": 14, "slow": 44}.get(course.fault, 0),
        )


def _events(ticks: tuple[Tick, ...]) -> Iterator[tuple[float, Event]]:
    def event(
        second: float, kind: str, message: str, version: int | None = None, **figures: float
    ) -> tuple[float, Event]:
        return second, Event(BEGAN + timedelta(seconds=second), kind, message, version, figures)

    yield event(-12.0, "Promoted", "version 1 serves everyone: no champion to compare with", 1)
    violated = False
    for tick in ticks:
        if bool(tick.drifted) != violated:
            violated = not violated
            message = (
                f"{len(tick.drifted)} of {len(FEATURES)} drifted: {', '.join(tick.drifted)}" if violated else "gone"
            )
            kind = "DriftFound" if violated else "DriftGone"
            yield event(tick.seconds, kind, message, _champion(int(tick.seconds)), psi_bound=0.1)
    for course in COURSES:
        yield event(course.started, "RunRequested", f"flight-delay-{course.cause}-{course.started}: asked for")
        if course.traffic is not None:
            yield event(course.traffic - 5, "RunSucceeded", f"registered version {course.version}", course.version)
            yield event(course.traffic, "RolloutStarted", f"version {course.version} now gets 20 %", course.version)
        if course.ended is not None:
            kind = "Promoted" if course.outcome == "promoted" else "RolledBack"
            yield event(course.ended, kind, _said(course), course.version)
