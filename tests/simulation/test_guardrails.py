"""The guardrails about whole distributions and the user's own ratios, with the real driver in simulated traffic."""

from __future__ import annotations

from dataclasses import replace
from datetime import timedelta

import pytest

from serinus import spec
from serinus.spec import Guardrails, RolloutSpec
from tests.simulation.worlds import catalogue
from tests.simulation.worlds.facts import Harm, Ratio, Scenario
from tests.simulation.worlds.play import run, runs

CLICKS = spec.Ratio(name="clicks", numerator="clicks_total", denominator="shown_total", better="higher", margin=0.05)
CLICKED = RolloutSpec(steps=(20, 50), guardrails=Guardrails(ratios=(CLICKS,)))


@pytest.mark.parametrize(
    ("harm", "guardrail"), [(Harm(constant=1), "scores"), (Harm(slower=1.5), "slowdown")], ids=["constant", "slower"]
)
def test_a_canary_that_harms_without_errors_is_found_by_its_distribution(harm: Harm, guardrail: str) -> None:
    rules = catalogue.TWENTY.model_copy(update={"warm_up": timedelta(0)})
    endings = runs(Scenario("harmed", harm=harm), rules, 3)
    assert {ending.cause for ending in endings} == {"harm"}
    assert all(guardrail in ending.reason for ending in endings)
    assert max(ending.seconds for ending in endings) <= 60


def test_fewer_clicks_are_found_and_as_many_are_let_in() -> None:
    world = Scenario("clicks", ratios=(Ratio("clicks", "shown", 0.3, 0.3),))
    assert run(world, CLICKED, 1).action == "promote"
    fewer = run(replace(world, ratios=(Ratio("clicks", "shown", 0.3, 0.15),)), CLICKED, 1)
    assert fewer.cause == "harm"
    assert "clicks: canary " in fewer.reason


def test_a_mistyped_counter_lets_nobody_in() -> None:
    rules = CLICKED.model_copy(update={"step_timeout": timedelta(seconds=60)})
    ending = run(Scenario("clicks"), rules, 1)
    assert (ending.action, ending.cause) == ("rollback", "timeout")
    assert "clicks: the canary has had no shown_total with clicks_total" in ending.reason
