"""The truth arrives late, on a real cluster: predictions are collected, labels come, falling quality asks for a run."""

from __future__ import annotations

import json
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import UTC, datetime
from pathlib import Path

import pytest

from serinus.facts import Label
from tests.cluster import collecting, databases, installation, loops
from tests.cluster.installation import Installation
from tests.cluster.loops import Loop
from tests.servers.callers import Calls

pytestmark = pytest.mark.timeout(900)

QUALITY = {
    "metric": "accuracy", "every": "1m", "window": "30s", "minLabelled": 100, "minShare": 0.5, "cooldown": "0s",
}  # fmt: skip
"""As quick as a CronJob can look."""


def test_labels_that_say_that_the_champion_is_wrong_bring_a_new_version(serinus: Installation, tmp_path: Path) -> None:
    with loops.loop(serinus, tmp_path, collect={}, labels={"delay": "0s"}, quality=QUALITY) as loop:
        loop.apply()
        loop.serves(1, 240)  # from a run: quality is held against what its holdout said
        bearer = collecting.account(serinus, loop.namespace, "labeller", "editor")
        since = loops.now()
        with loop.calls(rate=30) as calls, collecting.reached() as url:
            collector = collecting.client(url, loop.namespace, bearer, tmp_path)
            loop.until(lambda: len({answer.label for answer in calls.answers}) == 2, "both classes")
            yes, no = {answer.label for answer in calls.answers}
            other, done = {yes: no, no: yes}, 0

            def labelled() -> bool:
                """Whoever answered is told that it was wrong, for as long as nobody asks for a run."""
                nonlocal done
                new, now = calls.answers[done:], datetime.now(UTC)
                done += len(new)
                collector.label(
                    loop.name, [Label(other[answer.label], now, id=answer.id) for answer in new if answer.id]
                )
                return any(event.at > since for event in loop.events("RunRequested"))

            loop.until(labelled, "a run", 240)
            loop.serves(2, 300)
        assert calls.failed() == []
        (asked,) = [event for event in loop.events("RunRequested") if event.at > since]
        assert "quality" in asked.message
        assert loop.status.last_run is not None
        assert loop.status.last_run.cause == "quality"


@pytest.mark.disturbs
def test_a_collector_that_is_killed_costs_no_answer_and_no_record(serinus: Installation, tmp_path: Path) -> None:
    """On its own volume; then two at once on a Postgres that they share, which is killed as well."""
    with loops.serving(serinus, tmp_path, collect={}) as loop:
        bearer = collecting.account(serinus, loop.namespace, "reader", "editor")
        with loop.calls(rate=50) as calls:
            loop.until(lambda: len(calls.answers) > 300, "everyday traffic")
            collecting.killed(serinus)
            _more(loop, calls)
        _all_kept_once(loop, calls, bearer, tmp_path)
        with databases.postgres(), _sharing(serinus, tmp_path):
            with loop.calls(rate=50) as calls:
                loop.until(lambda: len(calls.answers) > 300, "everyday traffic")
                collecting.killed(serinus)
                _more(loop, calls)
                databases.killed(serinus.kube)
                _more(loop, calls)
            _all_kept_once(loop, calls, bearer, tmp_path)


def _more(loop: Loop, calls: Calls) -> None:
    more = len(calls.answers) + 300
    loop.until(lambda: len(calls.answers) > more, "traffic afterwards")


def _all_kept_once(loop: Loop, calls: Calls, bearer: str, folder: Path) -> None:
    assert calls.failed() == []
    ids = [answer.id for answer in calls.answers]
    assert len(set(ids)) == len(ids)
    with collecting.reached() as url:
        collector = collecting.client(url, loop.namespace, bearer, folder)
        loop.until(lambda: len(collector.find(loop.name, ids)) >= len(ids), "every answer's record", 60)
        found = [record.prediction.id for record in collector.find(loop.name, ids)]
    assert sorted(found) == sorted(ids)


@contextmanager
def _sharing(serinus: Installation, folder: Path) -> Iterator[None]:
    """The installation with two collectors on the Postgres, for as long as the block lasts."""
    shared = {**installation.VALUES["collector"], "replicas": 2, "databaseUrlSecret": databases.SECRET}
    values = folder / "values.json"
    values.write_text(json.dumps({**installation.VALUES, "collector": shared}))
    installation.upgrade(values)
    collecting.settled(serinus, 2)  # a pod on its way out would still take rows, onto its own volume
    try:
        yield
    finally:
        values.write_text(json.dumps(installation.VALUES))
        installation.upgrade(values)
