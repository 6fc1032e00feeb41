"""NannyML's confidence-based estimate of accuracy and ROC AUC, in an environment of its own (nannyml.txt).

    python nannyml_cbpe.py REFERENCE.csv ANALYSIS.csv

Both files have the columns score, answer, truth (0 or 1) and month. Prints one JSON object: month -> {accuracy,
roc_auc}, and the seconds of processor that it took.
"""

from __future__ import annotations

import json
import sys
import time

import nannyml
import pandas as pd


def main(reference: str, analysis: str) -> None:
    """Each month of the analysis is estimated from the same month's reference: the model that served it."""
    known, asked = pd.read_csv(reference), pd.read_csv(analysis)
    found = {}
    began = time.process_time()
    for month, rows in asked.groupby("month"):
        estimator = nannyml.CBPE(
            y_pred_proba="score", y_pred="answer", y_true="truth", problem_type="classification_binary",
            metrics=["accuracy", "roc_auc"], chunk_number=1,
        )  # fmt: skip
        estimator.fit(known[known["month"] == month].drop(columns="month"))
        said = estimator.estimate(rows.drop(columns=["month", "truth"])).to_df()
        last = said[said[("chunk", "period")] == "analysis"].iloc[-1]
        found[str(month)] = {name: float(last[(name, "value")]) for name in ("accuracy", "roc_auc")}
    print(json.dumps({"months": found, "seconds": time.process_time() - began}))


if __name__ == "__main__":
    main(*sys.argv[1:])
