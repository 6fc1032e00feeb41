"""One look of the drift job, with a real model, over the fakes that the contract suites hold to the real parts."""

from __future__ import annotations

from dataclasses import dataclass, replace
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest

from serinus import artifact
from serinus.adapters.fakes.ledger import FakeLedger
from serinus.adapters.fakes.metrics import FakeMetrics
from serinus.adapters.fakes.registry import FakeRegistry
from serinus.adapters.fakes.runner import FakeRunner
from serinus.decide.counts import LABELLED
from serinus.errors import SpecError, Unavailable
from serinus.facts import (
    Alike,
    Cell,
    DriftFinding,
    Importance,
    Reference,
    Request,
    RunRecord,
    RunRequest,
    Stretches,
    Why,
    Window,
)
from serinus.spec import ModelLoop
from services.drift import job
from tests.drift_cases import Trained, finding, told, train

NOW = datetime(2026, 3, 2, 12, tzinfo=UTC)


@pytest.fixture(scope="module")
def trained(tmp_path_factory: pytest.TempPathFactory) -> Trained:
    return train(tmp_path_factory.mktemp("trained"))


@dataclass
class World:
    """A loop whose version 1 serves, and what the job sees of it."""

    trained: Trained
    folder: Path
    ledger: FakeLedger
    store: FakeRegistry
    metrics: FakeMetrics
    runner: FakeRunner

    @property
    def loop(self) -> str:
        return self.trained.spec.name

    def check(self, now: datetime = NOW, spec: ModelLoop | None = None) -> job.Look:
        return job.check(
            spec or self.trained.spec, self.ledger, self.store, self.metrics, self.runner, now, models=self.folder
        )

    def remember(self, **parts: object) -> None:
        entry = self.ledger.read(self.loop)
        self.ledger.write(self.loop, replace(entry.status, **parts), [], entry.revision)  # type: ignore[arg-type]

    def serve(
        self, rows: int, moved: str = "", version: int = 1, before: datetime = NOW, instance: str = "127.0.0.1:9"
    ) -> None:
        """So many rows in the hour before `before`, distributed as in training but for the distribution `moved`."""
        process = {"loop": self.loop, "version": str(version), "instance": instance}
        for metric, bin_, count in told(self.trained.contract, rows, moved):
            labels = bin_ | process
            self.metrics.scrape(metric, labels, before - timedelta(hours=1), 0)
            self.metrics.scrape(metric, labels, before - timedelta(seconds=1), count)


@pytest.fixture
def world(trained: Trained, tmp_path: Path) -> World:
    world = World(trained, tmp_path, FakeLedger(), FakeRegistry(), FakeMetrics(), FakeRunner(lambda: NOW))
    world.store.register(world.loop, "first", trained.directory, {}, {})
    world.remember(champion=1)
    return world


def test_traffic_like_the_training_rows_is_found_to_be_so_and_left_in_the_ledger(world: World) -> None:
    world.serve(1000)
    look = world.check()
    assert look.finding.verdict.outcome == "pass", look.finding.verdict.reason
    assert (look.finding.version, look.finding.rows) == (1, 1000)
    assert look.finding.window == Window(NOW - timedelta(days=1), NOW)
    assert [f.name for f in look.finding.features] == ["weight", "price", "shop", "score"]
    assert world.ledger.read(world.loop).requests == (
        Request(
            id="drift-1-20260302T120000.000000Z",
            kind="drift",
            at=NOW,
            by="drift job",
            version=1,
            reason="the latest window is not in violation (pass)",
            finding=look.finding,
        ),
    )
    assert (look.looked, look.run, world.runner.requests) == (True, None, [])


@pytest.mark.parametrize("moved", ["weight", "shop", "score"])
def test_a_distribution_that_moved_is_named(world: World, moved: str) -> None:
    world.serve(1000, moved)
    found = world.check().finding
    assert found.verdict.outcome == "fail"
    assert [f.name for f in found.features if f.drifted] == [moved]
    assert f"{moved} (PSI" in found.verdict.reason


def test_a_violation_says_how_far_and_since_when_and_how_much_it_matters_where_the_version_knows(world: World) -> None:
    world.serve(1000, "weight")
    first = world.check().finding
    (weight,) = (f for f in first.features if f.drifted)
    assert weight.shift is not None
    assert weight.shift.sd is not None
    assert weight.shift.importance is None, "a version of before it was measured"
    assert (weight.shift.since, weight.shift.earlier) == (NOW - timedelta(hours=3), True)
    since = "since 2026-03-02 09:00 UTC or earlier"
    assert first.verdict.reason.endswith(f"most matters weight: mean {weight.shift.sd:+.2f} sd, {since}")
    reference = Reference(1, {}, (), (), {}, (Importance("weight", 3.0, 0.1, 0.1), Importance("price", 1.0, 0.1, 0.1)))
    profile = world.trained.contract.profile
    knowing = job.look(world.trained.spec, 1, profile, world.metrics, NOW, reference)
    assert {f.name: f.shift.importance if f.shift else None for f in knowing.features} == {
        "weight": 0.75,
        "price": 0.25,
        "shop": None,
        "score": None,
    }


def test_a_version_that_knows_its_days_to_differ_by_more_is_not_in_violation(world: World) -> None:
    """Rows as they were counted; that days may be wholly unlike each other stands in the version's reference."""
    world.serve(1000, "weight")
    days = Stretches(86400.0, {"weight": dict.fromkeys(("shape", "shift", "missing"), Alike(1.0, 0.5))})
    profile, reference = world.trained.contract.profile, Reference(1, {}, (), (), {})
    outcomes = [
        job.look(
            world.trained.spec, 1, profile, world.metrics, NOW, replace(reference, stretches=known)
        ).verdict.outcome
        for known in (None, days)
    ]
    assert outcomes == ["fail", "pass"]


def test_both_engines_find_the_same(world: World) -> None:
    world.serve(1000, "weight")
    spec = world.trained.spec
    assert spec.spec.drift is not None
    drift = spec.spec.drift.model_copy(update={"detector": "alibi-detect"})
    other = spec.model_copy(update={"spec": spec.spec.model_copy(update={"drift": drift})})
    assert world.check(spec=other).finding == world.check().finding


def test_the_counts_of_all_processes_of_the_champion_are_added_and_of_nobody_else(world: World) -> None:
    world.serve(150, instance="127.0.0.1:1")
    world.serve(150, instance="127.0.0.1:2")
    world.serve(5000, "weight", version=2)
    found = world.check().finding
    assert (found.rows, found.verdict.outcome) == (300, "pass")


def test_what_was_answered_before_the_window_does_not_count(world: World) -> None:
    world.serve(1000, before=NOW - timedelta(days=2))
    found = world.check().finding
    assert (found.rows, found.verdict.outcome) == (0, "undecided")


def test_a_second_window_in_violation_asks_for_one_run(world: World) -> None:
    world.serve(1000, "weight")
    first = world.check(NOW - timedelta(seconds=1) + timedelta(seconds=1))
    assert (bool(first.ask), world.runner.requests) == (False, [])
    later = NOW + timedelta(hours=1)
    second = world.check(later)
    key = f"{world.loop}-drift-20260302T130000Z"
    spec = world.trained.spec.for_run()
    asked = Why(second.finding.verdict.reason, tuple(f for f in second.finding.features if f.drifted))
    assert world.runner.requests == [RunRequest(key, world.loop, "drift", later, spec, asked)]
    assert [f.name for f in asked.drift] == ["weight"]
    assert ModelLoop.model_validate_json(world.runner.requests[0].spec) == world.trained.spec
    assert second.run is not None
    assert (second.run.key, second.run.phase) == (key, "pending")
    assert [r.run for r in world.ledger.read(world.loop).requests] == ["", key]
    assert second.ask.reason == "2 of the last 2 windows in violation, the latest among them"


def test_windows_that_the_loop_has_folded_in_count_with_those_that_it_has_not(world: World) -> None:
    world.remember(drift=(finding(NOW - timedelta(hours=2)),))
    world.serve(1000, "weight")
    assert world.check().ask


def test_windows_of_another_version_do_not_count(world: World) -> None:
    world.remember(drift=(finding(NOW - timedelta(hours=2), version=7),))
    world.serve(1000, "weight")
    assert not world.check().ask


def test_the_same_look_twice_asks_for_one_run(world: World) -> None:
    world.remember(drift=(finding(NOW - timedelta(hours=2)),))
    world.serve(1000, "weight")
    world.check()
    again = world.check()
    assert len(world.runner.requests) == 1
    assert again.ask.reason.endswith("a run is in flight")
    assert len(world.ledger.read(world.loop).requests) == 1


def test_no_run_is_asked_for_while_one_is_in_flight_or_has_just_ended(world: World) -> None:
    world.remember(drift=(finding(NOW - timedelta(hours=2)),), run=RunRecord("k", "manual", NOW))
    world.serve(1000, "weight")
    assert world.check().ask.reason.endswith("a run is in flight")
    world.remember(run=None, last_run=RunRecord("k", "manual", NOW, ended=NOW - timedelta(minutes=5)))
    later = world.check(NOW + timedelta(minutes=1))
    assert "cooldown" in later.ask.reason
    assert world.runner.requests == []


def test_a_request_for_a_run_that_still_waits_in_the_inbox_counts_as_a_run(world: World) -> None:
    world.remember(drift=(finding(NOW - timedelta(hours=2)),))
    world.ledger.ask(world.loop, Request("r", "run", NOW, "ann"))
    world.serve(1000, "weight")
    assert world.check().ask.reason.endswith("a run is in flight")


def test_a_runner_that_is_away_leaves_the_ask_in_the_ledger(world: World) -> None:
    world.remember(drift=(finding(NOW - timedelta(hours=2)),))
    world.serve(1000, "weight")
    world.runner.away = "connection refused"
    look = world.check()
    assert (bool(look.ask), look.looked, look.problem) == (True, True, "connection refused")
    assert world.ledger.read(world.loop).requests[0].run == f"{world.loop}-drift-20260302T120000Z"


def test_without_a_champion_nothing_is_decided(world: World) -> None:
    world.remember(champion=None)
    look = world.check()
    assert (look.finding.verdict.outcome, look.finding.version, look.looked) == ("undecided", 0, True)
    assert "no version serves everyone yet" in look.finding.verdict.reason


@pytest.mark.parametrize("part", ["metrics", "store"])
def test_what_could_not_be_seen_is_an_error_that_is_left_in_the_ledger_too(world: World, part: str) -> None:
    world.remember(drift=(finding(NOW - timedelta(hours=2)), finding(NOW - timedelta(hours=1))))
    world.serve(1000, "weight")
    getattr(world, part).away = "connection refused"
    look = world.check()
    assert (look.finding.verdict.outcome, look.finding.verdict.reason) == ("error", "connection refused")
    assert (look.looked, bool(look.ask), world.runner.requests) == (False, False, [])
    assert world.ledger.read(world.loop).requests[0].finding == look.finding


def test_a_model_directory_that_was_tampered_with_is_fetched_anew(world: World) -> None:
    world.serve(1000)
    world.check()
    contract = world.folder / world.loop / "1" / artifact.CONTRACT
    contract.write_bytes(contract.read_bytes().replace(b'"rows"', b'"r0ws"'))
    assert world.check(NOW + timedelta(hours=1)).finding.verdict.outcome == "pass"


def test_a_model_directory_at_hand_is_enough_when_the_store_is_away(world: World) -> None:
    world.serve(1000)
    world.check()
    world.store.away = "connection refused"
    assert world.check(NOW + timedelta(hours=1)).finding.verdict.outcome == "pass"


def test_a_ledger_that_is_away_is_said_by_raising_as_the_finding_is_nowhere(world: World) -> None:
    world.ledger.away = "disk full"
    with pytest.raises(Unavailable, match="disk full"):
        world.check()


def test_a_loop_without_drift_is_not_looked_at(world: World) -> None:
    spec = world.trained.spec
    off = spec.model_copy(update={"spec": spec.spec.model_copy(update={"drift": None})})
    with pytest.raises(SpecError, match=r"spec\.drift: is null"):
        world.check(spec=off)


def test_where_a_second_look_is_asked_for_a_violation_alone_asks_for_no_run(world: World) -> None:
    world.serve(1000, "weight")
    parts = world.trained.spec.spec.model_dump(by_alias=True)
    parts["drift"]["confirm"] = {"detector": "mmd"}
    spec = world.trained.spec.model_copy(
        update={"spec": type(world.trained.spec.spec).model_validate({**parts, "collect": {}})}
    )
    for hour in range(3):
        look = world.check(NOW + timedelta(hours=hour), spec)
        assert look.finding.verdict.outcome == "error"
        assert "no second look at the rows: there is no collector" in look.finding.verdict.reason
        assert (bool(look.ask), look.run) == (False, None)
    assert [f.name for f in look.finding.features if f.drifted] == ["weight"]


# --- labels --------------------------------------------------------------------------------------------------------

HELD = (
    Cell("kept", "kept", 4, 600, 240.0, 100.0),
    Cell("returned", "kept", 6, 400, 260.0, 170.0),
    Cell(None, "", 0, 9, 0, 0),
)
KNOWN = Reference(1000, {}, HELD, (), {})


def labelled(world: World, **truths: int) -> DriftFinding:
    """A look beside so many labels that came in the last hour, at a window of 1,000 rows like training."""
    world.serve(1000)
    for truth, rows in truths.items():
        labels = {"loop": world.loop, "version": "1", "truth": truth, "predicted": "kept"}
        world.metrics.scrape(LABELLED, labels, NOW - timedelta(hours=1), 0)
        world.metrics.scrape(LABELLED, labels, NOW - timedelta(seconds=1), rows)
    return job.look(comparing(world), 1, world.trained.contract.profile, world.metrics, NOW, KNOWN)


def comparing(world: World) -> ModelLoop:
    """The loop with labels compared."""
    spec = world.trained.spec
    assert spec.spec.drift is not None
    drift = spec.spec.drift.model_copy(update={"labels": True})
    return spec.model_copy(update={"spec": spec.spec.model_copy(update={"drift": drift})})


def test_labels_like_the_holdouts_are_one_more_distribution_that_has_not_drifted(world: World) -> None:
    found = labelled(world, kept=305, returned=195)
    assert found.verdict.outcome == "pass", found.verdict.reason
    assert [f.name for f in found.features] == ["weight", "price", "shop", "fate", "score"]


def test_a_mixture_of_classes_that_changed_is_drift_and_named(world: World) -> None:
    found = labelled(world, kept=300, returned=700)
    assert found.verdict.outcome == "fail"
    assert "fate (PSI" in found.verdict.reason
    (fate,) = (f for f in found.features if f.drifted)
    assert fate.shift is not None
    assert fate.shift.largest in ("kept 60 % to 30 %", "returned 40 % to 70 %")


def test_a_class_that_the_holdout_never_had_is_unseen(world: World) -> None:
    found = labelled(world, kept=580, returned=380, lost=40)
    (fate,) = (f for f in found.features if f.drifted)
    assert [sign.test for sign in fate.signs] == ["unseen"]


def test_too_few_labels_are_not_compared_and_keep_nothing_from_being_decided(world: World) -> None:
    found = labelled(world, returned=199)
    assert found.verdict.outcome == "pass"
    assert "fate" not in [f.name for f in found.features]


def test_labels_of_classes_that_the_collector_has_no_series_for_are_not_compared(world: World) -> None:
    found = labelled(world, kept=300, other=700)
    assert found.verdict.outcome == "pass"
    assert "fate" not in [f.name for f in found.features]


def test_labels_are_compared_only_where_the_spec_asks_and_the_version_knows_its_holdout(world: World) -> None:
    labelled(world, returned=700)
    profile = world.trained.contract.profile
    for spec, known in (
        (world.trained.spec, KNOWN),
        (comparing(world), None),
        (comparing(world), replace(KNOWN, cells=())),
    ):
        found = job.look(spec, 1, profile, world.metrics, NOW, known)
        assert (found.verdict.outcome, len(found.features)) == ("pass", 4)


def test_a_drift_of_labels_has_a_beginning(world: World, tmp_path: Path) -> None:
    artifact.save(tmp_path / "knowing", artifact.load(world.trained.directory).estimator, world.trained.contract, KNOWN)
    world.store.register(world.loop, "second", tmp_path / "knowing", {}, {})
    world.remember(champion=2)
    world.serve(1000, version=2)
    for hours, rows in ((5, 0), (1, 0), (0, 700)):
        labels = {"loop": world.loop, "version": "2", "truth": "returned", "predicted": "kept"}
        world.metrics.scrape(LABELLED, labels, NOW - timedelta(hours=hours, seconds=1), rows)
    found = world.check(spec=comparing(world)).finding
    (fate,) = (f for f in found.features if f.drifted)
    assert fate.shift is not None
    assert fate.shift.since is not None
    assert "fate" in found.verdict.reason
