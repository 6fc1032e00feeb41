"""`serinus labels add`: what turned out to be true, from a file."""

from __future__ import annotations

import time
from collections import Counter
from collections.abc import Mapping, Sequence
from datetime import UTC, datetime
from pathlib import Path
from typing import get_args

import typer
from rich.progress import BarColumn, Progress, TextColumn
from rich.table import Table
from rich.text import Text

from serinus import wire
from serinus.errors import Unavailable
from serinus.facts import Label, LabelOutcome, Taken
from services.cli import context, label_files
from services.cli.context import Output, err
from services.cli.label_files import Columns
from services.cli.records import Kept, Where, kept

_MEANINGS: Mapping[str, str] = {
    "joined": "the prediction has its truth now",
    "waiting": "no such prediction yet; joined when it comes",
    "same": "held already",
    "changed": "another truth was held; this one counts from now on",
    "older": "another truth is held that is known later; this one does not count",
    "foreign": "the prediction is another loop's",
    "erased": "the prediction was erased",
    "invalid": "no label, or none of this loop; not kept",
}
_PATIENCE = 60.0  # seconds for a collector that is started again
_PAUSE = 0.5


def add(where: Where, file: Path, id: str, key: str, value: str, at: str, output: Output) -> None:
    """Send the file's labels and say what became of them; exit 1 when some are invalid."""
    now = datetime.now(UTC)

    def chosen(names: Sequence[str]) -> Columns:
        return label_files.columns(names, id, key, value, at)

    outcomes, problems = Counter[str](), list[str]()
    with kept(where) as records, _progress() as shown:
        task = shown.add_task(file.name, total=1.0)
        for part in label_files.parts(file, chosen, now):
            taken = _send(records, part.labels, sum(outcomes.values()))
            outcomes.update({**taken.outcomes})
            outcomes["invalid"] += part.invalid
            problems += [*part.problems, *taken.problems]
            shown.update(task, completed=part.done)
        loop = records.loop
    _tell(loop, file, outcomes, problems[: label_files.MOST_PROBLEMS], output)
    if outcomes["invalid"]:
        raise typer.Exit(1)


def _send(records: Kept, labels: Sequence[Label], before: int) -> Taken:
    """What became of them. A collector that is away is waited for: what it has already it calls `same`."""
    deadline = time.monotonic() + _PATIENCE
    while True:
        try:
            return records.client.label(records.loop, labels)
        except Unavailable as error:
            if time.monotonic() > deadline:
                raise Unavailable(
                    f"{error}; {before:,} labels before are kept, and the file may be added again as a whole"
                ) from error
            time.sleep(_PAUSE)


def _tell(loop: str, file: Path, outcomes: Counter[str], problems: Sequence[str], output: Output) -> None:
    if output == Output.json:
        context.answer(wire.dump({"loop": loop, "outcomes": +outcomes, "problems": problems}))
        return
    table = Table.grid(padding=(0, 2, 0, 0))
    for outcome in get_args(LabelOutcome):
        if outcomes[outcome]:
            style = "red" if outcome == "invalid" else "yellow" if outcome in ("foreign", "erased") else ""
            count = Text(f"{outcomes[outcome]:,}", style, justify="right")
            table.add_row(Text(outcome, style), count, Text(_MEANINGS[outcome], "dim"))
    context.say(f"{sum(outcomes.values()):,} labels of {file} for {loop}:")
    context.show(table)
    for problem in problems:
        context.complain(problem, "!", "yellow")
    if outcomes["joined"] or outcomes["changed"]:
        context.say("`serinus quality` shows how good the answers were.")


def _progress() -> Progress:
    columns = (TextColumn("{task.description}"), BarColumn(), TextColumn("{task.percentage:>3.0f} %"))
    return Progress(*columns, console=err, transient=True)
