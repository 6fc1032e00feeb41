"""`serinus drift check`: one look of the drift job, by hand or from cron."""

from __future__ import annotations

from datetime import UTC, datetime
from pathlib import Path

import typer

from serinus import wire
from services import jobs
from services.cli import context, drift_page
from services.cli.context import Output
from services.drift import wiring


def check(file: Path, state: Path, output: Output) -> None:
    """Look once and print what was found; exit 1 when it could not look."""
    look = wiring.check(jobs.local(file, state), datetime.now(UTC))
    if output == Output.json:
        context.answer(wire.dump(look))
    else:
        context.say(f"{look.finding.verdict.outcome}: {look.finding.verdict.reason}")
        if look.finding.features:
            context.show(drift_page.distributions(look.finding))
        context.say(f"retrain {'asked' if look.ask else 'not asked'}: {look.ask.reason}")
        if look.run is not None:
            context.say(f"run {look.run.key} is {look.run.phase}; `serinus status --watch` follows it")
        if look.problem:
            context.complain(f"the runner could not be asked, the loop asks again: {look.problem}", "!", "yellow")
    if not look.looked:
        raise typer.Exit(1)
