"""What a person sees of a step: the model card and the page of the data check, each one self-contained HTML file.

Everything that came from data or a user's file is escaped by the template engine; nothing is fetched from elsewhere.
"""

from __future__ import annotations

import math
from collections.abc import Iterator, Mapping, Sequence
from datetime import UTC, datetime
from functools import cache
from pathlib import Path
from typing import TYPE_CHECKING, Any

from serinus import drift_words
from serinus.decide.champion import refusals
from serinus.decide.data import Finding
from serinus.durations import render
from serinus.facts import Contract, Dataset, Evaluation, Importance, Verdict, Why
from serinus.spec import Fairness, ModelLoop
from serinus.stats import fairness

if TYPE_CHECKING:
    import jinja2

_RATES: Mapping[fairness.Rate, str] = {
    "truePositives": "share of the positives that are found",
    "falsePositives": "share of the negatives that are taken for positives",
    "positives": "share of positive answers",
}
_LEFT, _RIGHT = 200.0, 620.0  # where the interval's axis begins and ends, in the drawing's units
_SPAN, _BARS = 320.0, 20  # the longest bar of an importance, in the same units; so many are drawn


def checks(loop: str, dataset: Dataset, verdict: Verdict, findings: Sequence[Finding]) -> str:
    """The page of the data check."""
    page = _templates().get_template("check.html.j2")
    return page.render(loop_name=loop, dataset=dataset, verdict=verdict, findings=findings)


def model(
    spec: ModelLoop,
    evaluation: Evaluation,
    contract: Contract,
    importance: Sequence[Importance] = (),
    why: Why | None = None,
) -> str:
    """The model card: what it is, what it learned from, how good it is and who says so.

    importance: of its features; empty where nobody measured it. why: what the run was asked for, where somebody said.
    """
    sign = 1 if evaluation.higher_is_better else -1
    return (
        _templates()
        .get_template("card.html.j2")
        .render(
            contract=contract,
            dataset=contract.dataset,
            evaluation=evaluation,
            validation=spec.spec.validation,
            refusals=refusals(evaluation.verdicts),
            percent=f"{evaluation.confidence:.0%}",
            holdout=render(spec.spec.data.holdout),
            interval=_interval(evaluation, spec.spec.validation.margin),
            roc=_path(evaluation.roc),
            confusion=_confusion(evaluation),
            figures=_figures(evaluation.metrics),
            importance=_importance(importance),
            why=why,
            head=drift_words.HEAD,
            drifted=[drift_words.row(one) for one in why.drift] if why is not None else [],
            slices=[
                {
                    "of": piece,
                    "gain": None if piece.champion is None else sign * (piece.candidate - piece.champion),
                    "decides": piece.rows >= spec.spec.validation.min_slice_rows,
                }
                for piece in evaluation.slices
            ],
            fairness=list(_gaps(evaluation, spec.spec.validation.fairness)),
            roles={
                spec.spec.data.time: "time",
                contract.label: "label",
                **{f.name: f"{f.kind} feature" for f in contract.fields},
            },
        )
    )


@cache
def _templates() -> jinja2.Environment:
    import jinja2

    made = jinja2.Environment(
        loader=jinja2.FileSystemLoader(Path(__file__).parent),
        autoescape=True,
        undefined=jinja2.StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
    )
    made.filters |= {"figure": _figure, "signed": _signed, "time": _time}
    return made


def _figure(value: float | None) -> str:
    return "-" if value is None else f"{value:.4f}" if abs(value) < 1000 else f"{value:,.1f}"


def _signed(value: float | None) -> str:
    return "-" if value is None else f"{value:+.4f}"


def _time(value: datetime) -> str:
    return value.astimezone(UTC).strftime("%Y-%m-%d %H:%M UTC")


def _figures(metrics: Mapping[str, float]) -> list[dict[str, Any]]:
    names = [name for name in metrics if not name.startswith(("champion_", "baseline_"))]
    return [
        {
            "name": name,
            "candidate": metrics[name],
            "champion": metrics.get(f"champion_{name}"),
            "baseline": metrics.get(f"baseline_{name}"),
        }
        for name in names
    ]


def _gaps(evaluation: Evaluation, asked: Fairness | None) -> Iterator[dict[str, Any]]:
    """The gap of each column with its groups, the highest rate first."""
    if asked is None:
        return
    for gap in evaluation.fairness:
        ordered = sorted(gap.groups.items(), key=lambda item: (-item[1], item[0]))
        yield {
            "of": gap,
            "rate": " or ".join(_RATES[rate] for rate in fairness.RATES[gap.metric]),
            "decides": fairness.deciding(gap, asked.min_rows) > 1,
            "groups": [
                {"name": name, "rate": rate, "rows": gap.rows[name], "decides": gap.rows[name] >= asked.min_rows}
                for name, rate in ordered
            ],
        }


def _interval(evaluation: Evaluation, margin: float) -> dict[str, Any] | None:
    """The interval that matters most (against the champion, else the baseline) beside the lines it must stay above."""
    if evaluation.interval is not None and evaluation.difference is not None:
        name, middle, ends, lines = "champion", evaluation.difference, evaluation.interval, {"0": 0.0}
        if margin:
            lines[f"margin {-margin:g}"] = -margin
    elif evaluation.baseline_interval is not None:
        sign = 1 if evaluation.higher_is_better else -1
        gain = sign * (evaluation.candidate - evaluation.baseline)
        name, middle, ends, lines = "baseline", gain, evaluation.baseline_interval, {"0": 0.0}
    else:
        return None
    values = (middle, *ends, *lines.values())
    if not all(math.isfinite(value) for value in values):
        return None
    low, high = min(values), max(values)

    def at(value: float) -> float:
        return round(_LEFT + (_RIGHT - _LEFT) * (value - low) / ((high - low) or 1.0), 1)

    return {
        "name": f"candidate less {name}",
        "middle": at(middle),
        "low": at(ends[0]),
        "high": at(ends[1]),
        "title": f"{middle:+.4f}, from {ends[0]:+.4f} to {ends[1]:+.4f}",
        "lines": [{"text": text, "x": at(value), "zero": value == 0} for text, value in lines.items()],
    }


def _importance(found: Sequence[Importance]) -> dict[str, Any] | None:
    """The bars in the drawing's units, the longest first; None when nothing was measured."""
    if not found:
        return None
    ordered = sorted(found, key=lambda one: -one.drop)
    longest = max(ordered[0].drop + ordered[0].error, 1e-12)
    bars = []
    for place, one in enumerate(ordered[:_BARS]):
        end, error = _SPAN * max(one.drop, 0.0) / longest, _SPAN * one.error / longest
        bars.append(
            {
                "of": one,
                "name": one.name if len(one.name) <= 22 else f"{one.name[:21]}…",
                "y": 24 * place,
                "end": round(end, 1),
                "low": round(max(end - error, 0.0), 1),
                "high": round(min(end + error, _SPAN), 1),
                "text": f"{one.drop:+.4f}" if one.moved else "not used",
            }
        )
    return {"bars": bars, "height": 24 * len(bars), "others": len(ordered) - len(bars)}


def _path(roc: Sequence[tuple[float, float, float]]) -> str:
    """The curve in the drawing's units; empty when there is none."""
    steps = [f"{40 + 280 * alarm:.1f} {280 - 270 * hit:.1f}" for alarm, hit, _ in roc]
    return f"M{' L'.join(steps)}" if steps else ""


def _confusion(evaluation: Evaluation) -> dict[str, Any] | None:
    """The cells in the drawing's units; None when there is none or it would have too many cells to read."""
    if not evaluation.confusion or len(evaluation.labels) > 12:
        return None
    names = [name if len(name) <= 12 else f"{name[:11]}…" for name in evaluation.labels]
    left, top = 24 + 7 * max(len(n) for n in names), 28
    size, tall = max(64, 12 + 8 * max(len(n) for n in names)), 44
    cells = []
    for i, counts in enumerate(evaluation.confusion):
        total = sum(counts) or 1
        for j, count in enumerate(counts):
            title = f"truth {evaluation.labels[i]}, predicted {evaluation.labels[j]}: {count} of {sum(counts)}"
            depth = round(0.06 + 0.6 * count / total, 3)
            cells.append({"x": left + size * j, "y": top + tall * i, "count": count, "depth": depth, "title": title})
    return {
        "names": names,
        "cells": cells,
        "left": left,
        "top": top,
        "size": size,
        "tall": tall,
        "width": left + size * len(names),
        "height": top + tall * len(names) + 4,
    }
