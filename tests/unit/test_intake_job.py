"""The intake: labels into a real database of records, new rows counted, and how far it came."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, replace
from datetime import datetime, timedelta
from pathlib import Path
from typing import Any

import pytest

from serinus import loading
from serinus.adapters.fakes.ledger import FakeLedger
from serinus.adapters.fakes.registry import FakeRegistry
from serinus.adapters.records_sql import SqlRecords
from serinus.errors import DataError, SpecError, Unavailable
from serinus.facts import DataCount, Prediction, Request
from serinus.spec import ModelLoop
from services.intake import job
from tests import made_up_models
from tests.production_cases import opened

NOW = made_up_models.NOW + timedelta(days=10)  # the champion's newest row is ten days old
HOUR = timedelta(hours=1)
LABELS = """
  collect: {retention: 30d}
  labels: {delay: 1d, every: 1h, source: {files: {uri: truth.csv}, id: id, value: late, time: known}}"""
GROWTH = """
  newData: {rows: 2, every: 6h}"""


def loop(more: str = LABELS) -> ModelLoop:
    return loading.parse(f"""
apiVersion: serinus.dev/v1alpha1
kind: ModelLoop
metadata: {{name: flights}}
spec:
  task: binary-classification
  data: {{source: {{files: {{uri: rows.csv}}}}, time: t, label: late, features: {{numeric: [temp]}}}}
  training: {{estimator: logistic-regression}}
  validation: {{metric: roc_auc}}
{more}
""")


@dataclass
class World:
    """A folder with the loop's files, version 1 that serves, and the predictions r-0 to r-9."""

    folder: Path
    ledger: FakeLedger
    store: FakeRegistry
    records: SqlRecords
    opened: int = 0

    def run(self, spec: ModelLoop, now: datetime = NOW, **more: Any) -> job.Taken:
        def collector() -> SqlRecords:
            self.opened += 1
            return self.records

        around = job.Around(self.ledger, self.store, collector, self.folder / "models", self.folder)
        return job.run(spec, around, now, **more)

    def remember(self, **parts: Any) -> None:
        entry = self.ledger.read("flights")
        self.ledger.write("flights", replace(entry.status, **parts), [], entry.revision)

    @property
    def asked(self) -> tuple[Request, ...]:
        return self.ledger.read("flights").requests


@pytest.fixture
def world(tmp_path: Path) -> Iterator[World]:
    records, engine = opened(tmp_path, NOW)
    world = World(tmp_path, FakeLedger(), FakeRegistry(), records)
    world.store.register("flights", "first", made_up_models.model_dir(tmp_path / "made"), {}, {})
    world.remember(champion=1)
    records.add("flights", [Prediction(f"r-{n}", 1, NOW - 2 * HOUR, {"temp": 1.0}, 0.4, "0") for n in range(10)])
    write(tmp_path, "r-0,1,2026-01-12T01:00:00Z", "r-1,0,2026-01-12T02:00:00Z", "x-9,1,2026-01-12T02:00:00Z", "r-3,,")
    yield world
    engine.dispose()


def write(folder: Path, *rows: str) -> None:
    (folder / "truth.csv").write_text("\n".join(["id,late,known", *rows]) + "\n")


def grow(folder: Path, newer: int) -> None:
    """Training rows: two old ones, so many newer ones, and one whose label is not known."""
    base = made_up_models.NOW
    times = [base - HOUR, base, *(base + (n + 1) * HOUR for n in range(newer))]
    lines = [f"{t.isoformat()},1.0,{n % 2}" for n, t in enumerate(times)]
    (folder / "rows.csv").write_text("\n".join(["t,temp,late", *lines, f"{times[-1].isoformat()},1.0,"]) + "\n")


def test_labels_are_handed_on_and_every_one_has_an_outcome(world: World) -> None:
    taken = world.run(loop())
    assert taken.pulled == job.Pulled(NOW - timedelta(days=30), {"joined": 2, "waiting": 1}, blank=1)
    (request,) = world.asked
    assert (request.kind, request.pulled, request.rows, request.by) == ("data", NOW, None, "intake")
    assert [r.truth for r in world.records.find("flights", ids=["r-0", "r-1", "r-2"])] == ["1", "0", None]
    assert job.shown(taken) == [
        "labels since 2025-12-13 03:04:05 UTC: 2 joined, 1 waiting, 1 rows without a truth or a name"
    ]


def test_the_next_pull_begins_a_delay_and_a_pace_before_the_last(world: World) -> None:
    world.run(loop())
    later = NOW + HOUR
    again = world.run(loop(), later).pulled
    assert again is not None
    assert (again.start, again.outcomes) == (NOW - timedelta(days=1) - HOUR, {"same": 3})
    world.remember(pulled=later + HOUR)
    third = world.run(loop(), later + 2 * HOUR).pulled
    assert third is not None
    assert third.start == later - timedelta(days=1)


def test_a_changed_truth_counts_and_what_the_collector_refuses_is_said(world: World) -> None:
    world.run(loop())
    write(world.folder, "r-0,0,2026-01-12T03:00:00Z", "r-1,0,2036-01-12T02:00:00Z")
    taken = world.run(loop(), NOW + HOUR)
    assert taken.pulled is not None
    assert taken.pulled.outcomes == {"changed": 1, "invalid": 1}
    assert "r-1" in job.shown(taken)[1]


def test_what_is_not_due_is_left_alone_unless_one_insists(world: World) -> None:
    world.run(loop())
    soon = NOW + timedelta(minutes=29)
    assert world.run(loop(), soon) == job.Taken()
    assert job.shown(job.Taken()) == ["nothing was due"]
    assert world.run(loop(), soon, always=True).pulled is not None
    assert len(world.asked) == 2


def test_without_labels_the_collector_is_not_asked(world: World) -> None:
    write(world.folder)
    taken = world.run(loop())
    assert taken.pulled == job.Pulled(NOW - timedelta(days=30))
    assert (world.opened, job.shown(taken)[0]) == (0, "labels since 2025-12-13 03:04:05 UTC: none")


def test_labels_that_could_not_be_handed_on_are_pulled_again(world: World) -> None:
    def away() -> SqlRecords:
        raise Unavailable("the collector does not answer")

    around = job.Around(world.ledger, world.store, away, world.folder / "models", world.folder)
    with pytest.raises(Unavailable):
        job.run(loop(), around, NOW)
    assert world.asked == ()
    assert world.run(loop(), NOW + HOUR).pulled is not None


def test_new_rows_are_those_with_a_label_after_the_champions_newest(world: World) -> None:
    grow(world.folder, newer=3)
    taken = world.run(loop(GROWTH))
    assert taken == job.Taken(None, job.Counted(1, 3, 2))
    (request,) = world.asked
    assert request == Request(request.id, "data", NOW, "intake", 1, rows=3, learned=2)
    assert job.shown(taken) == ["3 labelled rows are newer than the 2 that version 1 learned from"]


def test_rows_are_counted_at_their_own_pace_and_anew_for_another_champion(world: World) -> None:
    grow(world.folder, newer=3)
    world.run(loop(GROWTH))
    assert world.run(loop(GROWTH), NOW + 2 * HOUR) == job.Taken()
    assert world.run(loop(GROWTH), NOW + 3 * HOUR).counted is not None
    handled = tuple(request.id for request in world.asked)
    world.remember(handled=handled, data=DataCount(1, NOW + 3 * HOUR, 3, 2))
    assert world.run(loop(GROWTH), NOW + 4 * HOUR) == job.Taken()
    world.store.register("flights", "second", made_up_models.model_dir(world.folder / "next"), {}, {})
    world.remember(champion=2)
    assert world.run(loop(GROWTH), NOW + 4 * HOUR).counted == job.Counted(2, 3, 2)


def test_without_a_champion_nothing_is_counted(world: World) -> None:
    world.remember(champion=None)
    assert world.run(loop(GROWTH)) == job.Taken()
    assert world.asked == ()


def test_a_count_that_fails_takes_nothing_from_the_labels(world: World) -> None:
    with pytest.raises(DataError, match=r"new rows could not be counted: files rows\.csv"):
        world.run(loop(LABELS + GROWTH))
    (request,) = world.asked
    assert (request.pulled, request.rows) == (NOW, None)


def test_both_are_one_request(world: World) -> None:
    grow(world.folder, newer=3)
    assert world.run(loop(LABELS + GROWTH)).counted is not None
    (request,) = world.asked
    assert (request.pulled, request.rows, request.version) == (NOW, 3, 1)


def test_labels_without_a_collector_are_a_mistake_of_the_file(world: World) -> None:
    spec = loop()
    bare = spec.model_copy(update={"spec": spec.spec.model_copy(update={"collect": None})})
    with pytest.raises(SpecError, match=r"labels\.source"):
        world.run(bare)
