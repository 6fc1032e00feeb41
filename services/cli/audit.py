"""`serinus audit verify` and `serinus audit export`: whether somebody rewrote the trail, and the trail as a file."""

from __future__ import annotations

import re
import sys
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from pathlib import Path

import typer

from serinus import wire
from serinus.decide.audit import deed
from serinus.errors import Fatal
from serinus.facts import Event
from serinus.ports import Audit
from services.cli import context
from services.cli.context import Output
from services.cli.place import find
from services.cli.records import Where
from services.cli.trails import Checked, in_file, pages, trail

_UNDER_WAY = timedelta(minutes=1)  # between the loop's history and the trail
_EVENTS = 1000  # of the loop's history that are looked for in the trail
_DIGITS = 12  # of a digest that a note needs at least: chance gives the same once in 10^14


@dataclass(frozen=True)
class Checks:
    """What verify found; `problem` is "" when nothing is wrong."""

    trail: str
    entries: int
    problem: str
    last: str  # digest of the last entry, to be noted
    since: datetime | None
    until: datetime | None


def verify(where: Where, file: Path | None, noted: Sequence[str], output: Output) -> None:
    """Look through the whole trail. Raises typer.Exit(1) when somebody rewrote it."""
    notes = dict(map(_note, noted))
    with _named(where, file) as (kept, place):
        found = checks(kept, place, notes, [] if file is not None else _history(where))
    if output == Output.json:
        context.answer(wire.dump(found))
    elif found.problem:
        context.complain(f"{found.trail}: {found.problem}")
    elif found.since is not None and found.until is not None:
        context.say(
            f"{found.trail}: {found.entries} entries, {_at(found.since)} to {_at(found.until)}. None was changed,"
            " removed or put elsewhere."
        )
        context.say(f"Note this somewhere else, it proves that later: --noted {found.entries}:{found.last}")
    else:
        context.say(f"{found.trail} has no entries yet.")
    if found.problem:
        raise typer.Exit(1)


def checks(kept: Audit, place: str, notes: dict[int, str], history: Sequence[tuple[str, Event]]) -> Checks:
    """Everything that can be known of the trail. notes: entry -> digest. history: ids of deeds that must be there."""
    checked, since, problems = Checked(pages(kept)), None, list[str]()
    missing, open_notes = dict(history), dict(notes)
    for entry in checked:
        since = since or entry.deed.at
        missing.pop(entry.deed.id, None)
        digest = open_notes.pop(entry.number, None)
        if digest is not None and not entry.digest.startswith(digest):
            problems.append(
                f"entry {entry.number} was noted with digest {digest[:_DIGITS]}…, but it has"
                f" {entry.digest[:_DIGITS]}…: the trail was made anew"
            )
    problems += [
        f"entry {number} was noted, but it is not there: the trail's end was cut off" for number in sorted(open_notes)
    ]
    problems += [
        f"{event.kind} of {_at(event.at)} is in the loop's history and not in the trail: it was cut off, or never kept"
        for event in list(missing.values())[:1]
    ]
    last = checked.last
    return Checks(
        place,
        last.number if last is not None else 0,
        checked.problem or "; ".join(problems),
        last.digest if last is not None else "",
        since,
        last.deed.at if last is not None else None,
    )


def export(where: Where, out: Path | None) -> None:
    """Write the whole trail as JSON lines, an entry a line, to a file or to standard output."""
    with trail(where) as (kept, place):
        checked, count = Checked(pages(kept)), 0
        lines = (wire.dump(entry) + b"\n" for entry in checked)
        if out is None:
            for line in lines:
                sys.stdout.buffer.write(line)
            sys.stdout.buffer.flush()
        else:
            try:
                with out.open("xb") as file:
                    for line in lines:
                        file.write(line)
                        count += 1
            except OSError as error:
                raise Fatal(f"{out} cannot be written: {error}") from error
    if out is not None:
        context.say(f"{count} entries of {place} are in {out}; `serinus audit verify {out}` looks through them.")
    if checked.problem:
        raise Fatal(f"{place}: {checked.problem}")


@contextmanager
def _named(where: Where, file: Path | None) -> Iterator[tuple[Audit, str]]:
    if file is not None:
        yield in_file(file), str(file)
    else:
        with trail(where) as found:
            yield found


def _history(where: Where) -> list[tuple[str, Event]]:
    """The loop's events that must be in the trail, by their deeds' ids; none where no loop was named."""
    if where.collector and where.loop is None:
        return []
    place = find(where.state, where.loop, where.namespace, where.context)
    namespace = str(place.more().get("namespace", ""))
    before = datetime.now(UTC) - _UNDER_WAY
    events = [event for event in place.events(_EVENTS) if event.at < before]
    return [(deed(place.name, event, namespace).id, event) for event in events]


def _note(text: str) -> tuple[int, str]:
    number, _, digest = text.partition(":")
    if not number.isdigit() or not re.fullmatch(rf"[0-9a-f]{{{_DIGITS},64}}", digest):
        raise typer.BadParameter(f"--noted: expected NUMBER:DIGEST with {_DIGITS} digits at least, got {text!r}")
    return int(number), digest


def _at(moment: datetime) -> str:
    return f"{moment.astimezone(UTC):%Y-%m-%d %H:%M:%S} UTC"
