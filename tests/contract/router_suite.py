"""What every Router promises, over whatever backend the fixture `backend` of a subclass gives."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

import pytest

from serinus.errors import Unavailable
from serinus.facts import Routing, RoutingState, Variant
from serinus.ports import Router
from tests.servers.envoy import until

LOOP = "flights"


@dataclass
class Backend:
    """A router, and the hand of fate on what is behind it."""

    router: Router
    breaks: Callable[[int], None]  # the version never gets ready from now on
    heals: Callable[[int], None]
    dies: Callable[[int], None]  # the version's server ends and is started again
    leaves: Callable[[], None]  # the system behind the router is away
    patience: float = 20.0  # seconds until something that was asked for must have happened


def routing(*shares: tuple[int, int] | tuple[int, int, int]) -> Routing:
    """Version and weight, and for the one that gets copies their percent."""
    return Routing(tuple(Variant(*share) for share in shares))


def reach(backend: Backend, target: Routing, holds: Callable[[RoutingState], bool]) -> RoutingState:
    """Apply, as a driver does every second, until the state is as expected; no split is ever short of 100 %."""
    seen: list[RoutingState] = []

    def reached() -> bool:
        try:
            backend.router.apply(LOOP, target)
            state = backend.router.observe(LOOP)
        except Unavailable:  # a machine too busy to answer in time: a driver looks again, too
            return False
        assert sum(v.weight for v in state.variants) in (0, 100)
        seen.append(state)
        return holds(state)

    until(reached, f"{target}", backend.patience)
    return seen[-1]


def settled(target: Routing) -> Callable[[RoutingState], bool]:
    """Whether all of `target`, and nothing else, is there with its share."""
    return lambda state: (
        {(v.version, v.weight, v.mirror, v.ready) for v in state.variants}
        == {(v.version, v.weight, v.mirror, True) for v in target.variants}
    )


class RouterPromises:
    """Give it a fixture `backend`, whose router has routed nothing yet."""

    def test_a_loop_never_routed_has_no_variants(self, backend: Backend) -> None:
        assert backend.router.observe(LOOP) == RoutingState()
        assert backend.router.observe(LOOP).of(1) is None

    def test_the_first_version_gets_everything_once_it_is_ready(self, backend: Backend) -> None:
        target = routing((1, 100))
        state = reach(backend, target, settled(target))
        variant = state.of(1)
        assert variant is not None
        assert (variant.message, variant.restarts) == ("", 0)

    def test_applying_the_same_routing_again_changes_nothing(self, backend: Backend) -> None:
        target = routing((1, 80), (2, 20))
        state = reach(backend, target, settled(target))
        for _ in range(3):
            backend.router.apply(LOOP, target)
            assert backend.router.observe(LOOP) == state

    def test_a_version_that_never_gets_ready_gets_no_share_and_says_why(self, backend: Backend) -> None:
        reach(backend, routing((1, 100)), settled(routing((1, 100))))
        backend.breaks(2)
        for _ in range(5):
            backend.router.apply(LOOP, routing((1, 60), (2, 40)))
            state = backend.router.observe(LOOP)
            stable, canary = state.of(1), state.of(2)
            assert stable is not None
            assert canary is not None
            assert (stable.weight, canary.weight, canary.ready) == (100, 0, False)
            assert canary.message
        backend.heals(2)
        reach(backend, routing((1, 60), (2, 40)), settled(routing((1, 60), (2, 40))))

    def test_a_variant_without_a_share_is_kept_ready(self, backend: Backend) -> None:
        target = routing((1, 0), (2, 100))
        reach(backend, target, settled(target))

    def test_the_share_of_a_version_that_dies_goes_to_the_other_and_comes_back(self, backend: Backend) -> None:
        target = routing((1, 80), (2, 20))
        reach(backend, target, settled(target))
        backend.breaks(1)
        backend.dies(1)
        reach(backend, target, lambda state: [v.weight for v in state.variants] == [0, 100])
        backend.heals(1)
        state = reach(backend, target, settled(target))
        assert [v.restarts for v in state.variants] == [1, 0]

    def test_with_nobody_ready_the_shares_stay(self, backend: Backend) -> None:
        target = routing((1, 80), (2, 20))
        reach(backend, target, settled(target))
        for version in (1, 2):
            backend.breaks(version)
            backend.dies(version)
        backend.router.apply(LOOP, target)
        assert [(v.weight, v.ready) for v in backend.router.observe(LOOP).variants] == [(80, False), (20, False)]

    def test_an_old_version_serves_until_its_successor_is_ready_and_is_gone_then(self, backend: Backend) -> None:
        reach(backend, routing((1, 100)), settled(routing((1, 100))))
        backend.breaks(2)
        for _ in range(3):
            backend.router.apply(LOOP, routing((2, 100)))
            assert [v.weight for v in backend.router.observe(LOOP).variants] == [100, 0]
        backend.heals(2)
        reach(backend, routing((2, 100)), settled(routing((2, 100))))
        assert backend.router.observe(LOOP).of(1) is None

    def test_a_version_that_gets_copies_has_no_share_and_comes_and_goes_as_asked(self, backend: Backend) -> None:
        reach(backend, routing((1, 100)), settled(routing((1, 100))))
        for target in (routing((1, 100), (2, 0, 40)), routing((1, 0), (2, 100))):
            reach(backend, target, settled(target))

    def test_a_version_that_gets_copies_never_answers_in_anothers_place(self, backend: Backend) -> None:
        target = routing((1, 100), (2, 0, 40))
        reach(backend, target, settled(target))
        backend.breaks(1)
        backend.dies(1)
        for _ in range(3):
            backend.router.apply(LOOP, target)
            assert [v.weight for v in backend.router.observe(LOOP).variants] == [100, 0]
        backend.heals(1)
        reach(backend, target, settled(target))

    def test_a_version_that_is_not_ready_gets_no_copies(self, backend: Backend) -> None:
        target = routing((1, 100), (2, 0, 40))
        reach(backend, target, settled(target))
        backend.breaks(2)
        backend.dies(2)
        reach(backend, target, lambda state: [v.mirror for v in state.variants] == [0, 0])

    def test_an_empty_routing_ends_everything(self, backend: Backend) -> None:
        reach(backend, routing((1, 50), (2, 50)), settled(routing((1, 50), (2, 50))))
        reach(backend, routing(), settled(routing()))

    def test_a_router_that_cannot_be_asked_says_so(self, backend: Backend) -> None:
        backend.leaves()
        with pytest.raises(Unavailable):
            backend.router.observe(LOOP)
        with pytest.raises(Unavailable):
            backend.router.apply(LOOP, routing((1, 100)))
