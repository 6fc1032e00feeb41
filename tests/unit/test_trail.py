"""The audit trail as the driver keeps it: what the history has, once each, whatever is away in between."""

from __future__ import annotations

from tests.unit.test_driver import Bench, history, life, trail


def test_the_trail_has_what_the_history_has_and_who_did_it() -> None:
    bench = Bench()
    life(bench)
    assert trail(bench) == history(bench)
    asked = [(deed.by, deed.message.split(": ")[1]) for deed in bench.deeds() if deed.kind == "RunRequested"]
    assert asked == [("serinus", "the loop has no model yet"), ("ann", "ann asked for it")]


def test_a_trail_that_is_away_is_said_once_keeps_nobody_from_work_and_is_caught_up_later() -> None:
    bench = Bench()
    bench.live(5)
    bench.audit.away = "no such disk"
    bench.live(15)
    assert bench.status.champion == 1
    looked = bench.look({"audit": "no such disk"})
    assert looked.failed["audit"].startswith("no such disk; what happens is in the loop's history")
    assert bench.kinds().count("CannotSee") == 1
    bench.audit.away = ""
    bench.live(2)
    assert bench.look().failed == {}
    assert bench.kinds().count("SeesAgain") == 1
    assert trail(bench) == history(bench)


def test_what_the_ledger_forgot_while_the_trail_was_away_is_caught_up_all_the_same() -> None:
    bench = Bench()
    bench.audit.away = "no such disk"
    events = bench.ledger.events
    bench.ledger.events = lambda loop, limit=100: events(loop, min(limit, 2))  # type: ignore[method-assign]
    life(bench)
    bench.audit.away = ""
    bench.live(1)
    bench.ledger.events = events  # type: ignore[method-assign]
    assert len(history(bench)) > 2
    assert trail(bench) == history(bench)


def test_a_driver_that_finds_a_trail_behind_its_ledger_catches_up_at_its_first_look() -> None:
    bench = Bench()
    bench.audit.away = "no such disk"
    bench.live(15)
    bench.audit.away, bench.trail = "", None
    bench.look()
    assert trail(bench) == history(bench)


def test_a_look_in_which_nothing_happens_does_not_ask_the_trail() -> None:
    bench = Bench()
    bench.live(15)
    bench.audit.away = "no such disk"
    assert bench.look().failed == {}
