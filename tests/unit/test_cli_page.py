"""The status page as people see it, in a terminal of 80 columns and in a wider one."""

from __future__ import annotations

from dataclasses import replace
from datetime import timedelta
from io import StringIO

import pytest
from rich.console import Console, RenderableType

from serinus import loading
from serinus.facts import RunRecord, Status, Verdict, Watch
from services.cli import page
from services.cli.page import View
from tests.unit.cli_state import CANARY, EVENTS, EXAMPLE, LOOP, NOW, SERVING, drifted

assert CANARY.rollout is not None
ROLLOUT = CANARY.rollout
SPEC = loading.read(EXAMPLE).spec.rollout
ADDRESSES = {"envoy": "http://127.0.0.1:8080", "mlflow": "http://127.0.0.1:5000"}
BUSY = View(LOOP, NOW, CANARY, True, ADDRESSES, {2: 0, 3: 80, 4: 20}, "train", SPEC, EVENTS)
IDLE = View(LOOP, NOW, SERVING, True, {}, {3: 100})


def _printed(renderable: RenderableType, width: int) -> str:
    console = Console(width=width, file=StringIO(), highlight=False)
    with console.capture() as captured:
        console.print(renderable)
    return "\n".join(line.rstrip() for line in captured.get().splitlines())


def _text(view: View, width: int = 1000) -> str:
    """The page below its title line, which has the time of day in it."""
    return _printed(page.page(view), width).partition("\n")[2]


def test_a_busy_loop_fits_80_columns() -> None:
    text = _text(replace(BUSY, events=()), 80)
    assert (
        text
        == """\
  champion  version 3; version 2 is kept ready
  traffic   ███████████████████▒▒▒▒▒  version 3 80 %  version 4 20 %
  canary    version 4, step 1 of 2, for 42 s of at most 1 min 30 s: 45 answers,
            at least 60 wanted
  waiting   version 5; its turn comes next
  run       train, for 1 min 15 s: flight-delay-drift-2
  trouble   registry: [Errno 111] refused
  predict   http://127.0.0.1:8080/v1/models/flight-delay:predict
  mlflow    http://127.0.0.1:5000

guardrails of version 4
                      canary          stable      to roll back  to let in
  errors   undecided  2.5 % of 1,200  0 requests  ██······      ████····
  latency  pass       2.5 % of 1,200  0 requests  ········      ████████

drift
  fail  1 min ago, version 3, latest windows ✓!✗
  g  PSI 0.700  ████████████████████████  drifted
  f  PSI 0.600  ████████████████████████  drifted
  e  PSI 0.500  ████████████████████████  drifted
  d  PSI 0.400  ████████████████████████  drifted
  c  PSI 0.300  ██████████████████······  drifted
  1,820 rows; drifted: PSI over 0.1, and significant; 2 others changed less"""
    )


@pytest.mark.parametrize("width", [80, 120])
def test_nothing_is_wider_than_the_terminal_and_an_event_is_one_line(width: int) -> None:
    lines = _text(BUSY, width).splitlines()
    assert max(map(len, lines)) <= width
    events = lines[lines.index("latest events") + 1 :]
    assert len(events) == len(EVENTS)
    assert "RunFailed          ValueError: [bold]column[/bold]" in events[0]
    assert "RunRequested" in events[-1]


def test_what_the_loop_says_is_never_markup() -> None:
    assert EVENTS[-1].message in _text(BUSY)
    assert EVENTS[-1].message in _printed(page.history(EVENTS), 1000)


def _line(view: View, name: str) -> str:
    return next((line for line in _text(view).splitlines() if line.startswith(f"  {name} ")), "")


def _with(**changes: object) -> View:
    return replace(IDLE, status=replace(SERVING, **changes))  # type: ignore[arg-type]


FAILED = RunRecord("k-1", "drift", NOW, NOW - timedelta(hours=2, minutes=5), "failed", "gate [x]: too few rows")


@pytest.mark.parametrize(
    ("view", "name", "said"),
    [
        (IDLE, "champion", "version 3; version 2 is kept ready"),
        (replace(IDLE, status=Status(LOOP)), "champion", "none yet"),
        (IDLE, "traffic", "█" * 24 + "  version 3 100 %"),
        (replace(IDLE, weights=None), "traffic", "cannot be seen now"),
        (replace(IDLE, weights={3: 0}), "traffic", "nobody serves yet"),
        (replace(IDLE, weights={1: 33, 2: 33, 3: 34}), "traffic",
         "████████▒▒▒▒▒▒▒▒░░░░░░░░  version 1 33 %  version 2 33 %  version 3 34 %"),
        (_with(waiting=5), "waiting", "version 5; `serinus approve 5` lets it in"),
        (_with(waiting=5, approved=5), "waiting", "version 5; its turn comes next"),
        (_with(watch=Watch(3, NOW + timedelta(seconds=90), NOW)), "watched", "version 3, for another 1 min 30 s"),
        (_with(previous=2, watch=Watch(3, NOW + timedelta(seconds=90), NOW, held=20)), "watched",
         "version 3, for another 1 min 30 s, beside version 2 with 20 % of the traffic"),
        (IDLE, "run", "none yet"),
        (_with(run=RunRecord("k-2", "drift", NOW)), "run", "pending, for 0 s: k-2"),
        (_with(last_run=FAILED), "run", "2 h 5 min ago: k-1 failed: gate [x]: too few rows"),
        (_with(last_run=replace(FAILED, phase="succeeded", version=4, ended=None)), "run", "k-1 registered version 4"),
        (replace(BUSY, rollout=None), "canary", "version 4, step 1, for 42 s: 45 answers"),
        (replace(BUSY, status=replace(CANARY, rollout=replace(ROLLOUT, step=-1))), "canary",
         "version 4 gets ready, for 5 min"),
    ],
)  # fmt: skip
def test_each_line_says_how_things_are(view: View, name: str, said: str) -> None:
    assert _line(view, name).split(maxsplit=1)[1] == said


def test_a_guardrail_that_could_not_look_says_why() -> None:
    verdicts = (Verdict("errors", "error", "errors: could not look: no counts since 10:00:00 [x]"),)
    assert _printed(page.guardrails(verdicts), 80).splitlines()[1:] == [
        "  errors  error",
        "  errors: could not look: no counts since 10:00:00 [x]",
    ]


def test_a_window_that_saw_nothing_says_why() -> None:
    text = _text(_with(drift=(drifted("error"),)))
    assert text.splitlines()[-2:] == ["  error  1 min ago, version 3, latest windows !", "  a sentence on drift [x]"]


def test_history_names_the_day_where_it_changes() -> None:
    lines = _printed(page.history(EVENTS), 1000).splitlines()
    days = [f"  {event.at.astimezone():%d %b %Y}" for event in EVENTS]
    assert [line for line in lines if line in days] == list(dict.fromkeys(days))
    assert len(lines) == len(EVENTS) + len(set(days))


@pytest.mark.parametrize(
    ("seconds", "text"),
    [
        (-5, "0 s"), (0.4, "0 s"), (59.4, "59 s"), (60, "1 min"), (200, "3 min 20 s"), (3600, "1 h"),
        (7500, "2 h 5 min"), (86_400, "1 d"), (273_700, "3 d 4 h"),
    ],
)  # fmt: skip
def test_stretches_of_time_are_told_in_two_units(seconds: float, text: str) -> None:
    assert page.lasting(timedelta(seconds=seconds)) == text


def test_a_loop_elsewhere_says_where_and_what_its_driver_says_is_wrong() -> None:
    troubles = (("not ready", "version 4 gets 5 % and is not ready"), ("spec", "edit 2 is not in force"))
    status = replace(SERVING, waiting=5, notices={"registry": "refused"})
    view = replace(IDLE, status=status, where="namespace air", options=" --loop flights", troubles=troubles)
    text = _printed(page.page(view), 1000)
    assert f"{LOOP}  namespace air  ● up" in text
    assert "not ready  version 4 gets 5 % and is not ready\n" in text
    assert "spec       edit 2 is not in force" in text
    assert "registry" not in text
    assert "version 5; `serinus approve 5 --loop flights` lets it in" in text
    assert "● down  nobody looks at it" in _printed(page.page(replace(view, up=False, down="nobody looks at it")), 1000)
