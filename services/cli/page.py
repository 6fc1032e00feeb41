"""What a loop looks like on a terminal: pure, from a View to renderables. Time comes in with the View.

Whatever the loop, its data or people say is shown as `Text`, never as markup, so that `[...]` stays what it is.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import TYPE_CHECKING

from rich.console import Group, RenderableType
from rich.table import Table
from rich.text import Text

from serinus.facts import DriftFinding, Event, Rollout, Status, Verdict
from services.cli import drift_page

if TYPE_CHECKING:
    from serinus.spec import RolloutSpec

_OUTCOMES = {"pass": "green", "fail": "red", "error": "red", "undecided": "yellow"}
_KINDS = {
    "Promoted": "bold green", "RunSucceeded": "green", "StepPassed": "green", "WatchEnded": "green",
    "DriftGone": "green", "SeesAgain": "green", "Approved": "green",
    "RolledBack": "bold red", "BroughtBack": "bold red", "Rejected": "red", "RunFailed": "red", "Trouble": "red",
    "CannotSee": "red", "RecordLost": "red",
    "DriftFound": "yellow", "AwaitingApproval": "yellow", "RequestIgnored": "yellow", "Restarted": "yellow",
}  # fmt: skip
_KIND_WIDTH = 17
_BAR = 24  # cells; what a line of 80 has room for beside its words
_SMALL_BAR = 8
_FEATURES = 5
_ARMS = (("█", "green"), ("▒", "yellow"), ("░", "cyan"))  # told apart without colours too
_MARKS = {"pass": "✓", "fail": "✗", "error": "!", "undecided": "·"}


@dataclass(frozen=True)
class View:
    """What there is to show of a loop at `now`."""

    loop: str
    now: datetime
    status: Status
    up: bool
    addresses: Mapping[str, str]
    weights: Mapping[int, int] | None  # version -> percent, as the router splits; None: cannot be seen
    step: str = ""  # of the run in flight
    rollout: RolloutSpec | None = None  # None: not known, or nothing is on its way
    events: Sequence[Event] = ()
    where: str = ""  # beside its name
    options: str = ""  # what a hint has to add to a command so that it means this loop
    down: str = "`serinus up FILE` goes on"  # what to know of a loop that is not up
    troubles: Sequence[tuple[str, str]] | None = None  # what is wrong, as a driver sums it up; None: status.notices


def page(view: View) -> RenderableType:
    """The whole page."""
    parts: list[RenderableType] = [_title(view), _facts(view)]
    rollout = view.status.rollout
    if rollout is not None and rollout.verdicts:
        parts += [_heading(f"guardrails of version {rollout.version}"), guardrails(rollout.verdicts)]
    if view.status.drift:
        parts += [_heading("drift"), *_drift(view.status.drift, view.now)]
    if view.events:
        parts += [_heading("latest events"), *_latest(view)]
    return Group(*parts)


def history(happened: Sequence[Event]) -> RenderableType:
    """An event a paragraph, the oldest first; the day stands once where it changes."""
    table, day = _grid(3), None
    for event in happened:
        at = event.at.astimezone()
        if at.date() != day:
            day = at.date()
            table.add_row(Text(f"{at:%d %b %Y}", "dim"))
        table.add_row(*event_cells(event))
    return table


def event_cells(event: Event) -> tuple[Text, Text, Text]:
    """Time, kind and message of an event."""
    kind = Text(event.kind.ljust(_KIND_WIDTH), _KINDS.get(event.kind, "cyan"))
    return Text(f"{event.at.astimezone():%H:%M:%S}", "dim"), kind, Text(event.message)


def guardrails(verdicts: Sequence[Verdict]) -> RenderableType:
    """A line a guardrail: both arms, and how far the evidence is to rolling back and to letting in."""
    table = _grid(6)
    table.add_row("", "", *(Text(name, "dim") for name in ("canary", "stable", "to roll back", "to let in")))
    for verdict in verdicts:
        figures = verdict.figures
        cells = [Text(verdict.gate), Text(verdict.outcome, _OUTCOMES[verdict.outcome])]
        if "log_harm_needed" in figures:
            cells += [Text(_share(figures, "canary")), Text(_share(figures, "stable"), "dim")]
            cells += [_bar(figures["log_harm"] / figures["log_harm_needed"], _SMALL_BAR, "red")]
            cells += [_bar(figures["log_safe"] / figures["log_safe_needed"], _SMALL_BAR, "green")]
        table.add_row(*cells)
    silent = [v for v in verdicts if v.outcome == "error" or "log_harm_needed" not in v.figures]
    return Group(table, *(Text(f"  {v.reason}", _OUTCOMES[v.outcome]) for v in silent))


def ago(moment: datetime, now: datetime) -> str:
    """`3 min 20 s ago`."""
    return f"{lasting(now - moment)} ago"


def lasting(span: timedelta) -> str:
    """A stretch of time with the two largest units that matter: 45 s, 3 min 20 s, 2 h 5 min, 3 d 4 h."""
    seconds = max(0, round(span.total_seconds()))
    for unit, size, below, smaller in (("d", 86_400, "h", 3_600), ("h", 3_600, "min", 60), ("min", 60, "s", 1)):
        if seconds >= size:
            rest = seconds % size // smaller
            return f"{seconds // size} {unit}" + (f" {rest} {below}" if rest else "")
    return f"{seconds} s"


def _title(view: View) -> Text:
    state = Text("● up", "green") if view.up else Text("● down", "red") + Text(f"  {view.down}", "dim")
    where = Text(f"  {view.where}" if view.where else "", "dim")
    now = f"{view.now.astimezone():%d %b %H:%M:%S}"
    return Text.assemble((view.loop, "bold"), where, "  ", state, "  ", (now, "dim"))


def _facts(view: View) -> RenderableType:
    table = _grid(2)
    for name, value in _lines(view):
        table.add_row(Text(name, "dim"), value)
    return table


def _lines(view: View) -> Iterator[tuple[str, Text]]:
    status = view.status
    ready = f"; version {status.previous} is kept ready" if status.previous is not None else ""
    yield "champion", Text(f"version {status.champion}{ready}" if status.champion is not None else "none yet")
    if view.up:
        yield "traffic", _traffic(view.weights)
    if status.rollout is not None:
        yield "canary", Text(_canary(status.rollout, view))
    if status.watch is not None:
        left = lasting(status.watch.until - view.now)
        held = status.watch.held
        beside = f", beside version {status.previous} with {held} % of the traffic" if held else ""
        yield "watched", Text(f"version {status.watch.version}, for another {left}{beside}")
    if status.waiting is not None:
        turn = status.rollout is not None or status.approved == status.waiting
        hint = "its turn comes next" if turn else f"`serinus approve {status.waiting}{view.options}` lets it in"
        yield "waiting", Text(f"version {status.waiting}; {hint}", "yellow")
    yield "run", _run(view)
    if view.troubles is None:
        yield from (("trouble", Text(f"{subject}: {why}", "red")) for subject, why in status.notices.items())
    else:
        yield from ((subject, Text(why, "red")) for subject, why in view.troubles)
    for name, url in view.addresses.items():
        path = f"/v1/models/{view.loop}:predict" if name == "envoy" else ""
        yield ("predict" if name == "envoy" else name), Text(url + path)


def _traffic(weights: Mapping[int, int] | None) -> Text:
    if weights is None:
        return Text("cannot be seen now", "red")
    shares = [(version, weight) for version, weight in weights.items() if weight]
    if not shares:
        return Text("nobody serves yet", "yellow")
    bar, legend, done = Text(), Text(), 0
    for index, (version, weight) in enumerate(shares):
        glyph, style = _ARMS[index % len(_ARMS)]
        cells = round((done + weight) * _BAR / 100) - round(done * _BAR / 100)
        bar.append(glyph * cells, style)
        legend.append("  ").append(f"version {version} {weight} %", style)
        done += weight
    return bar + legend


def _canary(rollout: Rollout, view: View) -> str:
    if rollout.step < 0:
        return f"version {rollout.version} gets ready, for {lasting(view.now - rollout.started)}"
    spec, since = view.rollout, lasting(view.now - rollout.step_started)
    if spec is None:
        return f"version {rollout.version}, step {rollout.step + 1}, for {since}: {rollout.step_answers:,} answers"
    place = spec.place(rollout.step, rollout.share)
    wanted = f"{rollout.step_answers:,} answers, at least {spec.min_requests:,} wanted"
    return f"version {rollout.version}, {place}, for {since} of at most {lasting(spec.patience())}: {wanted}"


def _run(view: View) -> Text:
    run, last = view.status.run, view.status.last_run
    if run is not None:
        return Text(f"{view.step or 'pending'}, for {lasting(view.now - run.requested)}: {run.key}", "cyan")
    if last is None:
        return Text("none yet")
    when = f"{ago(last.ended, view.now)}: " if last.ended is not None else ""
    if last.version is not None:
        return Text(f"{when}{last.key} registered version {last.version}")
    return Text(f"{when}{last.key} failed: {last.reason}")


def _drift(windows: Sequence[DriftFinding], now: datetime) -> Iterator[RenderableType]:
    latest = windows[-1]
    outcome = latest.verdict.outcome
    looked = f"  {ago(latest.window.end, now)}, version {latest.version}, latest windows "
    marks = [(_MARKS[w.verdict.outcome], _OUTCOMES[w.verdict.outcome]) for w in windows[-10:]]
    yield Text.assemble("  ", (outcome, _OUTCOMES[outcome]), looked, *marks)
    if not latest.features:
        yield Text(f"  {latest.verdict.reason}")
        return
    bound, table = latest.verdict.figures["psi_bound"], _grid(4)
    for feature in sorted(latest.features, key=lambda f: -f.psi)[:_FEATURES]:
        style, word = ("red", "drifted") if feature.drifted else ("green", "")
        # The bound is at a quarter of the bar.
        bar = _bar(feature.psi / (4 * bound), _BAR, style)
        table.add_row(Text(feature.name), Text(f"PSI {feature.psi:.3f}"), bar, Text(word, style))
    yield table
    yield from drift_page.most(latest)
    others = len(latest.features) - _FEATURES
    hidden = f"; {others} others changed less" if others > 0 else ""
    yield Text(f"  {latest.rows:,} rows; drifted: PSI over {bound:g}, and significant{hidden}", "dim")


def _latest(view: View) -> Iterator[Text]:
    """A line an event, the newest first, cut at the page's edge: `serinus history` has all of it."""
    for event in reversed(view.events):
        at = "%H:%M:%S" if view.now - event.at < timedelta(hours=12) else "%d %b   "
        _, kind, message = event_cells(event)
        time = Text(f"{event.at.astimezone():{at}}", "dim")
        yield Text.assemble("  ", time, "  ", kind, "  ", message, no_wrap=True, overflow="ellipsis")


def _heading(text: str) -> Text:
    return Text(f"\n{text}", "bold")


def _share(figures: Mapping[str, float], arm: str) -> str:
    trials = figures[f"{arm}_trials"]
    return f"{100 * figures[f'{arm}_bad'] / trials:.1f} % of {trials:,.0f}" if trials else "0 requests"


def _bar(share: float, cells: int, style: str) -> Text:
    filled = min(cells, max(0, round(share * cells)))
    return Text("█" * filled, style) + Text("·" * (cells - filled), "dim")


def _grid(columns: int) -> Table:
    """Columns as wide as their words, two cells apart; the last one wraps."""
    table = Table.grid(padding=(0, 0, 0, 2), pad_edge=True)
    for index in range(columns):
        table.add_column(no_wrap=index < columns - 1, overflow="fold")
    return table
