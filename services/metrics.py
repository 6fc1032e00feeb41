"""What a driver tells Prometheus about its loops: weights, verdicts, evidence, drift, quality, runs and events, under
DESIGN's names. The label `loop` alone tells loops apart: a loop's name is unique where its models are registered.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from datetime import datetime

from prometheus_client import CollectorRegistry, Counter, Gauge

from serinus.decide.events import KINDS
from serinus.facts import Plan, QualityFinding, RoutingState, Status, Verdict
from serinus.spec import ModelLoop

_Children = dict[tuple[str, ...], float]  # label values after the loop's -> value
PRODUCTION = "production"
"""The gate under which falling quality is told: a canary's guardrail has the name `quality`."""
OUTCOMES = ("pass", "fail", "undecided", "error")


@dataclass
class _Job:
    """A job that watches production: the series that tell whether it is silent."""

    every: Gauge
    looked: Gauge
    heard: datetime | None = None  # when it, or a promotion, was heard of last


class LoopMetrics:
    """The series of one loop, in a registry of their own; every event's counter exists at 0 from the start."""

    def __init__(self, loop: str) -> None:
        self.registry = CollectorRegistry()
        self._loop = loop
        self._weight = self._gauge("rollout_weight", "Share of traffic, in percent.", "version")
        self._verdict = self._gauge("verdict", "1 for the latest verdict of a gate.", "gate", "verdict")
        self._drift = self._gauge("drift_score", "Population stability index of the latest window.", "feature")
        self._champion = self._gauge("champion_version", "The version that serves everyone; 0: none does.")
        self._failed = self._gauge("last_run_failed", "1 when the last run that ended failed, 0 when it did not.")
        self._unseen = self._gauge("unseen", "1 for what the driver cannot see, or what else is wrong.", "subject")
        self._due = self._gauge("rollout_step_due_timestamp_seconds", "When the canary's step times out.", "version")
        self._evidence = self._gauge(
            "evidence_ratio", "Log evidence over the log that decides; 1 decides.", "gate", "of"
        )
        self._drift_job = _Job(
            self._gauge("drift_every_seconds", "How often the drift job is to look."),
            self._gauge(
                "drift_looked_timestamp_seconds",
                "End of the latest window that could be looked at; before one, when waiting began.",
            ),
        )
        self._quality_job = _Job(
            self._gauge("quality_every_seconds", "How often the quality job is to look."),
            self._gauge(
                "quality_looked_timestamp_seconds",
                "When the quality job could last look; before it could, when waiting began.",
            ),
        )
        self._quality = self._gauge(
            "quality",
            "The latest judged window's figure with its interval, and the accuracy estimated before labels come.",
            "version", "metric", "of",
        )  # fmt: skip
        self._labelled = self._gauge(
            "labelled_share",
            "Of the latest window whose labels had their time to come, the share that came.",
            "version",
        )
        self._needed = self._gauge("labelled_share_needed", "The share with which a window is judged.")
        self._worth = self._gauge(
            "worth", "What the answers of that window are worth, by the spec's `value`.", "version"
        )
        self._fairness = self._gauge(
            "fairness_gap",
            "How differently groups were treated where labels had their time to come, with its interval.",
            "version", "column", "metric", "of",
        )  # fmt: skip
        self._fair = self._gauge("fairness_gap_allowed", "`validation.fairness.maxGap`.")
        self._events = Counter("serinus_events", "Events of the loop.", ["loop", "event"], registry=self.registry)
        self._shown: dict[Gauge, set[tuple[str, ...]]] = {}
        for kind in KINDS:
            self._events.labels(loop, kind)

    def show(
        self, plan: Plan, routing: RoutingState | None, spec: ModelLoop | None = None, since: datetime | None = None
    ) -> None:
        """Bring every series up to what this look found.

        routing: None when nobody could see it. spec: as this look read it; without it nobody knows
        what is due when. since: when this driver began to look, from which a silent job's time is counted.
        """
        status, ended = plan.status, plan.status.last_run
        for event in plan.events:
            self._events.labels(self._loop, event.kind).inc()
        verdicts = (
            *(status.rollout.verdicts if status.rollout is not None else ()),
            *(finding.verdict for finding in status.drift[-1:]),
            *((replace(status.quality.verdict, gate=PRODUCTION),) if status.quality is not None else ()),
        )
        shown: dict[Gauge, _Children] = {
            self._weight: {(str(v.version),): v.weight for v in (routing.variants if routing is not None else ())},
            self._verdict: {(v.gate, outcome): float(outcome == v.outcome) for v in verdicts for outcome in OUTCOMES},
            self._drift: {(f.name,): f.psi for f in (status.drift[-1].features if status.drift else ())},
            self._champion: {(): status.champion or 0},
            self._failed: {(): float(ended.phase == "failed")} if ended is not None else {},
            self._unseen: {(subject,): 1.0 for subject in status.notices},
            self._due: _due(status, spec),
            self._evidence: _evidence(verdicts),
            **self._clocks(plan, spec, since),
            **self._production(status.quality, spec),
            **self._groups(status.quality, spec),
        }
        for gauge, values in shown.items():
            self._put(gauge, values)

    def _clocks(self, plan: Plan, spec: ModelLoop | None, since: datetime | None) -> dict[Gauge, _Children]:
        """When the jobs that watch production looked, and how often they should.

        A promotion takes the findings away, not the fact that they looked; they are waited for anew from then on.
        """
        status, parts = plan.status, spec.spec if spec is not None else None
        drift = [finding.window.end for finding in status.drift if finding.verdict.outcome != "error"]
        found = status.quality if status.quality is not None and status.quality.verdict.outcome != "error" else None
        quality = [found.looked] if found is not None and found.looked is not None else []
        jobs = (
            (self._drift_job, drift, parts.drift if parts is not None else None),
            (self._quality_job, quality, parts.quality if parts is not None else None),
        )
        promoted = [event.at for event in plan.events if event.kind == "Promoted"]
        shown: dict[Gauge, _Children] = {}
        for job, looked, wanted in jobs:
            job.heard = max([*looked, *promoted, *([job.heard] if job.heard is not None else [])], default=None)
            heard = job.heard if job.heard is not None else since
            awaited = wanted if status.champion is not None else None
            shown[job.every] = {(): awaited.every.total_seconds()} if awaited is not None else {}
            shown[job.looked] = {(): heard.timestamp()} if awaited is not None and heard is not None else {}
        return shown

    def _production(self, found: QualityFinding | None, spec: ModelLoop | None) -> dict[Gauge, _Children]:
        """What labels have shown of the version that was looked at; empty where nobody asks for it."""
        gauges = (self._quality, self._labelled, self._needed, self._worth)
        shown: dict[Gauge, _Children] = {gauge: {} for gauge in gauges}
        if found is None or spec is None or spec.spec.quality is None:
            return shown
        version = str(found.version)
        shown[self._needed] = {(): spec.spec.quality.min_share}
        for window in found.windows:  # oldest first: what a later one says takes the place of what an earlier one said
            if window.estimated is not None:
                shown[self._quality][version, "accuracy", "estimated"] = window.estimated.value
            if not window.mature or not window.rows:
                continue
            shown[self._labelled] = {(version,): window.labelled / window.rows}
            shown[self._worth] = {(version,): window.worth} if window.worth is not None else {}
            if window.measured is not None and window.window.end <= found.window.end:
                for of in ("value", "low", "high"):
                    shown[self._quality][version, found.metric, of] = getattr(window.measured, of)
        return shown

    def _groups(self, found: QualityFinding | None, spec: ModelLoop | None) -> dict[Gauge, _Children]:
        """How differently groups are treated in production; empty where nobody asks for it."""
        rules = spec.spec.validation.fairness if spec is not None and spec.spec.quality is not None else None
        if found is None or rules is None:
            return {self._fairness: {}, self._fair: {}}
        version = str(found.version)
        shown: _Children = {
            (version, gap.column, gap.metric, of): value
            for gap in found.fairness
            for of, value in (("value", gap.gap), ("low", gap.low), ("high", gap.high))
        }
        return {self._fairness: shown, self._fair: {(): rules.max_gap}}

    def _gauge(self, name: str, text: str, *labels: str) -> Gauge:
        return Gauge(f"serinus_{name}", text, ["loop", *labels], registry=self.registry)

    def _put(self, gauge: Gauge, values: _Children) -> None:
        """`gauge` has these children and no others. What stays is never taken away: a scrape may come in between."""
        for labels, value in values.items():
            gauge.labels(self._loop, *labels).set(value)
        for labels in self._shown.get(gauge, set()) - values.keys():
            gauge.remove(self._loop, *labels)
        self._shown[gauge] = set(values)


def _due(status: Status, spec: ModelLoop | None) -> _Children:
    if status.rollout is None or spec is None:
        return {}
    due = status.rollout.step_started + spec.spec.rollout.patience(status.rollout.step)
    return {(str(status.rollout.version),): due.timestamp()}


def _evidence(verdicts: Sequence[Verdict]) -> _Children:
    """By guardrail, how far the evidence is on its way: of harm to a rollback, of being safe to a promotion."""
    return {
        (verdict.gate, side): verdict.figures[f"log_{side}"] / verdict.figures[f"log_{side}_needed"]
        for verdict in verdicts
        for side in ("harm", "safe")
        if verdict.figures.get(f"log_{side}_needed")
    }
