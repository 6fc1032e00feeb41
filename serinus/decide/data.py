"""Whether rows are good enough to learn from: what was measured of them against the spec's bounds."""

from __future__ import annotations

import math
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime, timedelta

from serinus.durations import render
from serinus.facts import Verdict
from serinus.spec import Checks, LoopSpec

MIN_PART_ROWS = 50
"""The fewest labelled rows in the training part and in the holdout: below, an interval says nothing."""


@dataclass(frozen=True)
class Column:
    """What was measured of a column; fractions are shares of all rows."""

    type: str  # the snapshot's (Arrow's) name of it: double, string, timestamp[us, tz=UTC], ...
    nulls: float
    low: float | None = None  # numbers only; None when there is none
    high: float | None = None
    infinite: int = 0
    unseen: float | None = None  # share of rows with a category that the champion does not know; None: nothing to ask
    strangers: tuple[str, ...] = ()  # some of these categories


@dataclass(frozen=True)
class Part:
    """The labelled rows of one side of the split in time."""

    rows: int
    classes: Mapping[str, int] = field(default_factory=dict)  # class -> rows; empty for regression


@dataclass(frozen=True)
class Measured:
    """What was measured of a snapshot."""

    rows: int
    columns: Mapping[str, Column]
    duplicates: float  # share of rows that are an exact copy of an earlier one
    newest: datetime
    train: Part
    holdout: Part


@dataclass(frozen=True)
class Finding:
    """One check of one column (or of the rows as a whole, when `column` is empty)."""

    check: str
    column: str
    passed: bool
    figure: str  # what was measured
    bound: str  # what is allowed
    reason: str  # a sentence, naming all of these


def decide(spec: LoopSpec, measured: Measured, now: datetime) -> tuple[Finding, ...]:
    """Every check with its outcome, the failed ones first; whatever is not a number fails."""
    findings = [
        *_schema(spec, measured),
        *_rows(spec.data.checks, measured),
        *_freshness(spec, measured, now),
        *_features(spec, measured),
        *_ranges(spec.data.checks, measured),
        *_label(spec, measured),
    ]
    return tuple(sorted(findings, key=lambda finding: finding.passed))


def verdict(findings: Sequence[Finding]) -> Verdict:
    """All findings as one verdict of the gate `check`."""
    bad = [finding.reason for finding in findings if not finding.passed]
    figures = {"checks": float(len(findings)), "failed": float(len(bad))}
    if bad:
        return Verdict("check", "fail", " ".join(bad), figures)
    return Verdict("check", "pass", f"All {len(findings)} checks of the data passed.", figures)


def _schema(spec: LoopSpec, measured: Measured) -> Iterator[Finding]:
    data = spec.data
    number = "double"
    wanted = {data.time: "timestamp", data.label: number if spec.task == "regression" else "string"}
    wanted |= dict.fromkeys(data.features.numeric, number) | dict.fromkeys(data.features.categorical, "string")
    wanted |= dict.fromkeys([c for c in spec.validation.columns if c not in wanted], "")
    for name, kind in wanted.items():
        column = measured.columns.get(name)
        if column is None:
            here = ", ".join(measured.columns)
            yield Finding(
                "schema", name, False, "no such column", kind or "any type", f"Column {name}: expected, found {here}."
            )
            continue
        passed = column.type.startswith(kind)
        said = f"Column {name}: type {column.type}, expected {kind or 'any type'}."
        yield Finding("type", name, passed, column.type, kind or "any type", said)


def _rows(checks: Checks, measured: Measured) -> Iterator[Finding]:
    passed = measured.rows >= checks.min_rows
    said = f"The window has {measured.rows} rows; checks.minRows asks for at least {checks.min_rows}."
    yield Finding("rows", "", passed, f"{measured.rows}", f">= {checks.min_rows}", said)
    bound = checks.max_duplicate_fraction
    said = (
        f"{measured.duplicates:.1%} of the rows are copies of another; checks.maxDuplicateFraction allows {bound:.1%}."
    )
    yield Finding("duplicates", "", measured.duplicates <= bound, *_share(measured.duplicates, bound), said)


def _freshness(spec: LoopSpec, measured: Measured, now: datetime) -> Iterator[Finding]:
    allowed = spec.data.checks.max_age
    if allowed is None:
        return
    age = now - measured.newest
    passed = abs(age) <= allowed  # rows from the future are as wrong as old ones; clocks differ a little
    figure = _age(age)
    said = f"Column {spec.data.time}: the newest row is {figure}; checks.maxAge allows {render(allowed)}."
    yield Finding("freshness", spec.data.time, passed, figure, f"<= {render(allowed)}", said)


def _features(spec: LoopSpec, measured: Measured) -> Iterator[Finding]:
    checks, data = spec.data.checks, spec.data
    for name in (*data.features.numeric, *data.features.categorical, data.label):
        column = measured.columns.get(name)
        if column is None:
            continue  # the schema's finding
        bound = checks.max_null_fraction
        said = f"Column {name}: {column.nulls:.1%} nulls; checks.maxNullFraction allows {bound:.1%}."
        yield Finding("nulls", name, column.nulls <= bound, *_share(column.nulls, bound), said)
        if column.type == "double":
            said = f"Column {name}: {column.infinite} infinite values, expected 0; make them null or finite."
            yield Finding("finite", name, column.infinite == 0, f"{column.infinite}", "0", said)
        if column.unseen is not None:
            bound = checks.max_unseen_fraction
            such = f" ({', '.join(column.strangers)})" if column.strangers else ""
            said = (
                f"Column {name}: {column.unseen:.1%} of the rows have a category that the champion never saw{such}; "
                f"checks.maxUnseenFraction allows {bound:.1%}."
            )
            yield Finding("unseen", name, column.unseen <= bound, *_share(column.unseen, bound), said)


def _ranges(checks: Checks, measured: Measured) -> Iterator[Finding]:
    for name, (lowest, highest) in checks.ranges.items():
        column, bound = measured.columns.get(name), f"{lowest:g} to {highest:g}"
        if column is None or column.type != "double":
            kind = "no such column" if column is None else column.type
            said = f"Column {name}: checks.ranges names it, expected a numeric column of the loop, got {kind}."
            yield Finding("range", name, False, kind, bound, said)
            continue
        if column.low is None or column.high is None:
            continue  # nothing but nulls, which is another finding
        passed = column.low >= lowest and column.high <= highest
        figure = f"{column.low:g} to {column.high:g}"
        yield Finding("range", name, passed, figure, bound, f"Column {name}: values {figure}; allowed are {bound}.")


def _label(spec: LoopSpec, measured: Measured) -> Iterator[Finding]:
    name = spec.data.label
    parts = {"training": measured.train, "holdout": measured.holdout}
    for title, part in parts.items():
        said = f"Column {name}: the {title} part has {part.rows} labelled rows, expected at least {MIN_PART_ROWS}."
        yield Finding(f"{title} rows", name, part.rows >= MIN_PART_ROWS, f"{part.rows}", f">= {MIN_PART_ROWS}", said)
    if spec.task == "regression":
        return
    for title, part in parts.items():
        count = sum(rows > 0 for rows in part.classes.values())
        exact = spec.task == "binary-classification"
        bound = "2" if exact else ">= 2"
        passed = count == 2 if exact else count >= 2
        said = f"Column {name}: the {title} part has {count} classes ({_some(part.classes)}), expected {bound}."
        yield Finding(f"{title} classes", name, passed, f"{count}", bound, said)
    new = sorted(set(measured.holdout.classes) - set(measured.train.classes))
    said = f"Column {name}: the holdout has {len(new)} classes that the training part lacks ({_some(new)}), expected 0."
    yield Finding("holdout classes", name, not new, f"{len(new)} new", "0 new", said)
    yield from _balance(spec, measured)


def _balance(spec: LoopSpec, measured: Measured) -> Iterator[Finding]:
    name, bound = spec.data.label, spec.data.checks.min_class_fraction
    counts: dict[str, int] = dict(measured.train.classes)
    for kind, rows in measured.holdout.classes.items():
        counts[kind] = counts.get(kind, 0) + rows
    total = sum(counts.values())
    if total:
        rarest = min(counts, key=lambda kind: (counts[kind], kind))
        share = counts[rarest] / total
        said = (
            f"Column {name}: class {rarest} is {share:.1%} of the labelled rows; "
            f"checks.minClassFraction asks for at least {bound:.1%}."
        )
        yield Finding("balance", name, share >= bound, f"{share:.1%}", f">= {bound:.1%}", said)
    positive = spec.data.positive
    if positive is not None and spec.task == "binary-classification":
        known = {kind.casefold() for kind in counts}
        said = f"Column {name}: data.positive is {positive}; the classes are {_some(counts)}."
        yield Finding("positive", name, str(positive).casefold() in known, _some(counts), f"holds {positive}", said)


def _share(figure: float, bound: float) -> tuple[str, str]:
    return ("not a number" if math.isnan(figure) else f"{figure:.1%}"), f"<= {bound:.1%}"


def _age(age: timedelta) -> str:
    """To the minute: an age in milliseconds is no reading."""
    whole = timedelta(minutes=abs(age) // timedelta(minutes=1))
    return f"{render(whole)} old" if age >= timedelta() else f"{render(whole)} in the future"


def _some(names: Mapping[str, int] | Sequence[str], limit: int = 10) -> str:
    listed = sorted(names)
    return ", ".join(listed[:limit]) + (", ..." if len(listed) > limit else "") or "none"
