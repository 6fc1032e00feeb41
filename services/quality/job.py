"""One look at quality: counts of what was answered and what was true in, a finding into the ledger."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from pathlib import Path

from serinus.decide import fairness
from serinus.decide.concept import explain
from serinus.decide.onset import onset
from serinus.decide.quality import GATE, judge, mature, metric_of
from serinus.errors import SerinusError, SpecError
from serinus.facts import (
    Change,
    QualityFinding,
    Request,
    RowsQuestion,
    TallyQuestion,
    Verdict,
    Window,
)
from serinus.ports import Ledger, ModelStore, Records
from serinus.spec import ModelLoop, QualitySpec
from services.learned import Learned, learned

BY = "quality job"
WINDOWS = 90
"""Windows that a look goes back at most."""
ROWS = 10_000
"""Labelled rows that a loss is explained by at most."""
_EPOCH = datetime(1970, 1, 1, tzinfo=UTC)


def check(
    spec: ModelLoop, ledger: Ledger, store: ModelStore, records: Records, now: datetime, *, models: Path
) -> QualityFinding:
    """Look once at everything that the champion answered in the latest windows, and leave the finding in the ledger's
    inbox, an `error` too. Whether a run follows is for the loop to decide.

    `models` is the folder of fetched model directories. Without a champion there is nothing to look at, and the
    finding, of version 0, is left nowhere. Raises what the ledger raises, and SpecError when the spec says nothing of
    quality.
    """
    quality = _quality(spec)
    champion = ledger.read(spec.name).status.champion
    if champion is None:
        reason = "no version serves everyone yet, so there is nothing to judge"
        return _unjudged(spec, 0, now, Verdict(GATE, "undecided", reason))
    try:
        known = learned(store, spec.name, champion, models)
        tallies = records.tally(spec.name, question(spec, quality, champion, now))
        finding = judge(spec, known.reference, champion, tallies, now, known.contract.positive)
        ripe = [tally for tally in tallies if mature(spec.spec, tally.window, now)]
        finding = replace(finding, fairness=fairness.telling(spec, champion, ripe, known.contract.positive))
        if finding.verdict.outcome == "fail":
            finding = replace(finding, change=_change(spec.name, known, records, finding))
    except SerinusError as error:
        finding = _unjudged(spec, champion, now, Verdict(GATE, "error", str(error)))
    finding = replace(finding, looked=now)
    name = f"quality-{champion}-{now.astimezone(UTC):%Y%m%dT%H%M%S.%fZ}"
    ledger.ask(spec.name, Request(name, "quality", now, BY, champion, finding.verdict.reason, quality=finding))
    return finding


def question(spec: ModelLoop, quality: QualitySpec, version: int, now: datetime) -> TallyQuestion:
    """The latest windows, up to the one that is not over yet. They begin at whole multiples of their length since 1970
    (UTC), so that every look means the same windows.
    """
    length = quality.window
    end = _EPOCH + ((now - _EPOCH) // length + 1) * length
    start = max(end - WINDOWS * length, _EPOCH)
    regression = spec.spec.task == "regression"
    return TallyQuestion(start, end, length / timedelta(seconds=1), version, fairness.columns(spec), regression)


def _change(loop: str, known: Learned, records: Records, finding: QualityFinding) -> Change | None:
    """What the loss comes from, by the rows since it began; None when there is nothing to hold them against."""
    if known.reference is None:
        return None
    asked = RowsQuestion(onset(finding), finding.version, labelled=True, limit=ROWS)
    return explain(known.reference, records.rows(loop, asked), known.contract.positive)


def _quality(spec: ModelLoop) -> QualitySpec:
    if spec.spec.quality is None:
        raise SpecError(["spec.quality: expected something, such as {}, to judge quality by; got nothing"])
    return spec.spec.quality


def _unjudged(spec: ModelLoop, version: int, now: datetime, verdict: Verdict) -> QualityFinding:
    window = Window(now - _quality(spec).window, now)
    return QualityFinding(version, metric_of(spec.spec), window, verdict)


def shown(finding: QualityFinding) -> Sequence[str]:
    """What a person wants to read of it, a line each."""
    lines = [
        f"{finding.verdict.outcome}: {finding.verdict.reason}",
        f"version {finding.version or '-'}, {len(finding.windows)} windows,"
        f" the latest judged ended {finding.window.end:%Y-%m-%d %H:%M:%S} UTC",
    ]
    if finding.change is not None:
        lines.append(f"{finding.change.kind}: {finding.change.reason}")
    return lines
