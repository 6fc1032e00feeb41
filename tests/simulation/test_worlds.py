"""That simulated worlds are what they say: rates, shares, what comes together, and what Prometheus loses."""

from __future__ import annotations

from datetime import timedelta

import numpy as np
import pytest
from scipy.stats import binom

from serinus.decide import counts
from serinus.facts import CountsQuestion
from serinus.spec import Guardrails, RolloutSpec, Wrong
from tests.simulation.worlds import catalogue
from tests.simulation.worlds.draw import CHUNK, Floats, Traffic, World
from tests.simulation.worlds.facts import (
    Clusters,
    Failures,
    Harm,
    Latency,
    Load,
    Ratio,
    Scenario,
    Scraping,
    Truth,
    WarmUp,
)
from tests.simulation.worlds.play import Ending, run, runs
from tests.simulation.worlds.scrapes import CANARY, LOOP, STABLE, Prometheus, moment
from tests.simulation.worlds.tell import summary, upper

OK, INVALID, ERROR = 0, 1, 2


def drawn(scenario: Scenario, seconds: int = 1800, weight: int = 20, seed: int = 1) -> Traffic:
    """That many seconds of traffic at one weight."""
    world = World(scenario, seed, seconds)
    chunks = [world.chunk(i, weight) for i in range(seconds // CHUNK)]
    return Traffic(
        np.concatenate([c.outcomes for c in chunks], axis=1),
        np.concatenate([c.buckets for c in chunks], axis=1),
        np.concatenate([c.scores for c in chunks], axis=1),
        np.concatenate([c.labels for c in chunks], axis=1),
        np.concatenate([c.parts for c in chunks], axis=1),
        np.concatenate([c.hurt for c in chunks]),
    )


def within(traffic: Traffic, arm: int, bound: float) -> float:
    """The share of an arm's answers within a bucket's bound."""
    bounds = World(Scenario("any"), 0, 1).bounds
    buckets = traffic.buckets[arm].sum(axis=0)
    return float(buckets[: bounds.index(bound) + 1].sum() / buckets.sum())


def test_requests_come_at_their_rate_are_split_by_the_weight_and_fail_at_theirs() -> None:
    traffic = drawn(Scenario("plain"))
    requests = traffic.outcomes.sum(axis=(1, 2))
    assert requests.sum() == pytest.approx(50 * 1800, rel=0.02)
    assert requests[1] / requests.sum() == pytest.approx(0.2, abs=0.006)
    for arm in (0, 1):
        ok, invalid, error = traffic.outcomes[arm].sum(axis=0)
        assert error / (ok + error) == pytest.approx(0.008, abs=0.003)
        assert invalid / requests[arm] == pytest.approx(0.002, abs=0.0015)
        assert traffic.buckets[arm].sum() == ok + error
        assert traffic.scores[arm].sum() == ok
    assert traffic.hurt.sum() == 0


def test_the_same_seed_gives_the_same_traffic_in_whatever_order_it_is_asked_for() -> None:
    scenario = Scenario("clusters", Load(burst=5), clusters=(Clusters(),))
    one, other = World(scenario, 7, 600), World(scenario, 7, 600)
    other.chunk(8, 50)
    assert (one.chunk(3, 5).outcomes == other.chunk(3, 5).outcomes).all()
    assert (one.chunk(3, 5).buckets == other.chunk(3, 5).buckets).all()
    assert (one.chunk(3, 5).outcomes != World(scenario, 8, 600).chunk(3, 5).outcomes).any()


def test_bursts_and_days_keep_the_mean_and_make_the_traffic_uneven() -> None:
    def per_second(load: Load) -> Floats:
        requests: Floats = drawn(Scenario("load", load), 14_400).outcomes.sum(axis=(0, 2)).astype(float)
        return requests

    for load in (Load(20, burst=10, burst_every=30, burst_for=5), Load(20, swing=0.8, day=3600)):
        seconds = per_second(load)
        assert seconds.mean() == pytest.approx(20, rel=0.15)
        assert seconds.var() / seconds.mean() > 5
    even = per_second(Load(20))
    assert even.var() / even.mean() == pytest.approx(1, abs=0.05)


def test_a_cluster_that_sticks_lands_whole_in_one_arm_which_by_the_weight_and_another_is_split() -> None:
    quiet = Failures(rate=0)
    sticky = drawn(Scenario("s", failures=quiet, clusters=(Clusters(every=20, least=30, most=30),)), 14_400, 30)
    errors = sticky.outcomes[:, :, ERROR]
    assert set(np.unique(errors[1]).tolist()) <= {0, 30, 60, 90}
    assert errors.sum() == pytest.approx(30 * 720, rel=0.15)
    assert errors[1].sum() / errors.sum() == pytest.approx(0.3, abs=0.06)
    split = drawn(Scenario("s", failures=quiet, clusters=(Clusters(20, 30, 30, sticky=0),)), 14_400, 30)
    parts = split.outcomes[1, :, ERROR]
    assert parts[parts > 0].mean() == pytest.approx(9, abs=0.5)
    spread = drawn(Scenario("s", failures=quiet, clusters=(Clusters(600, 100, 100, spread=10),)), 14_400, 100)
    assert 5 < spread.outcomes[1, :, ERROR][spread.outcomes[1, :, ERROR] > 0].mean() < 15


def test_outages_and_slow_spells_hit_both_arms_in_the_same_seconds_and_pauses_one_alone() -> None:
    bad = drawn(Scenario("o", failures=Failures(outage_every=30, outage_for=5)), weight=50).outcomes[:, :, ERROR]
    assert np.corrcoef(bad)[0, 1] > 0.7
    slow = drawn(Scenario("l", latency=Latency(spell_every=30, spell_for=5, spell=20)), weight=50)
    late = slow.buckets[:, :, 9:].sum(axis=2)
    assert np.corrcoef(late)[0, 1] > 0.7
    paused = drawn(Scenario("p", latency=Latency(pause=0.1, tail=0)), weight=50)
    late = paused.buckets[:, :, 9:].sum(axis=2)
    assert (late > 10).mean() == pytest.approx(0.1, abs=0.02)
    assert abs(np.corrcoef(late)[0, 1]) < 0.1


def test_latency_has_its_median_a_heavy_tail_and_a_fresh_canary_that_gets_faster() -> None:
    plain = drawn(Scenario("l", latency=Latency(median=0.05, tail=0.1, index=1.1)))
    assert within(plain, 0, 0.05) == pytest.approx(0.45, abs=0.01)
    assert 1 - within(plain, 0, 1.0) == pytest.approx(0.1 * 8**-1.1, abs=0.003)
    warming = drawn(Scenario("w", warm_up=WarmUp(factor=10, seconds=100)), weight=50)
    slow = warming.buckets[:, :, 8:].sum(axis=2)
    assert slow[1, :60].sum() > 20 * max(slow[0, :60].sum(), 1)
    assert slow[1, 1200:].sum() == pytest.approx(slow[0, 1200:].sum(), rel=0.4)


def test_harm_is_the_canarys_alone_begins_when_it_is_to_and_is_counted() -> None:
    harm = Harm(after=900, errors=0.05, slower=2.0, constant=0.9)
    traffic = drawn(Scenario("h", harm=harm), weight=50)
    before, after = traffic.outcomes[:, :900], traffic.outcomes[:, 900:]
    shares = [part[:, :, ERROR].sum(axis=1) / part.sum(axis=(1, 2)) for part in (before, after)]
    assert shares[0] == pytest.approx([0.008, 0.008], abs=0.003)
    assert shares[1] == pytest.approx([0.008, 0.058], abs=0.006)
    first = traffic.scores[:, 900:, 0].sum(axis=1) / traffic.scores[:, 900:].sum(axis=(1, 2))
    assert first[1] > 0.85
    assert first[0] < 0.2
    assert traffic.hurt[:900].sum() == 0
    assert traffic.hurt[900:].sum() == after[1, :, (OK, ERROR)].sum()  # every answer was slower
    errors = drawn(Scenario("e", harm=Harm(errors=0.05)), weight=50)
    answers = errors.outcomes[1][:, (OK, ERROR)].sum()
    assert errors.hurt.sum() == pytest.approx(0.05 * answers)


def told(seen: Prometheus, begin: int, end: int) -> tuple[int, int, int, int]:
    """Answers and errors of stable, and of the canary, as the judge counts them."""
    start, stop = moment(begin), moment(end)
    asked = CountsQuestion(STABLE, CANARY, start, stop)
    predictions = seen.increases(counts.PREDICTIONS, {"loop": LOOP}, start, stop)
    buckets = seen.increases(counts.SECONDS, {"loop": LOOP}, start, stop)
    block = counts.block(asked, predictions, buckets, timedelta(milliseconds=250))
    return block.stable.answers, block.stable.errors, block.canary.answers, block.canary.errors


def truth(world: World, weight: int, begin: int, end: int) -> tuple[int, int, int, int]:
    found: list[int] = []
    chunks = [world.chunk(i, weight).outcomes for i in range(end // CHUNK)]
    for arm in np.concatenate(chunks, axis=1)[:, begin:end].sum(axis=1):
        found += [int(arm[OK] + arm[ERROR]), int(arm[ERROR])]
    return found[0], found[1], found[2], found[3]


def blocks(world: World, weight: int) -> tuple[int, ...]:
    """The sums of all blocks of two seconds."""
    seen = Prometheus(world)
    seen.weight = weight
    found = []
    for second in range(2, world.horizon + 1, 2):
        seen.run_to(second)
        found.append(told(seen, second - 2, second))
    return tuple(sum(part) for part in zip(*found, strict=True))


def test_blocks_add_up_to_the_traffic() -> None:
    world = World(Scenario("plain"), 3, 600)
    assert blocks(world, 20) == truth(world, 20, 0, 600)


def test_restarts_lose_little_where_scrapes_are_frequent_and_nothing_is_counted_twice() -> None:
    world = World(Scenario("r", scraping=Scraping(reset_every=20)), 3, 600)
    assert world.resets.sum() > 30
    counted, real = np.array(blocks(world, 20)), np.array(truth(world, 20, 0, 600))
    assert (counted <= real).all()
    assert (counted >= 0.9 * real).all()


def test_what_is_counted_between_a_rare_scrape_and_a_reset_is_lost_and_never_counted_twice() -> None:
    world = World(Scenario("r", scraping=Scraping(every=15, reset_every=40)), 3, 600)
    seen = Prometheus(world)
    seen.weight = 20
    seen.run_to(600)
    counted, real = told(seen, 0, 600), truth(world, 20, 0, 600)
    assert 0.5 * real[0] < counted[0] < real[0]


def test_an_arm_in_a_gap_shows_nothing_until_it_is_scraped_again_and_then_all() -> None:
    world = World(Scenario("g", scraping=Scraping(gap_every=60, gap_for=20)), 5, 600)
    gaps = world.unscraped
    assert gaps[0].any()
    assert gaps[1].any()
    assert not (gaps[0] & gaps[1]).any()
    begin = int(np.argmax(gaps[1]))
    end = begin + int(np.argmin(gaps[1, begin:]))
    seen = Prometheus(world)
    seen.weight = 50
    seen.run_to(end + 1)
    assert told(seen, begin, end)[2] == 0
    assert told(seen, begin, end)[0] > 0
    assert told(seen, begin, end + 1)[2] == truth(world, 50, begin, 600)[2] - truth(world, 50, end + 1, 600)[2]


def test_the_canary_is_scraped_later_where_it_is_said_and_an_arm_never_scraped_has_no_series() -> None:
    seen = Prometheus(World(Scenario("a", scraping=Scraping(every=15, apart=7)), 1, 60))
    seen.run_to(10)
    assert {s.labels["version"] for s in seen.increases(counts.SCORES, {}, moment(0), moment(10))} == {"2"}
    seen.run_to(60)
    assert seen.scrapes(STABLE, moment(0), moment(60)) == 4
    assert seen.scrapes(CANARY, moment(15), moment(45)) == 2
    assert seen.increases("something_total", {}, moment(0), moment(60)) == ()


def test_labels_come_when_their_kinds_time_is_over_to_the_version_that_answered() -> None:
    kinds = (Truth(0.5, 0, 0.1, 0.1), Truth(0.5, 30, 0.1, 0.4))
    seen = Prometheus(World(Scenario("t", truths=kinds), 1, 120))
    seen.weight = 50
    seen.run_to(60)
    seen.weight = 0
    seen.run_to(120)

    def labelled(version: int, begin: int, end: int) -> tuple[float, float]:
        right, wrong = seen.increases(counts.LABELLED, {"version": str(version)}, moment(begin), moment(end))
        return right.increase + wrong.increase, wrong.increase

    assert labelled(CANARY, 0, 30)[0] == pytest.approx(375, abs=60)
    late = labelled(CANARY, 60, 90)  # of its answers from 30 to 60, after which it had none
    assert late[0] == pytest.approx(375, abs=60)
    assert late[1] / late[0] == pytest.approx(0.4, abs=0.08)
    assert labelled(CANARY, 90, 120) == (0, 0)
    assert labelled(STABLE, 90, 120)[0] == pytest.approx(1500, abs=120)


def test_the_users_own_counters_have_their_shares() -> None:
    seen = Prometheus(World(Scenario("r", ratios=(Ratio("clicks", "shown", 0.3, 0.2),)), 1, 120))
    seen.weight = 50
    seen.run_to(120)
    shares = []
    for version in (STABLE, CANARY):
        part, whole = (
            seen.increases(name, {"version": str(version)}, moment(0), moment(120))[0].increase
            for name in ("clicks_total", "shown_total")
        )
        shares.append(part / whole)
    assert shares == pytest.approx([0.3, 0.2], abs=0.03)


def test_a_canary_that_fails_always_is_rolled_back_for_harm_and_its_victims_are_counted() -> None:
    ending = run(Scenario("all fail", harm=Harm(errors=1)), RolloutSpec(), 1)
    assert (ending.action, ending.cause) == ("rollback", "harm")
    assert ending.seconds <= 20
    assert ending.hurt == pytest.approx(0.992 * ending.answers, rel=0.01)
    assert ending.answers < 100


def test_labels_are_heard_when_their_delay_says_so() -> None:
    worse = Scenario("wrong", truths=(Truth(0.5, 10, 0.1, 0.6),))
    spec = RolloutSpec(steps=(50,), guardrails=Guardrails(quality=Wrong(margin=0.05)))
    ending = run(worse, spec, 1, delay=timedelta(seconds=30))
    assert ending.cause == "harm"
    assert ending.reason.startswith("quality")
    assert 30 < ending.seconds < 60


def test_seeds_end_alike_on_one_processor_and_on_two() -> None:
    scenario, spec = Scenario("quiet", Load(500)), RolloutSpec(steps=(50,))
    endings = runs(scenario, spec, 4)
    assert [e.seed for e in endings] == [0, 1, 2, 3]
    assert {e.action for e in endings} == {"promote"}
    assert runs(scenario, spec, 4, processes=2) == endings


def test_a_rollout_that_convinced_nobody_is_no_harm_found() -> None:
    spec = RolloutSpec(step_timeout=timedelta(seconds=30))
    found = summary([run(Scenario("rare", Load(1)), spec, 1), Ending(2, "none", "", 7200, 0, 0, "")])
    assert (found.harm, found.timeout, found.promoted) == (0, 2, 0)


def test_the_bound_is_the_share_at_which_so_few_would_be_found_with_five_percent() -> None:
    for bad in (0, 4, 100):
        assert binom.cdf(bad, 400, upper(bad, 400)) == pytest.approx(0.05)
    assert upper(400, 400) == 1


def test_the_catalogue_names_every_world_once_and_knows_which_are_harmed() -> None:
    names = [case.name for case in (*catalogue.IDENTICAL, *catalogue.HARMS)]
    assert len(set(names)) == len(names)
    assert not any(case.scenario.harmed for case in catalogue.IDENTICAL)
    assert all(case.scenario.harmed for case in catalogue.HARMS)
