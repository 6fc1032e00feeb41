"""A drift finding on a terminal."""

from __future__ import annotations

import io
from datetime import UTC, datetime

from rich.console import Console, Group, RenderableType

from serinus.facts import DriftFinding, FeatureDrift, Shift, Verdict, Window
from services.cli import drift_page

BEGAN = datetime(2026, 3, 1, 4, tzinfo=UTC)
FINDING = DriftFinding(
    1,
    Window(BEGAN, BEGAN.replace(day=2)),
    2000,
    Verdict("drift", "fail", "2 of 4 distributions drifted"),
    (
        FeatureDrift("hour", 0.7, 0.004, False, Shift(0.02, 0.01, "up to 6 10 % to 11 %", 0.12)),
        FeatureDrift("[bold]dew", 0.0, 0.9, True, Shift(0.5, -1.2, "up to 3 10 % to 40 %", 0.0, used=False)),
        FeatureDrift("temp", 0.0, 0.31, True, Shift(0.2, 0.84, "over 20 10 % to 40 %", 0.41, since=BEGAN)),
        FeatureDrift("old", 0.5, 0.01, False),
    ),
)


def lines(shown: RenderableType) -> list[str]:
    page = io.StringIO()
    Console(width=160, file=page).print(shown)
    return [" ".join(line.split()) for line in page.getvalue().splitlines()]


def test_every_distribution_has_a_line_what_drifted_and_matters_most_first() -> None:
    assert lines(drift_page.distributions(FINDING)) == [
        "Distribution PSI Distance Mean Largest change Weight Since",
        "drifted temp 0.310 0.200 +0.84 sd over 20 10 % to 40 % 41 % of the importance 2026-03-01 04:00 UTC",
        "drifted [bold]dew 0.900 0.500 -1.20 sd up to 3 10 % to 40 % not used by the model -",
        "old 0.010 - - - - -",
        "hour 0.004 0.020 +0.01 sd up to 6 10 % to 11 % 12 % of the importance -",
    ]


def test_the_few_that_matter_most_are_told_in_a_line_each() -> None:
    assert lines(Group(*drift_page.most(FINDING))) == [
        "temp: mean +0.84 sd, 41 % of the importance, since 2026-03-01 04:00 UTC",
        "[bold]dew: mean -1.20 sd, not used by the model",
    ]
