"""What every Audit promises, over whatever backend the fixtures `audit` and `away` of a subclass give."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta, timezone

import pytest

from serinus.decide.audit import GENESIS, verify
from serinus.errors import Unavailable
from serinus.facts import Deed
from serinus.ports import Audit

NOW = datetime(2026, 1, 2, 3, 4, 5, 678901, tzinfo=UTC)


def deed(number: int, message: str = "") -> Deed:
    """A deed of the loop "a" in the namespace "local"."""
    at = NOW + timedelta(seconds=number)
    return Deed(f"deed-{number}", "a", at, "Promoted", "ann", message or str(number), number, {"rate": 0.1}, "local")


class AuditPromises:
    """Give it fixtures: `audit`, empty; and `away`, which cannot be asked."""

    def test_a_trail_in_which_nothing_is_has_no_entries(self, audit: Audit) -> None:
        assert audit.entries() == ()
        assert audit.append([]) == 0
        assert audit.entries() == ()

    def test_deeds_are_kept_in_their_order_each_linked_to_the_one_before(self, audit: Audit) -> None:
        assert audit.append([deed(2), deed(1)]) == 2
        assert audit.append([deed(3)]) == 1
        entries = audit.entries()
        assert [entry.deed for entry in entries] == [deed(2), deed(1), deed(3)]
        assert [entry.number for entry in entries] == [1, 2, 3]
        assert entries[0].previous == GENESIS
        assert verify(entries) is None

    def test_the_same_id_twice_is_one_deed_the_first(self, audit: Audit) -> None:
        assert audit.append([deed(1), deed(1, "told again"), deed(2)]) == 2
        assert audit.append([deed(2, "told again"), deed(1), deed(3)]) == 1
        assert [entry.deed for entry in audit.entries()] == [deed(1), deed(2), deed(3)]
        assert verify(audit.entries()) is None

    def test_entries_are_read_in_pages(self, audit: Audit) -> None:
        audit.append([deed(number) for number in range(1, 8)])
        pages = [audit.entries(0, 3), audit.entries(3, 3), audit.entries(6, 3), audit.entries(7, 3)]
        assert [[entry.number for entry in page] for page in pages] == [[1, 2, 3], [4, 5, 6], [7], []]
        assert verify(pages[1], pages[0][-1]) is None
        assert audit.entries(limit=0) == ()
        assert audit.entries(after=100) == ()

    @pytest.mark.parametrize(
        "told",
        [
            Deed("a", "a", NOW, "RunFailed", "ann", "two\nlines, ünïcode, \x00 and 'quotes\"", namespace="local"),
            Deed("a", "a", NOW, "Promoted", "ann", "whole numbers", 2, {"weight": 5, "small": 1e-300}, "local"),
            Deed("a", "a", NOW.astimezone(timezone(timedelta(hours=9))), "Promoted", "", "", namespace="local"),
            Deed("a" * 200, "a", NOW, "Promoted", "ann" * 100, "x" * 2000, namespace="local"),
        ],
        ids=["text", "numbers", "time and nothing", "long"],
    )
    def test_what_was_kept_comes_back_with_the_digest_it_was_given(self, audit: Audit, told: Deed) -> None:
        audit.append([told, deed(1)])
        entries = audit.entries()
        assert entries[0].deed == told
        assert verify(entries) is None

    def test_a_trail_that_is_away_says_so(self, away: Audit) -> None:
        with pytest.raises(Unavailable):
            away.append([deed(1)])
        with pytest.raises(Unavailable):
            away.entries()
