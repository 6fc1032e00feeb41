"""From what the demo noted down to its record: quality by month, what became of each candidate, promises kept."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import replace
from datetime import timedelta

import numpy as np
import numpy.typing as npt
import pandas as pd

from serinus import models
from serinus.decide import guardrails
from serinus.facts import Dataset, Event, RunRecord, Window
from serinus.models import scoring
from serinus.spec import ModelLoop
from serinus.stats import quality
from services.demo import labels
from services.demo.record import Candidate, Judged, Month, Record, Tick
from services.demo.traffic import Answer, Replay
from services.demo.watching import Watching

Floats = npt.NDArray[np.float64]
GAIN = 0.03  # of the mean AUC from March to October, over January's model, never retrained
PROMOTIONS = 2
_JUDGED = [f"2013-{month:02d}" for month in range(3, 11)]


def make(
    watching: Watching,
    traffic: Replay,
    spec: ModelLoop,
    january: pd.DataFrame,
    broken: Mapping[str, str],
    judged: Sequence[Judged] = (),
) -> Record:
    """The record of a demo that is over.

    january: the flights that the loop had at its start. broken: which runs trained a candidate that the demo broke.
    judged: what the labels said of each version.
    """
    answers = sorted(traffic.answers, key=lambda a: a.sent)
    events = watching.events()
    candidates = _candidates(answers, watching.runs, events, broken, slow=_threshold(spec))
    faulty = {c.version for c in candidates if c.fault == "errors"}
    wrong = [a for a in answers if a.status != 200]
    injected = [a for a in wrong if a.status == 500 and a.version in faulty]
    times = np.array([a.seconds for a in answers if a.status == 200])
    record = Record(
        ticks=_ticks(watching.ticks, wrong, injected),
        months=_months(traffic.rows, answers, spec, january),
        candidates=candidates,
        events=events,
        requests=len(answers),
        rows=sum(a.rows for a in answers),
        failed=len(wrong) - len(injected),
        injected=len(injected),
        p50=float(np.quantile(times, 0.5)) if times.size else math.nan,
        p99=float(np.quantile(times, 0.99)) if times.size else math.nan,
        limits={rail.name: rail.needed_harm / math.log(10) for rail in guardrails.active(spec.spec.rollout)},
        judged=tuple(judged),
        unit=spec.spec.value.unit if spec.spec.value is not None else "",
    )
    return replace(record, missed=missed(record))


def missed(record: Record) -> tuple[str, ...]:
    """The promises that were not kept, in sentences."""
    broken = {c.fault: c for c in record.candidates if c.fault}
    promoted = [c for c in record.candidates if c.outcome == "promoted" and not c.fault]
    drift = [c for c in promoted if c.cause == "drift"]
    said = []
    if record.failed:
        said.append(f"{record.failed} of {record.requests} requests failed")
    if len(promoted) < PROMOTIONS:
        said.append(f"{len(promoted)} canaries were promoted, expected at least {PROMOTIONS}")
    if not drift:
        said.append("no retrain that drift asked for was promoted")
    for fault in ("errors", "slow"):
        if fault not in broken:
            said.append(f"the broken candidate {fault!r} never came to its rollout")
        elif broken[fault].outcome != "rolled-back":
            said.append(f"the broken candidate {fault!r} was not rolled back: {broken[fault].outcome}")
    judged = [m for m in record.months if m.month in _JUDGED]
    if lacking := sorted(set(_JUDGED) - {m.month for m in judged}):
        said.append(f"nothing is known of the quality in {', '.join(lacking)}")
    elif not record.judged:
        said.append("no label reached the collector, so that nothing is known of quality by version")
    elif not (gain := float(np.mean([m.loop - m.frozen for m in judged]))) >= GAIN:  # NaN is no gain
        said.append(f"the loop gained {gain:.4f} of AUC over January's model, expected at least {GAIN}")
    return tuple(said)


def _ticks(ticks: Sequence[Tick], wrong: Sequence[Answer], injected: Sequence[Answer]) -> tuple[Tick, ...]:
    """The ticks with their failed requests, now that it is known whose fault each was."""
    edges = [tick.seconds for tick in ticks]

    def count(answers: Sequence[Answer]) -> npt.NDArray[np.int64]:
        at = np.searchsorted(edges, [a.sent + a.seconds for a in answers])
        return np.bincount(np.minimum(at, len(edges) - 1), minlength=len(edges))

    if not ticks:
        return ()
    all_wrong, ours = count(wrong), count(injected)
    return tuple(
        replace(tick, failed=int(all_wrong[i] - ours[i]), injected=int(ours[i])) for i, tick in enumerate(ticks)
    )


def _months(rows: pd.DataFrame, answers: Sequence[Answer], spec: ModelLoop, january: pd.DataFrame) -> tuple[Month, ...]:
    """ROC AUC by month, of the loop's answers and of January's model on the very same flights."""
    from sklearn.metrics import roc_auc_score

    served, by = _served(rows, answers)
    answered = rows[~np.isnan(served)]
    by = by[~np.isnan(served)]
    served = served[~np.isnan(served)]
    frozen = _frozen(answered, spec, january)
    months = answered["time_hour"].dt.strftime("%Y-%m").to_numpy()
    truth = answered["late"].to_numpy()
    return tuple(
        Month(
            month=str(month),
            rows=int(chosen.sum()),
            loop=float(roc_auc_score(truth[chosen], served[chosen])),
            frozen=float(roc_auc_score(truth[chosen], frozen[chosen])),
            versions={int(v): int(n) for v, n in zip(*np.unique(by[chosen], return_counts=True), strict=True)},
            worth=_worth(spec, truth[chosen], served[chosen]),
            worth_frozen=_worth(spec, truth[chosen], frozen[chosen]),
        )
        for month in np.unique(months)
        if len(np.unique(truth[chosen := months == month])) == 2
    )


def _worth(spec: ModelLoop, truth: npt.NDArray[np.int64], scores: Floats) -> float:
    """Of what a caller is told: late when that is the more probable."""
    told = np.where(scores > 0.5, "1", "0")
    return labels.worth(spec, quality.cells(truth.astype(str).tolist(), told.tolist(), scores))


def _served(rows: pd.DataFrame, answers: Sequence[Answer]) -> tuple[Floats, npt.NDArray[np.int64]]:
    """For each row the score that its caller got (NaN without one), and the version that gave it."""
    first = int(rows["flight_id"].iloc[0])
    scores, by = np.full(len(rows), np.nan), np.zeros(len(rows), dtype=np.int64)
    for answer in answers:
        at = slice(answer.first - first, answer.first - first + len(answer.scores))
        scores[at] = answer.scores
        by[at] = answer.version or 0
    return scores, by


def _frozen(rows: pd.DataFrame, spec: ModelLoop, january: pd.DataFrame) -> Floats:
    """Scores of a model by the loop's recipe that learned all of January, and nothing after it.

    The first version kept a part of January as its holdout; nobody who never retrains would waste it.
    """
    data = spec.spec.data.model_copy(update={"holdout": timedelta(hours=1)})
    recipe = spec.model_copy(update={"spec": spec.spec.model_copy(update={"data": data})})
    window = Window(january["time_hour"].min(), january["time_hour"].max())
    labelled = january.assign(**{data.label: january[data.label].astype(str)})  # labels as a pipeline reads them
    estimator, contract = models.fit(recipe, labelled, Dataset("", "January", window, len(january), {}), None)
    return scoring.score(contract, estimator, rows)


def _candidates(
    answers: Sequence[Answer],
    runs: Mapping[str, RunRecord],
    events: Sequence[tuple[float, Event]],
    broken: Mapping[str, str],
    slow: float,
) -> tuple[Candidate, ...]:
    """Every version that came after the first one, oldest first."""
    found = []
    for run in sorted(runs.values(), key=lambda r: r.requested):
        version = run.version
        if version is None or run.cause == "initial":
            continue
        mine = [a for a in answers if a.version == version]
        fault = broken.get(run.key, "")
        end = next(((t, e) for t, e in events if e.version == version and e.kind in _ENDS), None)
        judged = [a for a in mine if end is None or a.sent <= end[0]]
        found.append(
            Candidate(
                version=version,
                cause=run.cause,
                fault=fault,
                outcome=_ENDS[end[1].kind] if end is not None else "under way",
                reason=end[1].message if end is not None else "",
                started=next((t for t, e in events if e.kind == "RunRequested" and run.key in e.message), math.nan),
                first_traffic=mine[0].sent if mine else None,
                ended=end[0] if end is not None else None,
                answers=len(judged),
                harm=end[1].figures if end is not None else {},
                bad=sum(a.seconds > slow if fault == "slow" else a.status == 500 for a in judged),
            )
        )
    return tuple(found)


_ENDS = {"Promoted": "promoted", "RolledBack": "rolled-back", "VersionSuperseded": "superseded", "Rejected": "rejected"}


def _threshold(spec: ModelLoop) -> float:
    latency = spec.spec.rollout.guardrails.latency
    return latency.threshold.total_seconds() if latency is not None else math.inf
