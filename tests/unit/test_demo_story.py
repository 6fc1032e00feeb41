"""When the demo brings its faults in."""

from __future__ import annotations

from datetime import UTC, datetime

import pytest

from serinus.facts import Rollout, RunRecord, Status
from services.demo.story import Fault, due

NOW = datetime(2026, 1, 2, tzinfo=UTC)
FAULT = Fault("errors", "faulty:fit_failing", 0.45)
QUIET = Status("flight-delay", champion=3)


def test_a_fault_is_brought_in_when_its_time_has_come_and_not_before() -> None:
    assert [due(FAULT, over, QUIET) for over in (0.0, 0.44, 0.45, 1.1)] == [False, False, True, True]


@pytest.mark.parametrize(
    "under_way",
    [
        {"run": RunRecord("flight-delay-drift-1", "drift", NOW)},
        {"rollout": Rollout(4, 3, NOW, 1, NOW, looked_until=NOW)},
        {"waiting": 4},
    ],
)
def test_while_another_version_is_on_its_way_it_could_be_passed_over_and_is_not_brought_in(
    under_way: dict[str, object],
) -> None:
    status = Status("flight-delay", champion=3, **under_way)  # type: ignore[arg-type]
    assert not due(FAULT, 0.5, status)
