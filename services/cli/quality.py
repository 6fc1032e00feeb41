"""`serinus quality`: how good answers were, by the time they were given and the version that gave them."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta

from rich.console import Group, RenderableType
from rich.table import Table
from rich.text import Text

from serinus import wire
from serinus.decide import quality as rule
from serinus.decide.fairness import columns as groups
from serinus.facts import Measured, QualityFinding, QualityWindow, Reference, Tally, TallyQuestion
from serinus.spec import ModelLoop, QualitySpec
from serinus.stats import quality as figures
from services.cli import context, fairness
from services.cli.context import Output
from services.cli.records import Kept, Where, kept

_EPOCH = datetime(1970, 1, 1, tzinfo=UTC)
_OUTCOMES = {"pass": "green", "fail": "red", "error": "red", "undecided": "yellow"}


def quality(where: Where, every: timedelta | None, last: int, column: str, output: Output) -> None:
    """Print the table of the latest `last` windows, also by the values of `column`, else of `quality.slices`, and how
    differently the groups of `validation.fairness` were treated.
    """
    now = datetime.now(UTC)
    with kept(where) as records:
        spec = _with_window(records.spec, every)
        by = (column,) if column else rules(spec).slices
        columns = tuple(dict.fromkeys((*by, *groups(spec))))
        tallies = records.client.tally(records.loop, question(spec, now, last, columns))
        versions = known(records, spec, {tally.version for tally in tallies})
        champion = records.place.status().champion
        blind = bool(tallies) and not records.mlflow
    findings = {
        version: rule.judge(spec, each.reference, version, tallies, now, each.positive)
        for version, each in versions.items()
    }
    if output == Output.json:
        slices = [tally for tally in tallies if tally.column]
        context.answer(
            wire.dump(
                {
                    "loop": records.loop,
                    "metric": rule.metric_of(spec.spec),
                    "unit": spec.spec.value.unit if spec.spec.value is not None else "",
                    "champion": champion,
                    "versions": {str(version): finding for version, finding in findings.items()},
                    "slices": slices,
                }
            )
        )
        return
    if not findings:
        context.say(f"{records.loop} has kept no answers in the latest {last} windows.")
        return
    context.show(Group(*shown(spec, findings, champion)))
    for one in by:
        context.show(_by_value(rule.metric_of(spec.spec), tallies, one, versions))
    for line in fairness.lines(spec, tallies, {version: each.positive for version, each in versions.items()}):
        context.show(line)
    if blind:
        text = "--mlflow URL was not given: nothing is estimated, and no version is held against its holdout"
        context.complain(text, "!", "yellow")


def rules(spec: ModelLoop) -> QualitySpec:
    """What the file says of quality, else the defaults."""
    return spec.spec.quality or QualitySpec()


def question(spec: ModelLoop, now: datetime, last: int, columns: tuple[str, ...] = ()) -> TallyQuestion:
    """The latest windows up to the one that is not over yet, at whole multiples of their length as the job's are."""
    length = rules(spec).window
    end = _EPOCH + ((now - _EPOCH) // length + 1) * length
    start = max(end - last * length, _EPOCH)
    regression = spec.spec.task == "regression"
    return TallyQuestion(start, end, length / timedelta(seconds=1), None, columns, regression)


@dataclass(frozen=True)
class Known:
    """What is known of a version from here."""

    reference: Reference | None
    positive: str | None  # the class that its scores are the probability of


def known(records: Kept, spec: ModelLoop, versions: Iterable[int]) -> Mapping[int, Known]:
    """What each version's holdout said; without a registry only what the file says."""
    found = {}
    for version in sorted(versions):
        learned = records.learned(version)
        if learned is None:
            named = spec.spec.data.positive if spec.spec.task == "binary-classification" else None
            found[version] = Known(None, None if named is None else str(named))
        else:
            found[version] = Known(learned.reference, learned.contract.positive)
    return found


def shown(spec: ModelLoop, findings: Mapping[int, QualityFinding], champion: int | None) -> Iterator[RenderableType]:
    """A line a window and version, the oldest first, then what is concluded of the champion."""
    metric = rule.metric_of(spec.spec)
    unit = spec.spec.value.unit if spec.spec.value is not None else ""
    lines = sorted(
        ((w.window.start, version, w) for version, finding in findings.items() for w in finding.windows),
        key=lambda line: line[:2],
    )
    estimated = any(w.estimated is not None for _, _, w in lines)
    worth = any(w.worth is not None for _, _, w in lines)
    table = Table.grid(padding=(0, 2, 0, 0))
    head = ["from", "version", metric, "accuracy, estimated" if estimated else "", "labelled", ""]
    head += [f"worth, {unit}" if unit else "worth"] if worth else []
    table.add_row(*(Text(name, "dim") for name in head))
    for start, version, window in lines:
        cells = [Text(f"{start.astimezone():%d %b %H:%M}"), Text(str(version)), _figure(window.measured)]
        cells += [_estimate(window) if estimated else Text(), _labelled(window)]
        cells += [Text("" if window.mature else "labels may still come", "dim")]
        cells += [Text("-" if window.worth is None else f"{window.worth:,.2f}", justify="right")] if worth else []
        table.add_row(*cells)
    yield table
    if champion is not None and champion in findings:
        finding = findings[champion]
        outcome = finding.verdict.outcome
        yield Text.assemble((f"\nversion {champion}: {outcome}", _OUTCOMES[outcome]), f"  {finding.verdict.reason}")


def _by_value(metric: str, tallies: Sequence[Tally], column: str, versions: Mapping[int, Known]) -> RenderableType:
    """The judged figure by the column's values."""
    table = Table.grid(padding=(0, 2, 0, 0))
    table.add_row(*(Text(name, "dim") for name in (column, "from", "version", metric, "labelled")))
    for tally in sorted((t for t in tallies if t.column == column), key=lambda t: (t.value, t.window.start, t.version)):
        start = f"{tally.window.start.astimezone():%d %b %H:%M}"
        figure = _figure(figures.measured(metric, tally, versions[tally.version].positive))
        table.add_row(Text(tally.value), start, str(tally.version), figure, f"{tally.labelled:,} of {tally.rows:,}")
    return table


def _with_window(spec: ModelLoop, every: timedelta | None) -> ModelLoop:
    """The spec with windows of that length."""
    if every is None:
        return spec
    changed = rules(spec).model_copy(update={"window": every})
    return spec.model_copy(update={"spec": spec.spec.model_copy(update={"quality": changed})})


def _figure(measured: Measured | None) -> Text:
    if measured is None:
        return Text("-")
    return Text.assemble(f"{measured.value:.3f} ", (f"({measured.low:.3f} to {measured.high:.3f})", "dim"))


def _estimate(window: QualityWindow) -> Text:
    """The estimate, and the truth beside it once that is known."""
    if window.estimated is None:
        return Text("-")
    truth = f"  is {window.accuracy.value:.3f}" if window.accuracy is not None else ""
    return Text.assemble(f"{window.estimated.value:.3f}", (truth, "dim"))


def _labelled(window: QualityWindow) -> Text:
    share = 100 * window.labelled / window.rows if window.rows else 0
    return Text.assemble(f"{share:.0f} %", (f" of {window.rows:,}", "dim"))
