"""One look after the other over ports without a system behind them: what is cut short or away is put right later."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from typing import Any, TypeVar, cast

import pytest

from serinus.adapters.fakes.audit import FakeAudit
from serinus.adapters.fakes.ledger import FakeLedger
from serinus.adapters.fakes.metrics import FakeMetrics
from serinus.adapters.fakes.registry import FakeRegistry
from serinus.adapters.fakes.router import FakeRouter
from serinus.adapters.fakes.runner import FakeRunner
from serinus.decide import audit, counts
from serinus.errors import Conflict, Fatal, SerinusError, Unavailable
from serinus.facts import Deed, Request, Status
from serinus.ports import Audit
from serinus.spec import ModelLoop
from services.driver import Looked, Ports, look
from services.trail import Trail
from tests.unit.loop_cases import NOW, SPEC

LOOP = "flights"
T = TypeVar("T")
ACTIONS = (
    ("router", "apply"),
    ("runner", "submit"),
    ("registry", "alias"),
    ("registry", "record"),
    ("ledger", "write"),
    ("audit", "append"),
)


def nobody(_action: str, _done: bool) -> None:
    """Nobody strikes."""


class Killed(BaseException):
    """kill -9, as far as a process can play it."""


@dataclass
class Bench:
    """A loop over fakes, its clock, and somebody who can strike at any action."""

    now: datetime = NOW
    spec: ModelLoop = SPEC
    metrics: FakeMetrics = field(default_factory=FakeMetrics)
    router: FakeRouter = field(default_factory=FakeRouter)
    registry: FakeRegistry = field(default_factory=FakeRegistry)
    runner: FakeRunner = field(default_factory=FakeRunner)
    ledger: FakeLedger = field(default_factory=FakeLedger)
    audit: FakeAudit = field(default_factory=FakeAudit)
    trail: Trail | None = None  # as the driver that runs now has it
    strike: Callable[[str, bool], None] = nobody  # told before and after each action
    answers: dict[int, int] = field(default_factory=dict)
    ages: dict[str, int] = field(default_factory=dict)  # of runs, in seconds

    def ports(self) -> Ports:
        parts: dict[str, Any] = {
            name: getattr(self, name) for name in ("metrics", "router", "registry", "runner", "ledger")
        }
        if self.trail is None:
            self.trail = Trail(cast(Audit, _Struck("audit", self.audit, self)))
        return Ports(**{name: _Struck(name, part, self) for name, part in parts.items()}, trail=self.trail)

    def look(self, troubles: dict[str, str] | None = None) -> Looked:
        return look(LOOP, lambda: self.spec, self.ports(), self.now, NOW, troubles)

    @property
    def status(self) -> Status:
        return self.ledger.read(LOOP).status

    def kinds(self) -> list[str]:
        return [event.kind for event in self.ledger.events(LOOP, 1000)]

    def deeds(self) -> list[Deed]:
        return [entry.deed for entry in self.audit.entries(limit=10_000)]

    def ask(self, id: str, **changes: Any) -> None:
        self.ledger.ask(LOOP, Request(id, by="ann", at=self.now, **changes))

    def second(self) -> None:
        """The world goes on: runs end well after a while, versions get ready, everybody answers without an error."""
        self.now += timedelta(seconds=1)
        for run in self.runner.active(LOOP):
            self.ages[run.key] = self.ages.get(run.key, 0) + 1
            if self.ages[run.key] < 4:
                continue
            if all(version.trigger != run.key for version in self.registry.versions(LOOP)):
                self.registry.add(LOOP, run.key)
            self.runner.finish(run.key)
        for variant in self.router.observe(LOOP).variants:
            self.answers[variant.version] = self.answers.get(variant.version, 0) + 10 * variant.weight
            labels = {"loop": LOOP, "version": str(variant.version)}
            for outcome, value in (("ok", self.answers[variant.version]), ("error", 0), ("invalid", 0)):
                self.metrics.scrape(counts.PREDICTIONS, {**labels, "outcome": outcome}, self.now, value)
            for bound in ("0.25", "+Inf"):
                self.metrics.scrape(counts.SECONDS, {**labels, "le": bound}, self.now, self.answers[variant.version])

    def live(self, seconds: int, killed: Callable[[], None] = lambda: None) -> None:
        for _ in range(seconds):
            try:
                self.look()
            except Killed:
                self.trail = None
                killed()
            self.second()


class _Struck:
    """A port whose actions are announced."""

    def __init__(self, name: str, part: object, bench: Bench) -> None:
        self._name, self._part, self._bench = name, part, bench

    def __getattr__(self, verb: str) -> Any:
        real = getattr(self._part, verb)
        if (self._name, verb) not in ACTIONS:
            return real

        def announced(*args: Any) -> Any:
            self._bench.strike(f"{self._name}.{verb}", False)
            answer = real(*args)
            self._bench.strike(f"{self._name}.{verb}", True)
            return answer

        return announced


def refuse(action: str, error: SerinusError) -> Callable[[str, bool], None]:
    def strike(name: str, done: bool) -> None:
        if name == action and not done:
            raise error

    return strike


def life(bench: Bench) -> None:
    """From nothing to a second version that serves everyone."""
    bench.live(15)
    bench.ask("more", kind="run")
    bench.live(45)


def outcome(bench: Bench) -> dict[str, Any]:
    """All that must not depend on how often the driver was killed."""
    status = bench.status
    return {
        "status": (status.champion, status.previous, status.rollout, status.waiting, status.decided, status.run),
        "routing": {v.version: v.weight for v in bench.router.observe(LOOP).variants},
        "aliases": {v.number: sorted(v.aliases) for v in bench.registry.versions(LOOP)},
        "records": {key: (record.outcome, record.stable) for key, record in bench.registry.records.items()},
        "runs": [request.cause for request in bench.runner.requests],
        # Who was killed before it could write that it asked for a run finds the run and says that instead.
        "events": [k for k in bench.kinds() if k not in ("RunRequested", "RunStarted", "RequestIgnored")],
    }


def history(bench: Bench) -> list[tuple[Any, ...]]:
    return [(event.at, event.kind, event.message) for event in bench.ledger.events(LOOP, 10_000)]


def trail(bench: Bench) -> list[tuple[Any, ...]]:
    assert audit.verify(bench.audit.entries(limit=10_000)) is None
    return [(deed.at, deed.kind, deed.message) for deed in bench.deeds()]


def actions_of_a_life() -> list[str]:
    bench, seen = Bench(), list[str]()
    bench.strike = lambda action, done: None if done else seen.append(action)
    life(bench)
    return seen


def test_a_life_goes_from_nothing_to_a_second_version_that_serves_everyone() -> None:
    bench = Bench()
    life(bench)
    assert outcome(bench) == {
        "status": (2, 1, None, None, 2, None),
        "routing": {1: 20, 2: 80},
        "aliases": {1: [], 2: ["champion"]},
        "records": {(LOOP, 1): ("promoted", None), (LOOP, 2): ("promoted", 1)},
        "runs": ["initial", "manual"],
        "events": [
            "RunSucceeded", "VersionFound", "Promoted",
            "RunSucceeded", "VersionFound", "RolloutStarted", "StepPassed", "Promoted", "ShareChanged",
        ],
    }  # fmt: skip


@pytest.mark.parametrize("action", sorted({f"{part}.{verb}" for part, verb in ACTIONS}))
@pytest.mark.parametrize("done", [False, True], ids=["before", "after"])
def test_a_driver_that_is_killed_around_any_action_ends_where_one_that_was_not_ends(action: str, done: bool) -> None:
    whole = Bench()
    life(whole)
    times = actions_of_a_life().count(action)
    assert times > 0
    for number in range(times):
        bench, seen = Bench(), 0

        def strike(name: str, over: bool, number: int = number) -> None:
            nonlocal seen
            if (name, over) == (action, done):
                seen += 1
                if seen == number + 1:
                    raise Killed

        bench.strike = strike
        life(bench)
        assert seen > number
        assert outcome(bench) == outcome(whole), f"killed {'after' if done else 'before'} {action} number {number + 1}"
        assert trail(bench) == history(bench), f"killed {'after' if done else 'before'} {action} number {number + 1}"


@pytest.mark.parametrize("part", ["metrics", "router", "registry", "runner"])
def test_a_part_that_is_away_is_said_once_and_the_life_goes_on_when_it_is_back(part: str) -> None:
    bench = Bench()
    bench.live(15)
    bench.ask("more", kind="run")
    bench.live(4)
    away = getattr(bench, part)
    away.away = True if part == "router" else "it is away"
    for _ in range(6):
        looked = bench.look()
        bench.now += timedelta(seconds=1)
    if part != "metrics" or bench.status.rollout is not None:
        assert part in looked.world.unseen
        assert bench.kinds().count("CannotSee") == 1
    away.away = False if part == "router" else ""
    bench.live(60)
    assert (bench.status.champion, bench.status.rollout) == (2, None)
    assert len(bench.runner.requests) == 2


@pytest.mark.parametrize("error", [Unavailable("full disk"), Fatal("another loop's folder")])
def test_what_cannot_be_carried_out_is_told_and_keeps_nobody_else_from_work(error: SerinusError) -> None:
    bench = Bench()
    bench.live(15)
    bench.ask("more", kind="run")
    bench.strike = refuse("router.apply", error)
    looked = bench.look()
    assert looked.failed == {"router": str(error)}
    assert len(bench.runner.requests) == 2, "the run was asked for all the same"
    assert bench.status.run is not None


def test_a_run_that_the_runner_cannot_take_is_asked_for_again() -> None:
    bench = Bench()
    bench.strike = refuse("runner.submit", Unavailable("no processes left"))
    assert bench.look().failed == {"runner": "no processes left"}
    assert bench.runner.requests == []
    asked = bench.status.run
    assert asked is not None
    bench.strike = nobody
    bench.live(15)
    assert [request.key for request in bench.runner.requests] == [asked.key]
    assert bench.kinds().count("RunRequested") == 1


def test_a_record_is_owed_until_the_registry_takes_it() -> None:
    bench = Bench()
    bench.strike = refuse("registry.record", Unavailable("MLflow is away"))
    bench.live(15)
    assert (bench.status.champion, len(bench.status.owed)) == (1, 1)
    assert bench.look().failed == {"registry": "MLflow is away"}
    bench.strike = nobody
    bench.live(2)
    assert bench.status.owed == ()
    assert bench.registry.records[LOOP, 1].outcome == "promoted"


@pytest.mark.parametrize("action", ["registry.record", "registry.alias"])
def test_a_record_or_alias_of_a_version_that_was_deleted_is_lost_and_said(action: str) -> None:
    bench = Bench()
    bench.strike = refuse(action, Fatal("there is no such version"))
    bench.live(15)
    assert bench.status.champion == 1
    assert bench.status.owed == ()
    lost = [event.message for event in bench.ledger.events(LOOP) if event.kind == "RecordLost"]
    assert lost
    assert all("there is no such version" in message for message in lost)


def test_a_look_in_which_nothing_happens_writes_nothing() -> None:
    bench = Bench()
    bench.live(15)
    revision = bench.ledger.read(LOOP).revision
    bench.live(5)
    assert bench.ledger.read(LOOP).revision == revision


def test_a_second_writer_makes_the_look_fail_and_the_next_one_decides_anew() -> None:
    bench = Bench()
    bench.live(15)
    bench.ask("more", kind="run")
    bench.strike = lambda action, done: (
        bench.ledger.write(LOOP, bench.status, [], bench.ledger.read(LOOP).revision)
        if (action, done) == ("ledger.write", False)
        else None
    )
    with pytest.raises(Conflict):
        bench.look()
    bench.strike = nobody
    bench.live(60)
    assert (bench.status.champion, len(bench.runner.requests)) == (2, 2)


def test_a_ledger_that_is_away_makes_the_look_fail() -> None:
    bench = Bench()
    bench.ledger.away = "no such disk"
    with pytest.raises(Unavailable, match="no such disk"):
        bench.look()


def test_troubles_that_the_owner_knows_are_said_once_and_shown_until_they_are_over() -> None:
    bench = Bench()
    bench.live(15)
    for _ in range(3):
        bench.look({"version 1": "its server ended (SIGKILL)"})
    assert dict(bench.status.notices) == {"version 1": "its server ended (SIGKILL)"}
    assert bench.kinds().count("CannotSee") == 1
    bench.look()
    assert dict(bench.status.notices) == {}


def test_the_spec_is_read_after_the_ledger() -> None:
    bench, order = Bench(), list[str]()
    bench.live(15)
    read = bench.ledger.read

    def noted(what: str, value: T) -> T:
        order.append(what)
        return value

    bench.ledger.read = lambda loop: noted("ledger", read(loop))  # type: ignore[method-assign]
    look(LOOP, lambda: noted("spec", SPEC), bench.ports(), bench.now, NOW)
    assert order == ["ledger", "spec"]
