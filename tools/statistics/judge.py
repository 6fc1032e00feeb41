"""The canary judge: looking often, clumped failures, what is promoted, and the watch."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta

import numpy as np
import numpy.typing as npt
from matplotlib.axes import Axes
from scipy.stats import binom, norm

from serinus.decide import guardrails, watch, wealth
from serinus.facts import Arm, Block, Evidence, Rollout
from serinus.spec import Errors, Guardrails, RolloutSpec
from serinus.stats import difference, sequential
from serinus.stats.sequential import Counts, Rates
from tools.statistics.section import Figures, Section

START = datetime(2026, 1, 1, tzinfo=UTC)
ALPHA = 0.05
RATE, MARGIN = 0.01, Errors().margin


def _only_errors() -> RolloutSpec:
    rails = Guardrails(rejections=None, latency=None, slowdown=None, scores=None)
    return RolloutSpec(guardrails=rails, false_rollback_rate=ALPHA, false_promotion_rate=ALPHA)


def _grown(
    spec: RolloutSpec, known: dict[str, Evidence], number: int, stable: Counts, canary: Counts, seconds: int
) -> dict[str, Evidence]:
    start = START + timedelta(seconds=number * seconds)
    arms = (Arm(answers=c.trials, errors=c.bad) for c in (stable, canary))
    return wealth.absorb(spec, known, Block(start, start + timedelta(seconds=seconds), *arms))


def _by_look(runs: int, ours: npt.NDArray[np.float64], repeated: npt.NDArray[np.float64]) -> Figures:
    """Shares of `runs` in which something was found by each look: by our test, and by one of a single look."""
    return {
        "looks": np.arange(1, ours.size + 1).tolist(),
        "ours": (ours / runs).round(4).tolist(),
        "repeated": (repeated / runs).round(4).tolist(),
    }


def _draw_by_look(axes: Axes, f: Figures, repeated: str, ours: str, promised: str) -> None:
    axes.plot(f["looks"], f["repeated"], label=repeated)
    axes.plot(f["looks"], f["ours"], label=ours)
    axes.axhline(ALPHA, color="black", linewidth=0.8, linestyle=":", label=promised)


def looks(rng: np.random.Generator) -> Figures:
    """A canary worse by exactly the margin: the share of rollouts in which a test has cried wolf by a number of looks.

    Every look adds 400 answers of stable and 100 of the canary.
    """
    runs, many, spec = 200, 200, _only_errors()
    (rail,) = guardrails.active(spec)
    ours, repeated = np.zeros(many), np.zeros(many)
    for _ in range(runs):
        stable, canary = rng.binomial(400, RATE, many), rng.binomial(100, RATE + MARGIN, many)
        known: dict[str, Evidence] = {}
        for look in range(many):
            known = _grown(spec, known, look, Counts(400, int(stable[look])), Counts(100, int(canary[look])), 10)
            if known["errors"].peak_harm >= rail.needed_harm:
                ours[look:] += 1
                break
        n = np.arange(1, many + 1)
        one, other = stable.cumsum() / (400 * n), canary.cumsum() / (100 * n)
        error = np.sqrt((one * (1 - one) / 400 + other * (1 - other) / 100) / n)
        over = (other - one - MARGIN) > norm.ppf(1 - ALPHA) * np.maximum(error, 1e-9)
        repeated += np.maximum.accumulate(over)
    return _by_look(runs, ours, repeated)


def _draw_looks(axes: Axes, f: Figures) -> None:
    _draw_by_look(axes, f, "z-test at 5 %, repeated at each look", "Serinus at 5 %", "promised: 5 %, ever")
    axes.set(xlabel="looks so far", ylabel="share of harmless canaries found harmful", ylim=(0, None))


def clumps(rng: np.random.Generator) -> Figures:
    """Identical arms whose failures, 1 % of all requests, come in clumps that land in one arm: share found harmful."""
    runs, many, spec = 200, 120, _only_errors()
    (rail,) = guardrails.active(spec)
    sizes, ours, without = (1, 3, 10, 30, 100), [], []
    for size in sizes:
        found = np.zeros(2)
        for _ in range(runs):
            events = rng.poisson(RATE * 250 / size, many)
            to_canary = rng.binomial(events, 0.2) * size
            bad = np.stack([(events * size - to_canary), to_canary])
            good = np.stack([rng.poisson(200 * (1 - RATE), many), rng.poisson(50 * (1 - RATE), many)])
            arms = [
                [Counts(int(g + b), int(b)) for g, b in zip(*side, strict=True)] for side in zip(good, bad, strict=True)
            ]
            known: dict[str, Evidence] = {}
            for look, (stable, canary) in enumerate(zip(*arms, strict=True)):
                known = _grown(spec, known, look, stable, canary, 5)
            found += (known["errors"].peak_harm >= rail.needed_harm, _undivided(*arms) >= rail.needed_harm)
        ours.append(found[0] / runs)
        without.append(found[1] / runs)
    return {"sizes": list(sizes), "ours": ours, "without": without}


def _undivided(stable: list[Counts], canary: list[Counts]) -> float:
    """The most that the log e-value of harm reaches when every failure counts as one by itself."""
    wealths, peak, seen, before = sequential.stake(sequential.LIKELY), 0.0, Counts(0, 0), 0
    for s, c in zip(stable, canary, strict=True):
        rate = sequential.baseline(*seen)
        factors = [sequential.log_factor(s, c, a, MARGIN) for a in sequential.harms(rate, MARGIN)]
        wealths = sequential.bet(wealths, factors, before, before + c.trials)
        peak, before = max(peak, sequential.total(wealths)), before + c.trials
        seen = Counts(seen.trials + s.trials, seen.bad + s.bad)
    return peak


def _draw_clumps(axes: Axes, f: Figures) -> None:
    axes.plot(f["sizes"], f["without"], "o-", label="every failure counts as one of its own")
    axes.plot(f["sizes"], f["ours"], "o-", label="Serinus: evidence divided by the clumping")
    axes.axhline(ALPHA, color="black", linewidth=0.8, linestyle=":", label="promised: 5 %")
    axes.set(xlabel="failures that come together", ylabel="share of identical canaries found harmful", xscale="log")


def outcomes(rng: np.random.Generator) -> Figures:
    """Ten minutes at 50 requests a second and 20 % weight, by how much worse the canary is: how it ends."""
    runs, many, spec = 400, 120, _only_errors()
    (rail,) = guardrails.active(spec)
    worse = (0.0, 0.0025, 0.005, 0.0075, 0.01, 0.0125, 0.015, 0.02, 0.03, 0.04)
    promoted, rolled_back = [], []
    for by in worse:
        ends = np.zeros(2)
        for _ in range(runs):
            stable, canary = rng.binomial(200, RATE, many), rng.binomial(50, RATE + by, many)
            known: dict[str, Evidence] = {}
            for look in range(many):
                known = _grown(spec, known, look, Counts(200, int(stable[look])), Counts(50, int(canary[look])), 5)
                harmful = known["errors"].peak_harm >= rail.needed_harm
                if harmful or guardrails.safe_now(known["errors"]) >= rail.needed_safe:
                    ends[int(harmful)] += 1
                    break
        promoted.append(ends[0] / runs)
        rolled_back.append(ends[1] / runs)
    return {"worse": [100 * by for by in worse], "promoted": promoted, "rolled_back": rolled_back}


def _draw_outcomes(axes: Axes, f: Figures) -> None:
    neither = [1 - p - r for p, r in zip(f["promoted"], f["rolled_back"], strict=True)]
    axes.stackplot(
        f["worse"],
        [f["promoted"], neither, f["rolled_back"]],
        labels=["found not worse by the margin", "neither within ten minutes", "found harmful"],
        alpha=0.7,
    )
    axes.axvline(100 * MARGIN, color="black", linewidth=0.8, linestyle=":", label="the margin")
    axes.set(xlabel="canary's error rate less stable's, points", ylabel="share of rollouts", ylim=(0, 1))


def watched(rng: np.random.Generator) -> Figures:
    """The share of good champions that is brought back when everybody fails more often than during the rollout: with a
    share of the traffic held back, and by the past alone.
    """
    runs, times = 200, (1, 1.5, 2, 3, 5)
    spec = _only_errors()

    def shares(held: int) -> list[float]:
        rules = spec.model_copy(update={"holdback": held})
        backs = [[_brought_back(rules, RATE * factor, rng) for _ in range(runs)] for factor in times]
        return [round(sum(back) / runs, 4) for back in backs]

    return {"times": list(times), "ours": shares(spec.holdback), "past": shares(0)}


def _brought_back(spec: RolloutSpec, rate: float, rng: np.random.Generator) -> bool:
    """Whether a watch of ten minutes, a look every ten seconds, ends with the champion before."""
    seen = Counts(4000, int(rng.binomial(4000, RATE)))
    known = _grown(spec, {}, 0, seen, Counts(1000, int(rng.binomial(1000, RATE))), 100)
    now = START + timedelta(seconds=100)
    rollout = Rollout(2, 1, START, 0, START, now, step_answers=1000, evidence=known)
    on, old = watch.start(spec, rollout, now, restarts=0), 5 * spec.holdback
    for _ in range(60):
        counts = [Counts(n, int(rng.binomial(n, rate))) for n in (old, 500 - old)]
        arms = (Arm(answers=c.trials, errors=c.bad) for c in counts)
        block = Block(on.looked_until, on.looked_until + timedelta(seconds=10), *arms)
        on, verdict = watch.look(spec, on, block)
        if verdict.outcome == "fail":
            return True
    return False


def _draw_watched(axes: Axes, f: Figures) -> None:
    axes.plot(f["times"], f["past"], "o--", color="tab:red", label="held to the past alone (holdback 0, blueGreen)")
    axes.plot(f["times"], f["ours"], "o-", color="tab:blue", label="Serinus: worse than then and than beside it now")
    axes.axhline(ALPHA, color="black", linewidth=0.8, linestyle=":", label="promised: 5 % at most")
    axes.set(xlabel="how many times as often as during the rollout everybody fails")
    axes.set(ylabel="share of good champions brought back", ylim=(-0.03, 1.03))


def bound(_: np.random.Generator) -> Figures:
    """How often Clopper and Pearson's upper bound lies under the true rate: exact, by the answers it was made of."""
    sizes = [100, 200, 500, 1000, 2000, 5000, 10_000]
    curves = {}
    for rate in (0.001, 0.01, 0.1):
        missed = []
        for n in sizes:
            most = int(binom.ppf(0.2, n, rate))  # a bound can only be too low where few were bad
            under = [k for k in range(most + 1) if sequential.upper_bound(n, k, ALPHA / 2) < rate]
            missed.append(round(float(binom.cdf(max(under), n, rate)), 5) if under else 0.0)
        curves[f"{100 * rate:g} %"] = missed
    return {"sizes": sizes, **curves}


def _draw_bound(axes: Axes, f: Figures) -> None:
    for name in (name for name in f if name != "sizes"):
        axes.plot(f["sizes"], f[name], "o-", label=f"true rate {name}")
    axes.axhline(ALPHA / 2, color="black", linewidth=0.8, linestyle=":", label="promised: 2.5 % at most")
    axes.set(xlabel="answers of the old champion", ylabel="share of bounds under the truth", xscale="log")
    axes.set_ylim(0, 1.6 * ALPHA / 2)


def effect(rng: np.random.Generator) -> Figures:
    """Two equal versions, 500 users of either a look, a tenth of whom orders: the share of experiments in which a
    difference has been found by a number of looks.
    """
    runs, many, users, rate = 400, 150, 500, 0.1
    ours, repeated = np.zeros(many), np.zeros(many)
    for _ in range(runs):
        counts = rng.binomial(users, rate, (2, many))
        sums: tuple[float, ...] = ()
        for look, (old, new) in enumerate(counts.T.tolist()):
            sums = difference.grown(sums, Counts(users, old), Counts(users, new))
            seen = (look + 1) * users
            rates = Rates(*(sequential.common(seen, int(arm[: look + 1].sum())) for arm in counts))
            least, most = difference.between(sums, rates, ALPHA)
            if not least <= 0 <= most:
                ours[look:] += 1
                break
        one, other = counts.cumsum(axis=1) / (users * np.arange(1, many + 1))
        error = np.sqrt((one * (1 - one) + other * (1 - other)) / (users * np.arange(1, many + 1)))
        repeated += np.maximum.accumulate(abs(other - one) > norm.ppf(1 - ALPHA / 2) * error)
    return _by_look(runs, ours, repeated)


def _draw_effect(axes: Axes, f: Figures) -> None:
    once = "a 95 % interval of one look, looked at again and again"
    _draw_by_look(axes, f, once, "Serinus: the interval that holds at every look", "promised: 5 %")
    axes.set(xlabel="looks", ylabel="share of equal versions told apart", ylim=(0, None))


SECTIONS = (
    Section("looks", looks, _draw_looks),
    Section("clumps", clumps, _draw_clumps),
    Section("outcomes", outcomes, _draw_outcomes),
    Section("watch", watched, _draw_watched),
    Section("bound", bound, _draw_bound),
    Section("effect", effect, _draw_effect),
)
