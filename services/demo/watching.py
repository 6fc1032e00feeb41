"""What the demo notes down once a second, from the ledger and from the callers' answers."""

from __future__ import annotations

import math
import time
from dataclasses import dataclass, field

from serinus.adapters.file_ledger import FileLedger
from serinus.decide import guardrails
from serinus.facts import Event, RunRecord, Status
from services.demo.record import Tick
from services.demo.traffic import Replay


@dataclass
class Watching:
    """The demo's eyes; `look` is called once a second."""

    ledger: FileLedger
    loop: str
    traffic: Replay
    ticks: list[Tick] = field(default_factory=list)
    runs: dict[str, RunRecord] = field(default_factory=dict)  # by key, as last seen
    counted: int = 0
    failed: int = 0  # answers that were not 200, whoever's fault; told apart when all is over

    @property
    def seconds(self) -> float:
        """Since the first request; 0 before it."""
        return time.monotonic() - self.traffic.began if self.traffic.began else 0.0

    @property
    def requests(self) -> int:
        """Answered so far."""
        return len(self.traffic.answers)

    def look(self) -> Status:
        """Note one second down."""
        status = self.ledger.read(self.loop).status
        for run in (status.run, status.last_run):
            if run is not None:
                self.runs[run.key] = run
        new = self.traffic.answers[self.counted : self.requests]
        self.counted += len(new)
        self.failed += sum(a.status != 200 for a in new)
        weights: dict[int, int] = {}
        for answer in new:
            if answer.version is not None:
                weights[answer.version] = weights.get(answer.version, 0) + 1
        rollout, latest = status.rollout, status.drift[-1] if status.drift else None
        self.ticks.append(
            Tick(
                seconds=self.seconds,
                flying=self.traffic.day,
                weights=_percents(weights),
                requests=len(new),
                psi={f.name: f.psi for f in latest.features} if latest is not None else {},
                drifted=tuple(f.name for f in latest.features if f.drifted) if latest is not None else (),
                canary=rollout.version if rollout is not None and rollout.step >= 0 else None,
                harm={
                    name: guardrails.harm_now(evidence) / math.log(10)
                    for name, evidence in (rollout.evidence.items() if rollout is not None else ())
                },
                verdicts={v.gate: v.outcome for v in rollout.verdicts} if rollout is not None else {},
            )
        )
        return status

    def events(self) -> tuple[tuple[float, Event], ...]:
        """All events, by seconds since the first request (those before it are negative)."""
        offset = time.time() - self.seconds
        return tuple((event.at.timestamp() - offset, event) for event in self.ledger.events(self.loop, 10_000))


def _percents(answers: dict[int, int]) -> dict[int, int]:
    """Shares of the answers in whole percents; what callers saw, not what was wanted."""
    total = sum(answers.values())
    return {version: round(100 * count / total) for version, count in sorted(answers.items())}
