"""Old rows are forgotten loop by loop; what fails of one loop keeps none of the others."""

from __future__ import annotations

from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest

from serinus.errors import Fatal, Unavailable
from serinus.facts import Label, Prediction
from services.collector import retention
from services.collector.metrics import CollectorMetrics
from services.collector.store import Store, hash_key

NOW = datetime(2026, 6, 1, tzinfo=UTC)
OLD = NOW - timedelta(days=10)


@pytest.fixture
def store(tmp_path: Path) -> Iterator[Store]:
    made = Store(f"sqlite:///{tmp_path}/records.db")
    made.open()
    yield made
    made.close()


def fill(store: Store, namespace: str, loop: str) -> None:
    store.records(namespace).add(loop, [Prediction(f"{loop}{at.day}", 1, at, {}, 0.5, "no") for at in (OLD, NOW)])


def left(store: Store, namespace: str, loop: str) -> list[str]:
    return [r.prediction.id for r in store.records(namespace).find(loop, [f"{loop}{at.day}" for at in (OLD, NOW)])]


def test_all_loops_that_hold_anything_are_known(store: Store) -> None:
    for place in (("team", "b"), ("team", "a"), ("others", "a")):
        fill(store, *place)
    store.records("team").label("labels-only", [Label("no", OLD, id="x")])
    assert store.loops() == (("others", "a"), ("team", "a"), ("team", "b"), ("team", "labels-only"))


def test_each_loop_is_kept_as_long_as_it_says(store: Store) -> None:
    for loop in "abc":
        fill(store, "team", loop)
    told = CollectorMetrics()

    def length(namespace: str, loop: str) -> timedelta:
        if loop == "a":
            raise Unavailable("the Kubernetes API is away")
        return timedelta(days=5 if loop == "b" else 20)

    assert retention.forget(store, length, told, lambda: NOW) == 1
    assert [left(store, "team", loop) for loop in "abc"] == [["a22", "a1"], ["b1"], ["c22", "c1"]]
    count = told.registry.get_sample_value
    assert count("serinus_collector_expired_total", {"loop_namespace": "team", "loop": "b"}) == 1
    assert count("serinus_collector_retention_failures_total") == 1
    assert retention.forget(store, retention.same(timedelta(days=5)), told, lambda: NOW) == 2


def test_before_it_was_opened_nothing_is_known(tmp_path: Path) -> None:
    store = Store(f"sqlite:///{tmp_path}/records.db")
    for ask in (store.loops, lambda: store.records("a"), lambda: store.audit, lambda: store.halves):
        with pytest.raises(Unavailable, match="not open yet"):
            ask()
    store.ping()
    assert store.loops() == ()


def test_the_key_for_hashes_is_read_without_the_blanks_at_its_ends(tmp_path: Path) -> None:
    (tmp_path / "key").write_text(f"{'k' * 32}\n")
    assert hash_key(tmp_path / "key") == b"k" * 32
    assert hash_key(None) == b""
    for wrong in ("short", "k" * 65):
        (tmp_path / "key").write_text(wrong)
        with pytest.raises(Fatal, match="16 to 64 bytes") as caught:
            hash_key(tmp_path / "key")
        assert wrong not in str(caught.value).removeprefix(str(tmp_path))
    with pytest.raises(Fatal, match="expected the key"):
        hash_key(tmp_path / "nothing")
