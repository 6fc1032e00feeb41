"""What every Ledger promises, over whatever backend the fixtures `ledger` and `away` of a subclass give."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from datetime import UTC, datetime, timedelta

import pytest

from serinus.errors import Conflict, Unavailable
from serinus.facts import (
    Change,
    DataCount,
    Event,
    Measured,
    QualityFinding,
    QualityWindow,
    Request,
    Status,
    Verdict,
    Window,
)
from serinus.ports import Entry, Ledger

NOW = datetime(2026, 1, 2, 3, 4, 5, tzinfo=UTC)


def event(message: str) -> Event:
    return Event(NOW, "Promoted", message, 1, {"rate": 0.1})


def request(name: str, seconds: int = 0) -> Request:
    return Request(name, "run", NOW + timedelta(seconds=seconds), "ann", reason="because")


def quality() -> QualityFinding:
    day = Window(NOW - timedelta(days=1), NOW)
    windows = (QualityWindow(day, 900, 700, True, Measured(0.7, 0.01, 0.68, 0.72, 700), worth=12.5),)
    change = Change("concept", 0.1, 0.0, 0.02, "the same inputs")
    return QualityFinding(3, "accuracy", day, Verdict("quality", "fail", "worse", {"value": 0.7}), windows, change)


class LedgerPromises:
    """Give it fixtures: `ledger`, empty, for loops "a" and "b", used by "ann"; and `away`, which cannot be asked."""

    def test_a_loop_never_heard_of_has_an_empty_memory(self, ledger: Ledger) -> None:
        assert ledger.read("a") == Entry(Status("a"), 0, ())
        assert ledger.events("a") == ()

    def test_what_was_written_is_read(self, ledger: Ledger) -> None:
        ledger.write("a", Status("a", champion=1), [event("one"), event("two")], 0)
        ledger.write("a", Status("a", champion=2), [], 1)
        ledger.write("a", Status("a", champion=3), [event("three")], 2)
        assert ledger.read("a") == Entry(Status("a", champion=3), 3, ())
        assert ledger.events("a") == (event("one"), event("two"), event("three"))
        assert ledger.events("a", limit=2) == (event("two"), event("three"))
        assert ledger.events("a", limit=0) == ()

    def test_loops_do_not_see_each_other(self, ledger: Ledger) -> None:
        ledger.write("a", Status("a", champion=1), [event("one")], 0)
        ledger.ask("a", request("r"))
        assert ledger.read("b") == Entry(Status("b"), 0, ())
        assert ledger.events("b") == ()

    @pytest.mark.parametrize("revision", [0, 2])
    def test_who_decided_on_another_revision_does_not_write(self, ledger: Ledger, revision: int) -> None:
        ledger.write("a", Status("a", champion=1), [event("one")], 0)
        ledger.ask("a", request("r"))
        with pytest.raises(Conflict):
            ledger.write("a", Status("a", champion=2, handled=("r",)), [event("two")], revision)
        assert ledger.read("a") == Entry(Status("a", champion=1), 1, (request("r"),))
        assert ledger.events("a") == (event("one"),)

    def test_requests_wait_oldest_first_until_they_are_handled(self, ledger: Ledger) -> None:
        for name, seconds in (("later", 9), ("b", 5), ("a", 5)):
            ledger.ask("a", request(name, seconds))
        assert [r.id for r in ledger.read("a").requests] == ["a", "b", "later"]
        ledger.write("a", Status("a", handled=("b", "unknown")), [], 0)
        assert [r.id for r in ledger.read("a").requests] == ["a", "later"]

    def test_the_same_id_twice_is_one_request_also_after_it_was_handled(self, ledger: Ledger) -> None:
        ledger.ask("a", request("r"))
        ledger.ask("a", replace(request("r"), by="bob"))
        assert ledger.read("a").requests == (request("r"),)
        ledger.write("a", Status("a", handled=("r",)), [], 0)
        ledger.ask("a", request("r"))
        assert ledger.read("a").requests == ()

    def test_what_jobs_found_of_quality_and_of_new_data_is_asked_and_remembered_whole(self, ledger: Ledger) -> None:
        found = Request("q", "quality", NOW, "ann", 3, quality=quality())
        grown = Request("r", "data", NOW, "ann", 3, rows=12_000, learned=41_000, pulled=NOW)
        for request in (found, grown):
            ledger.ask("a", request)
        assert ledger.read("a").requests == (found, grown)
        kept = Status(
            "a",
            quality=quality(),
            quality_fell=3,
            data=DataCount(3, NOW, 12_000, None, 900, True),
            pulled=NOW,
        )
        ledger.write("a", kept, [], 0)
        assert ledger.read("a").status == kept

    def test_an_id_may_hold_anything(self, ledger: Ledger) -> None:
        names = ["../../etc/passwd", "a/b", "ü " * 200, " "]
        for name in names:
            ledger.ask("a", request(name))
        assert {r.id for r in ledger.read("a").requests} == set(names)

    @pytest.mark.parametrize(
        "ask",
        [
            lambda ledger: ledger.read("a"),
            lambda ledger: ledger.write("a", Status("a"), [], 0),
            lambda ledger: ledger.ask("a", request("r")),
            lambda ledger: ledger.events("a"),
        ],
    )
    def test_a_ledger_that_cannot_be_asked_says_so(self, away: Ledger, ask: Callable[[Ledger], object]) -> None:
        with pytest.raises(Unavailable):
            ask(away)
