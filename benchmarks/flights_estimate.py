"""Accuracy before labels come, on real flights: our estimate, NannyML's, and what turned out to be true.

    python -m benchmarks.flights_estimate [--share 0.5] [--nannyml PYTHON]

For every month a model is made by the pipeline's code from the rows before it, its holdout being the newest two weeks;
the month's answers are estimated from their scores alone and compared with the truth. `--nannyml` names the Python of
an environment with `benchmarks/elsewhere/nannyml.txt`; `make bench-estimate` makes one. What scores say cannot follow a
world in which the same flights have other delays by now: a month counts as one with concept drift when the squared
error at unchanged inputs (`decide.concept`) is more than 0.01 from what it was on the holdout, either way.
"""

from __future__ import annotations

import argparse
import json
import subprocess
import tempfile
import time
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path

import numpy as np
import numpy.typing as npt
import pandas as pd

from serinus import loading, models
from serinus.decide import concept
from serinus.facts import Contract, Dataset, Prediction, Record, Reference, Value, Window
from serinus.models import reference, scoring
from serinus.sources.columns import Columns, typed
from serinus.spec import ModelLoop
from serinus.stats import estimate, quality
from services.demo import flights

LOOP = Path(__file__).resolve().parents[1] / "examples" / "flights" / "loop.yaml"
MONTHS = range(2, 13)
WITHIN = 0.02
SAME = 0.01  # of squared error
ROWS = 4000  # records of a month that the cause of a loss is looked for in


@dataclass(frozen=True)
class Month:
    """One month as it was answered, estimated, and turned out."""

    month: int
    rows: int
    truth: tuple[float, float]  # accuracy, ROC AUC
    ours: tuple[float, float]
    moved: float  # of the squared error, at unchanged inputs

    @property
    def same(self) -> bool:
        """Whether the same inputs have the same truth as on the holdout, as far as losses show it."""
        return abs(self.moved) <= SAME


def main() -> int:
    """Print the table; 1 when an estimate is further than 0.02 off in a month without concept drift."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--share", type=float, default=0.5, help="of the flights")
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--nannyml", type=Path, help="Python of an environment that has it")
    given = parser.parse_args()
    spec = loading.read(LOOP)
    frame = typed(flights.read(given.share, given.seed), Columns.of(spec), "flights")
    known: list[pd.DataFrame] = []
    asked: list[pd.DataFrame] = []
    began = time.process_time()
    months = [_month(spec, frame, number, known, asked) for number in MONTHS]
    took = time.process_time() - began
    theirs = _elsewhere(given.nannyml, pd.concat(known), pd.concat(asked)) if given.nannyml else {}
    return _told(months, theirs, took)


def _month(
    spec: ModelLoop, frame: pd.DataFrame, number: int, known: list[pd.DataFrame], asked: list[pd.DataFrame]
) -> Month:
    from sklearn.metrics import roc_auc_score

    border = pd.Timestamp(datetime(2013, number, 1, tzinfo=UTC))
    past, rows = frame[frame["time_hour"] < border], frame[frame["time_hour"].dt.month == number]
    window = Window(past["time_hour"].min(), past["time_hour"].max())
    estimator, contract = models.fit(spec, past, Dataset("", "flights", window, len(past), {}), None)
    train, holdout = models.split(spec, past)
    said = reference.make(contract, estimator, train, holdout, spec.spec.training.seed)
    answered = scoring.answer(contract, estimator, rows)
    labels, truth = np.array(answered.labels), rows["late"].to_numpy(dtype=str)
    cells = quality.cells([None] * len(labels), labels.tolist(), answered.scores)
    positive = contract.positive
    assert positive is not None
    ours = estimate.accuracy(said.cells, cells, positive), estimate.roc_auc(said.cells, cells, positive)
    assert ours[0] is not None
    assert ours[1] is not None
    before = scoring.answer(contract, estimator, holdout)
    known.append(_table(number, before.scores, np.array(before.labels), holdout["late"].to_numpy(dtype=str)))
    asked.append(_table(number, answered.scores, labels, truth))
    return Month(
        number, len(rows),
        (float((labels == truth).mean()), float(roc_auc_score(truth == positive, answered.scores))),
        (ours[0].value, ours[1].value), _moved(contract, said, rows, answered.scores, labels, spec.spec.training.seed),
    )  # fmt: skip


def _moved(
    contract: Contract, said: Reference, rows: pd.DataFrame, scores: npt.NDArray[np.float64],
    labels: npt.NDArray[np.str_], seed: int,
) -> float:  # fmt: skip
    """The mean of the squared error less what it was on the holdout's rows of the same region."""
    chosen = np.sort(np.random.default_rng(seed).choice(len(rows), min(ROWS, len(rows)), replace=False))
    names = [field.name for field in contract.fields]
    features = rows.iloc[chosen][names].astype(object)
    features = features.where(features.notna(), None)
    records = [
        Record(Prediction(str(i), 1, at.to_pydatetime(), row, float(scores[i]), str(labels[i])), truth=truth)
        for i, row, at, truth in zip(
            chosen, _rows(features), rows["time_hour"].iloc[chosen], rows["late"].iloc[chosen],
            strict=True,
        )
    ]  # fmt: skip
    gone = []
    for record in records:
        loss, place = concept.loss(record, contract.positive), concept.region_of(said.regions, record)
        if loss is not None and place is not None:
            gone.append(loss - said.regions[place].loss)
    return float(np.mean(gone))


def _rows(features: pd.DataFrame) -> list[dict[str, Value]]:
    return [{str(name): value for name, value in row.items()} for row in features.to_dict(orient="records")]


def _table(
    month: int, scores: npt.NDArray[np.float64], answers: npt.NDArray[np.str_], truth: npt.NDArray[np.str_]
) -> pd.DataFrame:
    return pd.DataFrame({"month": month, "score": scores, "answer": answers.astype(int), "truth": truth.astype(int)})


def _elsewhere(python: Path, known: pd.DataFrame, asked: pd.DataFrame) -> dict[str, dict[str, float] | float]:
    with tempfile.TemporaryDirectory() as folder:
        files = Path(folder) / "reference.csv", Path(folder) / "analysis.csv"
        known.to_csv(files[0], index=False)
        asked.to_csv(files[1], index=False)
        script = Path(__file__).parent / "elsewhere" / "nannyml_cbpe.py"
        done = subprocess.run([python, script, *files], capture_output=True, text=True, check=True)
    said = json.loads(done.stdout.splitlines()[-1])
    return {**said["months"], "seconds": said["seconds"]}


def _told(months: Sequence[Month], theirs: dict[str, dict[str, float] | float], took: float) -> int:
    print(
        "month   rows  accuracy    ours   error  NannyML  error |    AUC   ours  NannyML | squared error, same inputs"
    )
    worst = 0.0
    for m in months:
        other = theirs.get(str(m.month))
        a, b = (other["accuracy"], other["roc_auc"]) if isinstance(other, dict) else (np.nan, np.nan)
        error = m.ours[0] - m.truth[0]
        if m.same:
            worst = max(worst, abs(error))
        print(
            f"{m.month:5} {m.rows:6}   {m.truth[0]:.4f}  {m.ours[0]:.4f} {error:+.4f}   {a:.4f} {a - m.truth[0]:+.4f}"
            f" | {m.truth[1]:.4f} {m.ours[1]:.4f}   {b:.4f} | {m.moved:+.4f}{'' if m.same else ' concept drift'}"
        )
    print(f"largest error in months without concept drift: {worst:.4f} (asked: {WITHIN})")
    print(f"processor: {took:.1f} s with training; NannyML's estimates alone {theirs.get('seconds', 'not run')}")
    return 0 if worst <= WITHIN else 1


if __name__ == "__main__":
    raise SystemExit(main())
