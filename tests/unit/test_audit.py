"""The audit trail's chain, and the deeds that go into it."""

from __future__ import annotations

import json
from dataclasses import replace
from datetime import UTC, datetime, timedelta, timezone
from hashlib import sha256

import pytest
from hypothesis import given
from hypothesis import strategies as st

from serinus import wire
from serinus.adapters import kube_history
from serinus.decide.audit import GENESIS, deed, erased, labels_changed, link, pseudonym, short, verify
from serinus.facts import AuditEntry, Deed, Event

NOW = datetime(2026, 3, 2, 12, tzinfo=UTC)


def did(number: int, message: str = "it is better") -> Deed:
    at = NOW + timedelta(minutes=number)
    return Deed(f"deed-{number}", "flights", at, "Promoted", "ann", message, number, {"weight": 5})


def chain(*deeds: Deed) -> list[AuditEntry]:
    made: list[AuditEntry] = []
    for each in deeds:
        made.append(link(made[-1] if made else None, each))
    return made


FIVE = chain(*(did(n) for n in range(1, 6)))


def test_entries_are_numbered_from_one_and_each_names_the_digest_before_it() -> None:
    assert [entry.number for entry in FIVE] == [1, 2, 3, 4, 5]
    assert [entry.previous for entry in FIVE] == [GENESIS, *(entry.digest for entry in FIVE[:-1])]
    assert verify(FIVE) is None
    assert verify([]) is None
    assert verify(FIVE[3:], FIVE[2]) is None


def test_an_auditor_computes_the_digest_without_us() -> None:
    previous = "0" * 64
    for line in map(wire.dump, FIVE):
        entry = json.loads(line)
        told = {name: value for name, value in entry["deed"].items() if value not in ("", None, {})}
        text = json.dumps(told, sort_keys=True, separators=(",", ":"), ensure_ascii=False)
        assert entry["previous"] == previous
        previous = sha256(f"{previous}\n{text}".encode()).hexdigest()
        assert entry["digest"] == previous


def test_digests_stay_what_they_were() -> None:
    """Trails outlive releases: this one was written by the first."""
    first = link(None, Deed("a", "flights", NOW, "Promoted", "ann", "it is better", 2, {"weight": 5}, "prod"))
    second = link(first, Deed("b", "flights", NOW, "Erased", "ann", "one"))
    assert first.digest == "6c11339149731bf396aa7afaefac6622f6637c518fecfc256b76ad3260fa96a4"
    assert second.digest == "8ebf4b124f6806ef960b52b0915b8c729a272eb13272ae1763ad5cb97ec0fc3c"


@pytest.mark.parametrize(
    "changes",
    [
        {"message": "it is worse"},
        {"by": "eve"},
        {"at": NOW},
        {"kind": "RolledBack"},
        {"version": 9},
        {"figures": {"weight": 50.0}},
        {"figures": {}},
        {"loop": "fraud"},
        {"namespace": "prod"},
        {"id": "deed-9"},
    ],
    ids=str,
)
def test_an_entry_that_was_changed_is_named(changes: dict[str, object]) -> None:
    forged = [*FIVE]
    forged[2] = replace(FIVE[2], deed=replace(FIVE[2].deed, **changes))  # type: ignore[arg-type]
    problem = verify(forged)
    assert problem is not None
    assert problem.startswith("entry 3 (")
    assert "was changed" in problem


def test_an_entry_that_was_changed_and_given_a_new_digest_breaks_the_link_behind_it() -> None:
    forged = [*FIVE]
    forged[2] = link(FIVE[1], replace(FIVE[2].deed, by="eve"))
    problem = verify(forged)
    assert problem is not None
    assert problem.startswith("entry 4 (")
    assert "one of the two was changed" in problem


def test_an_entry_that_was_removed_is_named() -> None:
    for number in (1, 3, 4):
        problem = verify([entry for entry in FIVE if entry.number != number])
        assert problem is not None
        assert problem.startswith(f"entry {number} was removed")


def test_an_entry_that_was_removed_is_found_even_when_the_others_were_numbered_anew() -> None:
    rest = [replace(entry, number=number) for number, entry in enumerate((*FIVE[:2], *FIVE[3:]), 1)]
    problem = verify(rest)
    assert problem is not None
    assert problem.startswith("entry 3 (")


def test_entries_that_were_put_elsewhere_or_doubled_are_named() -> None:
    swapped = verify([FIVE[0], FIVE[2], FIVE[1], *FIVE[3:]])
    assert swapped is not None
    assert swapped.startswith("entry 2 was removed or put elsewhere")
    doubled = verify([*FIVE[:3], FIVE[2], *FIVE[3:]])
    assert doubled is not None
    assert doubled.startswith("entry 3 is there twice")


@given(
    message=st.text(),
    by=st.text(),
    figures=st.dictionaries(st.text(max_size=5), st.floats(allow_nan=False) | st.integers(-(10**6), 10**6)),
    hours=st.integers(-12, 12),
)
def test_an_entry_that_was_written_and_read_still_has_its_digest(
    message: str, by: str, figures: dict[str, float], hours: int
) -> None:
    at = NOW.astimezone(timezone(timedelta(hours=hours)))
    entry = link(None, Deed("a", "flights", at, "Promoted", by, message, 1, figures))
    read = wire.load(AuditEntry, wire.dump(entry))
    assert read == entry
    assert verify([read]) is None


def test_a_message_with_half_a_character_is_kept_as_far_as_it_can_be() -> None:
    entry = link(None, did(1, "no such file: caf\udce9.csv"))
    assert wire.load(AuditEntry, wire.dump(entry)) == entry
    assert entry.deed.message == "no such file: caf?.csv"


# --- deeds -----------------------------------------------------------------------------------------------------------


def test_an_event_becomes_a_deed_by_whoever_asked_for_it() -> None:
    event = Event(NOW, "Approved", "ann let version 2 in", 2, {"auc": 0.7, "nothing": float("nan")}, by="ann")
    made = deed("flights", event, "prod")
    assert made.id.startswith("Approved-")
    assert (made.by, made.namespace, made.loop) == ("ann", "prod", "flights")
    assert (made.at, made.version, made.figures) == (NOW, 2, {"auc": 0.7})
    assert deed("flights", replace(event, by="")).by == "serinus"


@pytest.mark.parametrize("changes", [{"at": NOW + timedelta(microseconds=1)}, {"kind": "Rejected"}, {"message": "no"}])
def test_deeds_of_other_events_are_others(changes: dict[str, object]) -> None:
    event = Event(NOW, "Approved", "ann let version 2 in")
    others = {deed("flights", event).id, deed("flights", event, "prod").id, deed("fraud", event).id}
    other = replace(event, **changes)  # type: ignore[arg-type]
    assert len({*others, deed("flights", other).id}) == 4


@pytest.mark.parametrize("message", ["short", "x" * 1999, "x" * 2000, "x" * 2001, "x" * 9000])
def test_the_copy_of_an_event_that_a_cluster_keeps_gives_the_same_deed(message: str) -> None:
    event = Event(NOW, "RunFailed", message, None, {"a": float("inf")})
    (kept,) = kube_history.added([], [event])
    assert deed("flights", kube_history.event_of(kept)) == deed("flights", event)
    assert short(short(message)) == short(message)


def test_an_erasure_names_nobody_and_can_be_found_by_who_has_the_key() -> None:
    keys = [f"customer-{n}" for n in range(30)]
    made = erased("flights", 41, "ann", NOW, ids=["request-1"], keys=keys, hash_key=b"secret", namespace="prod")
    assert made.kind == "Erased"
    assert made.figures == {"predictions": 41, "ids": 1, "keys": 30}
    assert made.message.startswith("41 predictions were erased, by 1 ids and 30 keys: ")
    assert made.message.endswith(" and 11 more")
    assert "customer" not in str(made)
    assert "request-1" not in str(made)
    assert pseudonym("customer-3", b"secret") in made.message
    assert pseudonym("customer-3") not in made.message
    assert len(made.message) <= 2000


def test_an_erasure_says_why_where_that_is_known() -> None:
    made = erased("flights", 1, "ann", NOW, ids=["a"], reason="asked for on paper" + "!" * 3000)
    assert "; asked for on paper!" in made.message
    assert len(made.message) == 2000


def test_the_same_erasure_told_twice_is_one_deed_and_another_is_another() -> None:
    one = erased("flights", 1, "ann", NOW, ids=["a"])
    assert erased("flights", 0, "ann", NOW, ids=["a"]).id == one.id
    assert erased("flights", 1, "ann", NOW, ids=["b"]).id != one.id
    assert erased("flights", 1, "ann", NOW + timedelta(seconds=1), ids=["a"]).id != one.id


def test_changed_labels_are_a_deed() -> None:
    made = labels_changed("flights", 3, "airport", NOW)
    assert (made.kind, made.by, made.message) == ("LabelsChanged", "airport", "3 labels were changed")
    some = labels_changed("flights", 25, "airport", NOW, ids=[f"request-{n}" for n in range(25)])
    assert some.message.endswith(" and 5 more")
    assert "request-" not in some.message
    few = labels_changed("flights", 1, "airport", NOW, ids=["request-1"])
    assert few.message == f"1 labels were changed: {pseudonym('request-1')}"
