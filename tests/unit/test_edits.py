"""An edit of the ModelLoop is an event: what differs, from which digest to which, by whom as far as that is known."""

from __future__ import annotations

import hashlib
from dataclasses import replace

import pytest

from serinus.decide.edits import differences
from serinus.facts import Event, Plan, SpecKept, Writer
from serinus.spec import ModelLoop
from tests.unit.loop_cases import CHAMPION, NOW, SECOND, SERVING, SPEC, kinds, next_, routing, spec, world
from tests.unit.test_driver import LOOP, Bench, Killed, history, nobody, trail

SEEN = world(versions=(CHAMPION,), routing=routing((1, 100)))
FIRST = next_(SERVING, SEEN)
UNKNOWN = Writer()


def edited(to: ModelLoop, after: Plan = FIRST, writer: Writer = UNKNOWN) -> Plan:
    return next_(after.status, replace(SEEN, writer=writer), NOW + SECOND, of=to)


def only(plan: Plan) -> Event:
    (event,) = plan.events
    assert event.kind == "SpecChanged"
    return event


def test_the_spec_that_a_loop_begins_with_is_remembered_and_no_edit() -> None:
    assert kinds(FIRST) == []
    assert FIRST.status.spec == SpecKept(SPEC.for_run())
    assert edited(SPEC).status == FIRST.status


def test_an_edit_is_told_once_with_fields_and_the_digests_that_versions_keep() -> None:
    plan = edited(spec(rollout="onTimeout: hold"))
    before, after = (
        hashlib.sha256(each.for_run().encode()).hexdigest() for each in (SPEC, spec(rollout="onTimeout: hold"))
    )
    assert only(plan).message == f'digest {before} to {after}: spec.rollout.onTimeout the default to "hold"'
    assert only(plan).by == "unknown"
    assert kinds(edited(spec(rollout="onTimeout: hold"), plan)) == []


def test_an_edit_that_is_taken_back_is_another_one() -> None:
    plan = edited(SPEC, edited(spec(rollout="onTimeout: hold")))
    assert only(plan).message.endswith(': spec.rollout.onTimeout "hold" to the default')


def test_who_wrote_is_told_as_far_as_it_is_known_and_how_many_edits_there_may_have_been() -> None:
    first = next_(SERVING, replace(SEEN, writer=Writer(generation=3)))
    writer = Writer("field manager kubectl-edit", "it is no user", 5)
    event = only(edited(spec(training="seed: 1"), first, writer))
    assert event.by == "field manager kubectl-edit"
    assert ", generation 3 to 5; it is no user: spec.training.seed the default to 1" in event.message


def test_the_order_of_keys_is_an_edit_too_since_the_digest_changes() -> None:
    one, other = spec(training="params: {a: 1, b: 2}"), spec(training="params: {b: 2, a: 1}")
    assert only(edited(other, next_(SERVING, SEEN, of=one))).message.endswith(": the order of keys alone")


@pytest.mark.parametrize(
    ("before", "after", "told"),
    [
        ('{"a": {"b": 1, "c": [1]}}', '{"a": {"b": 2, "c": [1, 2]}}', ["a.b 1 to 2", "a.c [1] to [1, 2]"]),
        ('{"a": {}, "k": 1}', '{"k": 1}', ["a {} to the default"]),
        ('{"k": 1}', '{"a": null, "k": 1}', ["a the default to null"]),
        ('{"a": true}', '{"a": "ä"}', ['a true to "ä"']),
        ('{"k": 1}', '{"k": 1, "a": "' + "x" * 99 + '"}', ['a the default to "' + "x" * 58 + "…"]),
        ('{"k": 1, "data": {"source": {"sql": {"url": "p://me:secret@db"}}}}', '{"k": 1}', ["data.source.sql.url"]),
    ],
)
def test_differences_are_named_by_path_and_an_address_is_not_told(before: str, after: str, told: list[str]) -> None:
    assert list(differences(before, after)) == told


@pytest.mark.parametrize("action", ["ledger.write", "audit.append"])
@pytest.mark.parametrize("done", [False, True])
def test_an_edit_is_in_the_trail_once_whenever_the_driver_is_killed(action: str, done: bool) -> None:
    bench = Bench()
    bench.live(15)
    struck = list[str]()

    def once(name: str, after: bool) -> None:
        if (name, after) == (action, done) and not struck:
            struck.append(name)
            raise Killed

    bench.spec, bench.strike = spec(rollout="onTimeout: hold"), once
    bench.live(4)
    assert struck
    bench.strike = nobody
    bench.live(2)
    assert [deed.kind for deed in bench.deeds()].count("SpecChanged") == 1
    assert trail(bench) == history(bench)
    assert bench.ledger.read(LOOP).status.spec == SpecKept(bench.spec.for_run())
