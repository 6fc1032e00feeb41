"""check: whether the snapshot's rows are good enough to learn from; measured here, decided in decide/data.py."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import datetime
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from serinus import artifact, models, sources, wire
from serinus.decide import data
from serinus.errors import GateFailed
from serinus.facts import Contract, Dataset, Verdict
from serinus.spec import ModelLoop
from serinus.steps import card, skew

if TYPE_CHECKING:
    import pandas as pd

REPORT, PAGE = "check.json", "check.html"


@dataclass(frozen=True)
class CheckReport:
    """Every check of a snapshot, the failed ones first."""

    loop: str
    dataset: Dataset
    verdict: Verdict
    findings: tuple[data.Finding, ...]


def run(loop: str, dataset: Path, champion: Path | None, out: Path, now: datetime) -> CheckReport:
    """Check the snapshot in `dataset` and write `check.json` and `check.html` into `out`.

    loop: the ModelLoop as JSON. champion: the serving model's directory, whose categories count as seen.
    Raises GateFailed with every failed check's sentence, after writing; ArtifactError for a champion that was changed.
    """
    spec = ModelLoop.model_validate_json(loop)
    frame, about = sources.open_snapshot(dataset)
    contract = None if champion is None else _contract(champion)
    findings = data.decide(spec.spec, measure(spec, frame, about, contract), now)
    verdict, (served, lines) = data.verdict(findings), skew.findings(dataset)
    if served is not None:
        verdict = replace(verdict, figures={**verdict.figures, **skew.figures(served)})
        findings = (*findings, *lines)
    report = CheckReport(spec.name, about, verdict, findings)
    out.mkdir(parents=True, exist_ok=True)
    (out / REPORT).write_bytes(wire.dump(report))
    (out / PAGE).write_text(card.checks(spec.name, about, report.verdict, findings), encoding="utf-8")
    if report.verdict.outcome != "pass":
        raise GateFailed("check", [finding.reason for finding in findings if not finding.passed])
    return report


def _contract(champion: Path) -> Contract:
    artifact.verify(champion)
    return wire.load(Contract, (champion / artifact.CONTRACT).read_bytes())


def measure(spec: ModelLoop, frame: pd.DataFrame, about: Dataset, champion: Contract | None) -> data.Measured:
    """Everything that `decide.data` looks at; `frame` is as `sources.open_snapshot` gives it."""
    known = {} if champion is None else {b.name: set(b.categories) for b in champion.profile.features if b.categories}
    features = {*spec.spec.data.features.numeric, *spec.spec.data.features.categorical}
    columns = {
        name: _column(
            frame[name], about.schema.get(name, str(frame[name].dtype)), known.get(name) if name in features else None
        )
        for name in frame.columns
    }
    split = {spec.spec.data.time, spec.spec.data.label} <= set(frame.columns)
    train, holdout = models.split(spec, frame) if split else (frame.iloc[:0], frame.iloc[:0])
    return data.Measured(
        rows=len(frame),
        columns=columns,
        duplicates=float(frame.duplicated().mean()),
        newest=about.window.end,
        train=_part(spec, train),
        holdout=_part(spec, holdout),
    )


def _column(values: pd.Series[Any], kind: str, known: set[str] | None) -> data.Column:
    nulls = float(values.isna().mean())
    if kind == "double":
        numbers = values.to_numpy(dtype=np.float64)
        present = numbers[~np.isnan(numbers)]
        low, high = (float(present.min()), float(present.max())) if present.size else (None, None)
        return data.Column(kind, nulls, low, high, int(np.isinf(present).sum()))
    if known is None:
        return data.Column(kind, nulls)
    counts: Mapping[str, int] = {str(k): int(n) for k, n in values.value_counts().items() if k not in known}
    strangers: Sequence[str] = list(counts)[:5]  # the most frequent ones
    return data.Column(kind, nulls, unseen=sum(counts.values()) / len(values), strangers=tuple(strangers))


def _part(spec: ModelLoop, rows: pd.DataFrame) -> data.Part:
    if spec.spec.task == "regression" or spec.spec.data.label not in rows.columns:
        return data.Part(len(rows))
    counts = rows[spec.spec.data.label].value_counts().sort_index()
    return data.Part(len(rows), {str(kind): int(count) for kind, count in counts.items()})
