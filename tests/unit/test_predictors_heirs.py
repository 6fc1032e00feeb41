"""An edit of `collect`: a predictor that runs is replaced by one that is told so, and nobody notices."""

from __future__ import annotations

import time
from collections.abc import Iterator
from pathlib import Path

import psutil
import pytest

from serinus.spec import Collect
from services.local import leaving
from services.local.processes import sweep
from services.local.server import TOLD
from tests.servers.envoy import ANSWERING
from tests.unit.loop_cases import SPEC
from tests.unit.test_predictors import URL, Bench

COLLECTS = SPEC.model_copy(update={"spec": SPEC.spec.model_copy(update={"collect": Collect(key="order")})})


@pytest.fixture
def bench(tmp_path: Path) -> Iterator[Bench]:
    made = Bench(tmp_path)
    yield made
    made.servers.end()
    sweep(made.state, grace=0.5)


def other(bench: Bench) -> int | None:
    """The process of the one that takes over."""
    return bench.processes.pid("predictor-1-b")


def test_an_edit_of_collect_replaces_a_server_by_one_that_is_ready_and_ends_it_once_the_router_knows(
    bench: Bench, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(leaving, "_LINGER", 0.2)
    bench.ready(1)
    before, old = bench.servers._servers[1], bench.process(1)
    bench.servers.edit(COLLECTS)
    while bench.servers._servers[1].port == before.port:
        assert bench.servers._servers[1].ready, "it serves until the other one can"
        bench.servers.follow()
        time.sleep(0.01)
    after = bench.servers._servers[1]
    assert (after.ready, after.restarts, other(bench) is not None) == (True, 0, True)
    for _ in range(30):
        bench.servers.follow()
        time.sleep(0.01)
    assert old.is_running(), "nobody was told where to send requests instead"
    assert bench.told() == sorted(f"127.0.0.1:{port}" for port in (before.port, after.port))
    assert bench.servers.state()[1].port == after.port
    bench.until(lambda: bench.told() == [f"127.0.0.1:{after.port}"])
    assert bench.processes.names() == ("predictor-1-b",)
    process = psutil.Process(other(bench))
    assert process.environ()[TOLD] == f"--collector {URL} --namespace local --sample 1 --key order"
    bench.servers.edit(SPEC)
    bench.until(lambda: bench.servers.state()[1].port != after.port and bench.processes.names() == ("predictor-1",))
    assert bench.servers.state()[1].restarts == 0


def test_another_edit_than_of_collect_replaces_nobody(bench: Bench) -> None:
    bench.ready(1)
    bench.servers.edit(SPEC.model_copy(update={"spec": SPEC.spec.model_copy(update={"approval": "required"})}))
    bench.servers.follow()
    assert bench.servers._servers[1].heir is None


@pytest.mark.parametrize("undone", ["the edit", "the version", "by its death"])
def test_one_that_has_nothing_to_take_over_any_more_is_ended(bench: Bench, undone: str) -> None:
    bench.ready(1)
    bench.servers.edit(COLLECTS)
    bench.until(lambda: bench.servers._servers[1].heir is not None)
    heir = psutil.Process(other(bench))
    if undone == "the edit":
        bench.servers.edit(SPEC)
    elif undone == "the version":
        bench.servers.want([])
    else:
        bench.process(1).kill()
    bench.until(lambda: not heir.is_running())
    if undone == "the version":
        bench.until(lambda: bench.of(1) is None)
    else:
        bench.until(lambda: (server := bench.of(1)) is not None and server.ready)
        assert bench.processes.names() == ("predictor-1",)


def test_one_that_dies_before_it_is_ready_is_tried_again_and_the_old_one_serves(bench: Bench, tmp_path: Path) -> None:
    bench.ready(1)
    old = bench.process(1)
    bench.servers.program = tmp_path / "dies.py"
    bench.servers.program.write_text("import sys; sys.exit('no')")
    bench.servers.edit(COLLECTS)
    bench.until(lambda: bench.servers._servers[1].heir is not None)
    bench.until(lambda: bench.servers._servers[1].heir is None)
    assert (old.is_running(), bench.servers.state()[1].ready) == (True, True)
    bench.servers.program = ANSWERING
    bench.until(lambda: bench.servers._servers[1].told != "")


@pytest.mark.parametrize("knows", [True, False])
def test_of_two_that_a_killed_supervisor_left_the_one_that_was_told_what_the_file_says_serves(
    bench: Bench, monkeypatch: pytest.MonkeyPatch, knows: bool
) -> None:
    monkeypatch.setattr(leaving, "_LINGER", 0.0)
    bench.ready(1)
    before = bench.servers.state()[1].port
    bench.servers.edit(COLLECTS)
    bench.until(lambda: bench.servers._servers[1].port != before)
    after, spec = bench.servers._servers[1].port, COLLECTS if knows else SPEC
    bench.servers.end()
    bench.take_over(spec)
    assert bench.servers.state()[1].port == (after if knows else before)
    bench.until(lambda: len(bench.processes.names()) == 1)
    assert bench.servers.state()[1].ready


def test_of_two_that_a_killed_supervisor_left_one_that_does_not_answer_yet_is_not_taken(bench: Bench) -> None:
    bench.ready(1)
    before = bench.servers.state()[1].port
    bench.servers.edit(COLLECTS)
    bench.until(lambda: bench.servers._servers[1].heir is not None)
    psutil.Process(other(bench)).suspend()
    bench.servers.end()
    bench.take_over(COLLECTS, patience=0.2)
    assert bench.servers.state()[1].port == before
