"""That the benchmark's rules are those that the other tools document."""

from __future__ import annotations

import math

import numpy as np
import pytest

from benchmarks.judges import argo, flagger, kayenta, sagemaker
from benchmarks.judges.measures import Measured, mean, measure, quantile
from benchmarks.judges.table import CASES, OURS, RULES, Cell, cell, endings
from tests.simulation.worlds.catalogue import Case
from tests.simulation.worlds.draw import World
from tests.simulation.worlds.facts import Failures, Harm, Load, Scenario
from tests.simulation.worlds.play import Ended, Ending
from tests.simulation.worlds.scrapes import CANARY, Prometheus

GOOD, BAD = Measured(1000, 5, 0.2, 0.05), Measured(1000, 50, 0.2, 0.05)
BROKEN = Case(Scenario("broken", Load(20), harm=Harm(errors=0.5, slower=5)))


def test_a_quantile_is_interpolated_as_prometheus_does_it() -> None:
    bounds = (0.1, 0.2, 0.4, math.inf)
    assert quantile(bounds, (50, 90, 100, 100), 0.5) == pytest.approx(0.1)
    assert quantile(bounds, (50, 90, 100, 100), 0.95) == pytest.approx(0.3)
    assert quantile(bounds, (50, 90, 98, 100), 0.99) == 0.4
    assert math.isnan(quantile(bounds, (0, 0, 0, 0), 0.99))
    assert math.isnan(quantile((), (), 0.99))
    assert mean(bounds, (50, 90, 98, 100)) == pytest.approx((50 * 0.05 + 40 * 0.15 + 8 * 0.3 + 2 * 0.4) / 100)
    assert math.isnan(mean((), ()))


def test_a_measurement_is_of_one_version_in_one_interval() -> None:
    seen = Prometheus(World(Scenario("s", harm=Harm(errors=0.3)), 1, 120))
    seen.weight = 10
    seen.run_to(120)
    found = measure(seen, CANARY, 60, 120)
    assert found.requests == pytest.approx(300, abs=60)
    assert found.error_rate == pytest.approx(0.308, abs=0.08)
    assert 0.1 <= found.p99 <= 0.25
    assert found.mean == pytest.approx(0.05, abs=0.01)
    assert math.isnan(Measured().error_rate)


def test_flagger_rises_while_checks_pass_halts_on_a_failed_one_and_rolls_back_on_the_fifth() -> None:
    rules = flagger.Rules()
    assert flagger.check(rules, flagger.State(10), GOOD) == flagger.State(20)
    assert flagger.check(rules, flagger.State(10), BAD) == flagger.State(10, 1)
    assert flagger.check(rules, flagger.State(10), Measured()) == flagger.State(10, 1)
    assert flagger.check(rules, flagger.State(10), Measured(1000, 0, 0.6)) == flagger.State(10, 1)
    ended = flagger.check(rules, flagger.State(30, 4), BAD)
    assert isinstance(ended, Ended)
    assert ended.action == "rollback"
    ended = flagger.check(rules, flagger.State(50, 4), GOOD)
    assert isinstance(ended, Ended)
    assert ended.action == "promote"


def test_argo_steps_every_ten_minutes_and_takes_no_number_for_a_failure() -> None:
    rules = argo.Rules()
    assert [argo.weight(rules, s) for s in (0, 599, 600, 1800, 2399, 2400)] == [20, 20, 40, 80, 80, 100]
    assert not argo.failed(rules, GOOD)
    assert not argo.failed(rules, Measured(100, 5))
    assert argo.failed(rules, Measured(100, 6))
    assert argo.failed(rules, Measured())


def test_sagemaker_alarms_when_two_periods_in_a_row_are_over_and_a_missing_one_is_not() -> None:
    assert sagemaker.alarmed([0.0, 0.02, 0.03], 0.01, 2)
    assert not sagemaker.alarmed([0.02, 0.01], 0.01, 2)
    assert not sagemaker.alarmed([0.02], 0.01, 2)
    assert not sagemaker.alarmed([0.02, math.nan], 0.01, 2)
    assert sagemaker.both(Measured(900, 9), Measured(100, 1)) == 0.01
    assert sagemaker.both(Measured(), Measured()) == 0.0


def test_kayenta_finds_a_shift_one_way_and_wrongly_as_often_as_its_confidence_says() -> None:
    rng = np.random.default_rng(1)
    one, other = rng.normal(size=(400, 60)), rng.normal(size=(400, 60))
    found = [kayenta.high(a.tolist(), b.tolist(), tolerance=0) for a, b in zip(one, other, strict=True)]
    assert 0.002 <= np.mean(found) <= 0.025
    assert kayenta.high(one[0].tolist(), (one[1] + 1.5).tolist())
    assert not kayenta.high((one[1] + 1.5).tolist(), one[0].tolist())
    assert not kayenta.high([], [1.0])
    assert not kayenta.high([1.0, 2.0], [5.0, 6.0])  # too few to say anything
    assert [kayenta.score(m) for m in ([False, False], [True, False])] == [100, 50]


@pytest.mark.parametrize("rule", RULES)
def test_every_rule_rolls_back_a_broken_canary_and_promotes_a_good_one(rule: str) -> None:
    (ending,) = endings(rule, BROKEN, range(1))
    assert (ending.action, ending.cause) == ("rollback", "harm")
    (ending,) = endings(rule, Case(Scenario("good", Load(30), failures=Failures(rate=0.001))), range(1))
    assert ending.action == "promote"


def test_a_cell_counts_false_rollbacks_of_good_canaries_and_missed_harms_of_bad_ones() -> None:
    found = [
        Ending(0, "promote", "", 100, 4, 9, ""),
        Ending(1, "rollback", "harm", 50, 2, 9, ""),
        Ending(2, "rollback", "timeout", 600, 0, 9, ""),
        Ending(3, "promote", "", 300, 0, 9, ""),
    ]
    good = cell(OURS, Case(Scenario("good")), found, 0.1)
    assert isinstance(good, Cell)
    assert (good.rolled_back, good.promoted, good.timed_out, good.median, good.hurt) == (0.25, 0.5, 0.25, 200, 1.5)
    assert cell(OURS, BROKEN, found, 0.1).median == 50
    assert cell(OURS, BROKEN, found[:1], 0.1).median is None


def test_harmed_and_identical_canaries_are_both_compared() -> None:
    assert sum(case.scenario.harmed for case in CASES) >= 8
    assert sum(not case.scenario.harmed for case in CASES) >= 10
