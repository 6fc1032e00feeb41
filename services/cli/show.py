"""Commands that show a loop: status and history."""

from __future__ import annotations

import json
import time
from contextlib import suppress
from pathlib import Path
from typing import Annotated

import typer
from rich.console import Group, RenderableType
from rich.live import Live
from rich.table import Table
from rich.text import Text

from serinus import loading, wire
from serinus.adapters import kfp_local_folder
from serinus.decide.loop import desired_routing
from serinus.facts import DriftFinding, Event, Status, Verdict
from services.cli import context
from services.cli.context import Output, out
from services.local import supervisor
from services.local.supervisor import Card

_MARKS = {"pass": "[green]pass[/green]", "fail": "[red]fail[/red]", "error": "[red]error[/red]"}


def status(
    state: context.StateOption = context.STATE,
    watch: Annotated[bool, typer.Option("--watch", "-w", help="Stay, and follow what happens.")] = False,
    output: context.OutputOption = Output.text,
) -> None:
    """Show what the loop does now."""
    with context.errors():
        if output == Output.json:
            out.print_json(json.dumps(_as_json(state)))
            return
        if not watch:
            out.print(_page(state))
            return
        with (
            Live(_page(state), console=out, auto_refresh=False, screen=context.is_terminal()) as live,
            suppress(KeyboardInterrupt),
        ):
            while True:
                time.sleep(1)
                live.update(_page(state), refresh=True)


def history(
    state: context.StateOption = context.STATE,
    limit: Annotated[int, typer.Option("--limit", "-n", min=1, max=10_000, help="So many latest events.")] = 50,
    output: context.OutputOption = Output.text,
) -> None:
    """Show what happened, oldest first."""
    with context.errors():
        ledger, loop = context.ledger(state)
        events = ledger.events(loop, limit)
        if output == Output.json:
            out.print_json(wire.dump(events).decode())
        else:
            out.print(_events(events))


def _as_json(state: Path) -> dict[str, object]:
    ledger, loop = context.ledger(state)
    entry = ledger.read(loop)
    card = _card(state)
    return {
        "loop": loop,
        "up": card is not None,
        "addresses": {n: card.addresses.url(n) for n in ("envoy", "mlflow", "prometheus")} if card else {},
        "weights": _weights(card, entry.status),
        "status": json.loads(wire.dump(entry.status)),
    }


def _weights(card: Card | None, status: Status) -> dict[str, int]:
    """The shares of traffic by version; nothing is served while the loop is down."""
    if card is None:
        return {}
    routing = desired_routing(loading.read(Path(card.file)), status)
    return {str(v.version): v.weight for v in routing.variants if v.weight} if routing is not None else {}


def _page(state: Path) -> RenderableType:
    ledger, loop = context.ledger(state)
    entry = ledger.read(loop)
    parts: list[RenderableType] = [_head(_card(state), state, loop, entry.status)]
    if entry.status.rollout is not None and entry.status.rollout.verdicts:
        parts.append(_verdicts(entry.status.rollout.verdicts))
    if entry.status.drift:
        parts.append(_drift(entry.status.drift))
    parts.append(_events(ledger.events(loop, 10)))
    return Group(*parts)


def _card(state: Path) -> Card | None:
    return supervisor.read_card(state) if supervisor.is_running(state) else None


def _head(card: Card | None, state: Path, loop: str, status: Status) -> RenderableType:
    table = Table(box=None, show_header=False, padding=(0, 2), title=f"[bold]{loop}[/bold]", title_justify="left")
    table.add_row("loop", "[green]up[/green]" if card is not None else "[red]down[/red]; `serinus up FILE` goes on")
    shares = ", ".join(f"version {v} gets {w} %" for v, w in _weights(card, status).items())
    table.add_row("champion", f"version {status.champion}" if status.champion is not None else "none yet")
    if status.rollout is not None:
        step = f"step {status.rollout.step + 1}" if status.rollout.step >= 0 else "getting ready"
        table.add_row(
            "canary", f"version {status.rollout.version}, {step}, {status.rollout.step_answers} answers in it"
        )
    table.add_row("traffic", shares or "nobody serves")
    if status.previous is not None:
        table.add_row("kept ready", f"version {status.previous}")
    if status.waiting is not None:
        table.add_row("waiting", f"version {status.waiting}; `serinus approve {status.waiting}` lets it in")
    if status.run is not None:
        at = kfp_local_folder.step(state / "runs" / status.run.key) or "pending"
        table.add_row("run", f"{status.run.key}: {at}")
    elif status.last_run is not None:
        ended = status.last_run
        result = f"registered version {ended.version}" if ended.version is not None else f"failed: {ended.reason}"
        table.add_row("last run", f"{ended.key}: {result}")
    for subject, why in status.notices.items():
        table.add_row("[red]cannot see[/red]", f"{subject}: {why}")
    if card is not None:
        table.add_row("addresses", "  ".join(card.addresses.url(n) for n in ("envoy", "mlflow", "prometheus")))
    return table


def _verdicts(verdicts: tuple[Verdict, ...]) -> RenderableType:
    table = Table(box=None, padding=(0, 2), title="the canary's guardrails", title_justify="left")
    for column in ("guardrail", "verdict", "evidence"):
        table.add_column(column)
    for verdict in verdicts:
        table.add_row(verdict.gate, _MARKS.get(verdict.outcome, verdict.outcome), verdict.reason)
    return table


def _drift(windows: tuple[DriftFinding, ...]) -> RenderableType:
    latest = windows[-1]
    table = Table(box=None, padding=(0, 2), title_justify="left")
    table.title = f"drift, window to {latest.window.end.astimezone():%H:%M:%S}: {latest.verdict.reason}"
    for column in ("feature", "PSI", ""):
        table.add_column(column)
    for feature in sorted(latest.features, key=lambda f: -f.psi)[:5]:
        bar = Text("█" * min(30, round(feature.psi * 60)), style="red" if feature.drifted else "green")
        table.add_row(feature.name, f"{feature.psi:.3f}", bar)
    return table


def _events(events: tuple[Event, ...]) -> RenderableType:
    table = Table(box=None, padding=(0, 2), show_header=False)
    for event in events:
        table.add_row(f"{event.at.astimezone():%m-%d %H:%M:%S}", event.kind, event.message)
    return table
