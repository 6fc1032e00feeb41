"""Ports of a state folder: kept where they can be, chosen anew where they cannot, and never two of the same."""

from __future__ import annotations

import json
import socket
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from dataclasses import asdict
from pathlib import Path

import pytest

from serinus.errors import Fatal
from services.local import addresses
from services.local.addresses import Addresses, choose, free_port, is_free, load


@contextmanager
def taken(*ports: int) -> Iterator[None]:
    with ExitStack() as stack:
        for port in ports:
            stack.enter_context(socket.create_server(("127.0.0.1", port)))
        yield


@pytest.fixture
def file(tmp_path: Path) -> Path:
    """Ports that were chosen before, all of them free."""
    free: list[int] = []
    for _ in addresses.DEFAULTS:
        free.append(free_port(free))
    path = tmp_path / "ports.json"
    path.write_text(json.dumps(dict(zip(addresses.DEFAULTS, free, strict=True))))
    return path


def test_ports_that_were_chosen_before_are_kept_while_they_are_free(file: Path) -> None:
    before = load(file)
    assert choose(file) == before == load(file)


def test_a_port_that_another_program_took_is_replaced_and_the_others_stay(file: Path) -> None:
    before = load(file)
    assert before is not None
    with taken(before.mlflow):
        after = choose(file)
    assert after.mlflow != before.mlflow
    assert {**asdict(after), "mlflow": 0} == {**asdict(before), "mlflow": 0}
    assert choose(file) == after


def test_a_port_that_our_own_program_holds_is_kept(file: Path) -> None:
    before = load(file)
    assert before is not None
    with taken(before.envoy, before.admin):
        assert choose(file, running={"envoy", "admin"}) == before


def test_the_first_choice_is_the_default_where_that_is_free_and_all_ports_differ(tmp_path: Path) -> None:
    chosen = asdict(choose(tmp_path / "state" / "ports.json"))
    for name, port in addresses.DEFAULTS.items():
        assert chosen[name] == port or not is_free(port)
    assert len(set(chosen.values())) == len(addresses.DEFAULTS)


def test_a_port_that_somebody_asks_for_is_given_and_nobody_else_gets_it(file: Path) -> None:
    before = load(file)
    assert before is not None
    chosen = choose(file, wanted={"envoy": before.mlflow})
    assert chosen.envoy == before.mlflow
    assert len(set(asdict(chosen).values())) == len(addresses.DEFAULTS)


def test_a_port_that_somebody_asks_for_and_another_program_holds_is_refused(file: Path) -> None:
    port = free_port()
    with taken(port), pytest.raises(Fatal, match=f"port {port}, which was asked for, is taken"):
        choose(file, wanted={"envoy": port})


def test_a_port_that_somebody_asks_for_again_while_our_own_program_holds_it_is_no_conflict(file: Path) -> None:
    before = load(file)
    assert before is not None
    with taken(before.envoy):
        assert choose(file, running={"envoy"}, wanted={"envoy": before.envoy}) == before


@pytest.mark.parametrize("text", ["", "[]", "{", '{"envoy": 1}', '{"unknown": 1}'])
def test_a_file_that_is_not_ours_is_as_good_as_none(tmp_path: Path, text: str) -> None:
    file = tmp_path / "ports.json"
    file.write_text(text)
    assert load(file) is None
    assert choose(file) == load(file)


def test_addresses_are_on_loopback() -> None:
    assert Addresses(1, 2, 3, 4, 5, 6).url("prometheus") == "http://127.0.0.1:4"
