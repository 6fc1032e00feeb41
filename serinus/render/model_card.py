"""The model card: what a version is, learned from and is good for, who let it in, and on what evidence. Pure.

After Mitchell et al., Model Cards for Model Reporting (2019), as far as a program can know it.
"""

from __future__ import annotations

import json
import math
from collections.abc import Iterator, Mapping, Sequence

from serinus.facts import Evaluation, Evidence, Measured, Origin, Papers, RolloutRecord
from serinus.render.card_features import asked, importance
from serinus.render.card_limits import limits
from serinus.render.document import Block, Document, Points, Section, Table, figure, when

_UNKNOWN = "not kept"
_OUTCOMES = {
    "promoted": "It was promoted",
    "rolled-back": "It was rolled back",
    "superseded": "It was passed over",
    "rejected": "It was not let in",
}


def card(papers: Papers) -> Document:
    """The card of a version."""
    version, contract = papers.version, papers.contract
    lead = (
        f"{_upper(contract.task.replace('-', ' '))}: {contract.estimator} tells {contract.label} from"
        f" {len(contract.fields)} features. {standing(papers)}"
    )
    return Document(
        f"{version.loop}, version {version.number}",
        lead,
        (
            Section("Model", tuple(_model(papers))),
            Section("Data", tuple(_data(papers))),
            Section("How good it is", tuple(_quality(papers))),
            Section("What it goes by", tuple(importance(papers.reference))),
            Section("Slices", tuple(_slices(papers.evaluation))),
            Section("Fairness", tuple(_fairness(papers.evaluation))),
            Section("Limits", (Points(tuple(limits(papers))),)),
            Section("Validation", tuple(_validation(papers.evaluation))),
            Section("Approval", (approval(papers),)),
            Section("Rollouts", tuple(_rollouts(papers.rollouts))),
            Section("Lineage", (Table(("", ""), tuple(_lineage(papers))), *asked(papers.origin))),
        ),
    )


def summary(papers: Papers) -> str:
    """What the registry's list of versions shows."""
    rows, judged = papers.contract.dataset, papers.evaluation
    window = f"{rows.window.start:%Y-%m-%d %H:%M} to {rows.window.end:%Y-%m-%d %H:%M} UTC"
    measured = f"; {judged.metric} {figure(judged.candidate)} on {judged.rows} rows" if judged is not None else ""
    ended = papers.rollouts[-1] if papers.rollouts else None
    how = f"; {ended.outcome} {when(ended.ended)}: {ended.reason}" if ended is not None else ""
    by = f"; approved by {ended.approved_by}" if ended is not None and ended.approved_by else ""
    return f"{papers.contract.estimator}, {rows.rows} rows of {rows.source}, {window}{measured}{how}{by}"


def standing(papers: Papers) -> str:
    """How far it has come, in a sentence."""
    if not papers.rollouts:
        return "Its rollout has not ended, or has not begun."
    last = papers.rollouts[-1]
    return f"{_OUTCOMES[last.outcome]} at {when(last.ended)}: {last.reason}."


def approval(papers: Papers) -> str:
    """Who let it in, in a sentence."""
    people = [record.approved_by for record in papers.rollouts if record.approved_by]
    if people:
        return f"{people[-1]} let it in."
    if papers.origin is None:
        return "Whether somebody had to let it in was not kept."
    if json.loads(papers.origin.spec)["spec"].get("approval", "automatic") == "automatic":
        return "Nobody had to let it in: approval is automatic."
    if any(record.outcome == "rejected" for record in papers.rollouts):
        return "Somebody had to let it in, and it was rejected."
    return "Somebody has to let it in, and nobody has, as far as this card knows."


def _model(papers: Papers) -> Iterator[Block]:
    contract = papers.contract
    positive = f", the score is the probability of {contract.positive}" if contract.positive is not None else ""
    classes = f"; classes: {', '.join(contract.classes)}{positive}" if contract.classes else ""
    yield f"Estimator {contract.estimator}, seed {contract.seed}. Label {contract.label}{classes}."
    if contract.params:
        yield Table(("Parameter", "Value"), tuple((name, str(value)) for name, value in contract.params.items()))
    yield Table(
        ("Feature", "Kind", "May be null"),
        tuple((each.name, each.kind, "yes" if each.nullable else "no") for each in contract.fields),
    )


def _data(papers: Papers) -> Iterator[Block]:
    rows = papers.contract.dataset
    kept = {None: _UNKNOWN, True: "kept with this version", False: "not kept: larger than is kept"}
    yield Table(
        ("", ""),
        (
            ("Dataset", rows.version),
            ("Source", rows.source),
            ("Window", f"{when(rows.window.start)} to {when(rows.window.end)}"),
            ("Rows", str(rows.rows)),
            ("The rows themselves", kept[papers.origin.kept if papers.origin is not None else None]),
        ),
    )
    yield Table(("Column", "Type"), tuple(sorted(rows.schema.items())))


def _quality(papers: Papers) -> Iterator[Block]:
    judged, known = papers.evaluation, papers.reference.metrics if papers.reference is not None else {}
    if judged is None:
        yield "No evaluation was kept."
        return
    champion = f"of the champion then {figure(judged.champion)}, " if judged.champion is not None else ""
    better = "higher" if judged.higher_is_better else "lower"
    yield (
        f"On the {judged.rows} newest rows, which it did not learn from, {judged.metric} ({better} is better) is"
        f" {figure(judged.candidate)}{_between(known.get(judged.metric))}; {champion}of a model without features"
        f" {figure(judged.baseline)}."
    )
    if judged.difference is not None and judged.interval is not None:
        low, high = judged.interval
        yield (
            f"Its gain over the champion is {judged.difference:+.4f}, between {low:+.4f} and {high:+.4f} at"
            f" {judged.confidence:.0%} ({judged.method})."
        )
    elif judged.baseline_interval is not None:
        low, high = judged.baseline_interval
        yield (
            f"Its gain over a model without features is between {low:+.4f} and {high:+.4f} at"
            f" {judged.confidence:.0%} ({judged.method})."
        )
    names = [name for name in judged.metrics if not name.startswith(("champion_", "baseline_"))]
    yield Table(
        ("Figure", "Value", "95 % interval", "Champion then", "Without features"),
        tuple(
            (
                name,
                figure(judged.metrics[name]),
                _between(known.get(name)).strip(" ()") or "-",
                figure(judged.metrics.get(f"champion_{name}")),
                figure(judged.metrics.get(f"baseline_{name}")),
            )
            for name in names
        ),
    )


def _slices(judged: Evaluation | None) -> Iterator[Block]:
    if judged is None or not judged.slices:
        yield "No slices were looked at (`validation.slices`)."
        return
    yield Table(
        ("Slice", "Rows", judged.metric, "95 % interval", "Champion then", "Gain", "Interval of the gain"),
        tuple(
            (
                f"{each.column} = {each.value}",
                str(each.rows),
                figure(each.candidate),
                "-" if each.interval is None else f"{figure(each.interval[0])} to {figure(each.interval[1])}",
                figure(each.champion),
                *_gain(judged, each.candidate, each.champion, each.error),
            )
            for each in judged.slices
        ),
    )


def _gain(judged: Evaluation, candidate: float, champion: float | None, error: float | None) -> tuple[str, str]:
    if champion is None:
        return "-", "-"
    gain = (candidate - champion) * (1 if judged.higher_is_better else -1)
    return f"{gain:+.4f}", "-" if error is None else f"{gain - 1.96 * error:+.4f} to {gain + 1.96 * error:+.4f}"


def _fairness(judged: Evaluation | None) -> Iterator[Block]:
    if judged is None or not judged.fairness:
        yield "No groups were compared (`validation.fairness`)."
        return
    for each in judged.fairness:
        yield (
            f"{each.metric} over {each.column}: the largest gap between two groups is {figure(each.gap)},"
            f" between {figure(each.low)} and {figure(each.high)} at {judged.confidence:.0%}."
        )
        yield Table(
            (each.column, "Rate", "Rows"),
            tuple((name, figure(rate), str(each.rows.get(name, 0))) for name, rate in each.groups.items()),
        )


def _validation(judged: Evaluation | None) -> Iterator[Block]:
    if judged is None:
        yield "No verdicts were kept."
        return
    yield Table(("Gate", "Verdict", "Why"), tuple((each.gate, each.outcome, each.reason) for each in judged.verdicts))


def _rollouts(records: Sequence[RolloutRecord]) -> Iterator[Block]:
    if not records:
        yield "None has ended."
    for record in records:
        beside = f" beside version {record.stable}" if record.stable is not None else ""
        by = f" {record.approved_by} had let it in." if record.approved_by else ""
        yield (f"{when(record.started)} to {when(record.ended)}{beside}: {record.outcome}, {record.reason}.{by}")
        if record.verdicts:
            yield Table(
                ("Guardrail", "Verdict", "Why"),
                tuple((each.gate, each.outcome, each.reason) for each in record.verdicts),
            )
        if record.evidence:
            yield Table(
                ("Guardrail", "Stable: bad of all", "Canary: bad of all", "Largest evidence of harm (e-value)"),
                tuple(_evidence(name, each) for name, each in record.evidence.items()),
            )


def _evidence(name: str, seen: Evidence) -> tuple[str, str, str, str]:
    harm = f"10^{seen.peak_harm / math.log(10):.1f}" if math.isfinite(seen.peak_harm) else "-"
    stable, canary = f"{seen.stable_bad} of {seen.stable_trials}", f"{seen.canary_bad} of {seen.canary_trials}"
    return name, stable, canary, harm


def _lineage(papers: Papers) -> Iterator[tuple[str, str]]:
    version, origin = papers.version, papers.origin
    yield "Run", version.trigger
    yield "Registered", when(version.created)
    yield "Model's digest", version.digest or _UNKNOWN
    yield "Dataset", papers.contract.dataset.version
    if origin is not None:
        yield "Cause", origin.cause
        yield from _code(origin)


def _code(origin: Origin) -> Iterator[tuple[str, str]]:
    code = origin.code
    said: Mapping[str, str] = {
        "Release of Serinus": code.release,
        "Code's revision": code.revision,
        "Code's digest": code.source,
        "Digest of the loop's own code": code.own,
        "Lock's digest": code.lock,
        "Image": code.image,
        "Python": code.python,
        "Packages": ", ".join(f"{name} {version}" for name, version in code.packages.items()),
    }
    yield from ((name, value) for name, value in said.items() if value)
    yield from ((f"sha256 of {name}", digest) for name, digest in origin.files.items())


def _between(measured: Measured | None) -> str:
    return "" if measured is None else f" ({figure(measured.low)} to {figure(measured.high)})"


def _upper(text: str) -> str:
    return text[:1].upper() + text[1:]
