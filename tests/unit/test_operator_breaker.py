from __future__ import annotations

from dataclasses import dataclass, field

import pytest

from serinus.errors import Fatal, Unavailable
from services.operator.breaker import PAUSE, Breaker


@dataclass
class Server:
    """One that can be away, and counts who asked."""

    away: bool = True
    asked: int = 0
    now: float = 0.0
    breaker: Breaker = field(init=False)

    def __post_init__(self) -> None:
        self.breaker = Breaker(lambda: self.now)

    def question(self) -> str:
        self.asked += 1
        if self.away:
            raise Unavailable("gone fishing")
        return "here"

    def ask(self) -> str:
        return self.breaker.ask(self.question)


def test_after_a_failure_nobody_asks_for_a_while_and_all_hear_why() -> None:
    server = Server()
    for _ in range(5):
        with pytest.raises(Unavailable, match="gone fishing"):
            server.ask()
    assert server.asked == 1


def test_then_one_may_try_and_the_rest_hears_no_more_of_it() -> None:
    server = Server()
    with pytest.raises(Unavailable):
        server.ask()
    server.now, server.away = PAUSE, False
    assert [server.ask() for _ in range(3)] == ["here"] * 3
    assert server.asked == 4


def test_while_one_tries_the_others_do_not() -> None:
    server = Server()
    with pytest.raises(Unavailable):
        server.ask()
    server.now = PAUSE

    def meanwhile() -> str:
        with pytest.raises(Unavailable):
            server.ask()
        return "back"

    assert server.breaker.ask(meanwhile) == "back"
    assert server.asked == 1


def test_one_that_tries_in_vain_leaves_the_next_try_to_another() -> None:
    server = Server()
    for turn in range(3):
        server.now = turn * PAUSE
        with pytest.raises(Unavailable):
            server.ask()
    assert server.asked == 3


def test_an_answer_that_is_a_refusal_is_an_answer() -> None:
    breaker = Breaker(lambda: 0.0)

    def refuse() -> None:
        raise Fatal("no such version")

    for _ in range(2):
        with pytest.raises(Fatal):
            breaker.ask(refuse)


def test_one_that_tries_and_is_refused_lets_others_try() -> None:
    server = Server()
    with pytest.raises(Unavailable):
        server.ask()
    server.now = PAUSE

    def refuse() -> str:
        raise Fatal("no such version")

    with pytest.raises(Fatal):
        server.breaker.ask(refuse)
    server.away = False
    assert server.ask() == "here"
