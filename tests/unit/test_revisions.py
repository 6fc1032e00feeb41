"""Knative mode: what the one InferenceService should say next, against KServe's rules."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from serinus.facts import Routing, Variant
from serinus.render.revisions import Revisions, step
from tests.servers.knative import Played

Shares = tuple[tuple[int, int], ...]


def routing(shares: Shares) -> Routing:
    return Routing(tuple(Variant(version, weight) for version, weight in shares))


A, B = ((1, 100),), ((2, 100),)
TABLE: list[tuple[str, Shares, Revisions | None, tuple[int, int | None]]] = [
    ("first deployment", A, None, (1, None)),
    ("first deployment of two: the one with most", ((1, 80), (2, 20)), None, (1, None)),
    ("nobody has had everything yet", ((1, 80), (2, 20)), Revisions(1), (1, None)),
    ("nothing to do", A, Revisions(1, 1, 1), (1, None)),
    ("the next one gets ready behind it", ((1, 100), (2, 0)), Revisions(1, 1, 1), (2, 0)),
    ("and stays there", ((1, 100), (2, 0)), Revisions(2, 2, 1), (2, 0)),
    ("a new canary has nothing before it is ready", ((1, 80), (2, 20)), Revisions(1, 1, 1), (2, 0)),
    ("still not", ((1, 80), (2, 20)), Revisions(2, 1, 1), (2, 0)),
    ("now", ((1, 80), (2, 20)), Revisions(2, 2, 1), (2, 20)),
    ("next step", ((1, 50), (2, 50)), Revisions(2, 2, 1), (2, 50)),
    ("promotion", ((1, 0), (2, 100)), Revisions(2, 2, 1), (2, None)),
    ("after it", ((1, 0), (2, 100)), Revisions(2, 2, 2, 1), (2, None)),
    ("rolled back while it had a part", ((1, 100), (2, 0)), Revisions(2, 2, 1), (2, 0)),
    ("rolled back after it had everything", ((1, 100), (2, 0)), Revisions(2, 2, 2, 1), (2, 0)),
    ("a canary is dropped: the champion anew, at nothing until it is ready", A, Revisions(2, 2, 1), (1, 0)),
    ("then everything", A, Revisions(1, 1, 1), (1, None)),
    ("a canary takes a canary's place", ((1, 80), (3, 20)), Revisions(2, 2, 1), (3, 0)),
    ("the last champion is behind, the next one comes", ((1, 0), (2, 100), (3, 0)), Revisions(2, 2, 2, 1), (3, 0)),
    ("and has its share", ((1, 0), (2, 95), (3, 5)), Revisions(3, 3, 2, 1), (3, 5)),
    ("a version takes over at once", B, Revisions(1, 1, 1), (2, 0)),
    ("when it is ready", B, Revisions(2, 2, 1), (2, None)),
]


@pytest.mark.parametrize(("wanted", "now", "expected"), [row[1:] for row in TABLE], ids=[row[0] for row in TABLE])
def test_each_transition(wanted: Shares, now: Revisions | None, expected: tuple[int, int | None]) -> None:
    assert step(routing(wanted), now) == expected


def seen(played: Played) -> Revisions | None:
    if not played.revisions:
        return None
    at = played.version
    return Revisions(played.revisions[-1], at(played.ready), at(played.rolled_out), at(played.before))


def reach(played: Played, wanted: Shares) -> list[dict[int, int]]:
    """Who had which share on the way."""
    way = []
    for _ in range(8):
        played.reconcile(*step(routing(wanted), seen(played)))
        way.append(played.shares)
    return way


LIFE: list[Shares] = [
    A, ((1, 100), (2, 0)), ((1, 80), (2, 20)), ((1, 50), (2, 50)), ((1, 0), (2, 100)), ((1, 0), (2, 100), (3, 0)),
    ((1, 0), (2, 95), (3, 5)), ((1, 0), (2, 100)), ((2, 100), (4, 0)), ((2, 95), (4, 5)), ((2, 0), (4, 100)),
    ((2, 100), (4, 0)), ((2, 100),), ((5, 100),),
]  # fmt: skip


def test_a_loops_life_is_followed_and_nobody_unwanted_is_asked() -> None:
    played = Played()
    before: set[int] = set()
    for wanted in LIFE:
        way = reach(played, wanted)
        named = {version for version, share in wanted if share}
        assert way[-1] == {version: share for version, share in wanted if share}, wanted
        assert all(shares.keys() <= before | named for shares in way), (wanted, way)
        before = named


def test_a_canary_that_never_gets_ready_has_no_share_and_the_champion_has_all() -> None:
    played = Played(broken={2})
    reach(played, A)
    assert reach(played, ((1, 80), (2, 20)))[-1] == {1: 100}
    assert reach(played, ((2, 100),))[-1] == {1: 100}


def test_a_canary_thrown_back_has_nothing_while_the_champion_is_deployed_anew() -> None:
    played = Played()
    for wanted in (A, ((1, 80), (2, 20))):
        reach(played, wanted)
    assert all(shares == {1: 100} for shares in reach(played, A))


@given(st.lists(st.sampled_from(LIFE), min_size=1, max_size=8))
def test_from_anywhere_to_anywhere_the_shares_get_there_and_stay(wants: list[Shares]) -> None:
    played = Played()
    for wanted in wants:
        way = reach(played, wanted)
        assert way[-1] == way[-2] == {version: share for version, share in wanted if share}
