"""Sequential test of two streams of Bernoulli counts, valid at any look and while the common rate wanders.

Counts come in blocks; both arms of a block cover the same time. Each block is bet on with an e-variable for the
composite null on one side of the line `canary = stable + margin`: the likelihood ratio of an alternative, chosen before
the block is seen, to its Kullback-Leibler projection onto that null. Bets multiply into wealth, and while the null is
true wealth is a supermartingale that starts at 1: that it ever reaches 1/alpha has probability alpha at most (Ville).

Sources: Turner, Ly & Gruenwald, "Generic E-variables for exact sequential k-sample tests that allow for optional
stopping" (2021; J. Stat. Planning and Inference 2024); Turner & Gruenwald, "Exact anytime-valid confidence intervals
for contingency tables and beyond" (2023); Herbster & Warmuth, "Tracking the best expert" (1998), for bets that start
late; Clopper & Pearson (1934) for the bound. docs/judge.md has the argument in full.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import NamedTuple

TINY = 1e-9  # alternatives stay this far from 0 and 1: a certain bet would lose all to one surprise
HARMS = 8  # alternatives of `harms`
LIKELY = (0.15, 0.2, 0.3, 0.15, 0.08, 0.05, 0.04, 0.03)
"""Shares of the wealth that is bet on them: most of it on two to five margins, where a find that is a little earlier
saves most bad answers. Harm that is smaller takes long in any case, and for what is larger a request or two make up."""
COMMON = (0.75, 0.15, 0.1)
"""Shares of it that are bet on those of `safes`, where outcomes are not rare: as good as stable, nearly always."""
ASIDE = 0.1  # of the wealth is not bet at first
AFTER = 100  # trials of the canary; what is aside shrinks as 1 / sqrt(1 + trials / AFTER)


class Counts(NamedTuple):
    """What one arm did in a block: `bad` of `trials`, 0 <= bad <= trials."""

    trials: int
    bad: int


class Rates(NamedTuple):
    """A pair of rates of bad outcomes, both in (0, 1)."""

    stable: float
    canary: float


def baseline(trials: int, bad: int) -> float:
    """The stable rate to bet on next, from the blocks so far; a fifth of an outcome in fifty stands in for no data."""
    return (bad + 0.2) / (trials + 50)


def common(trials: int, bad: int) -> float:
    """The same of an outcome that is not rare, and of which much is known (Krichevsky & Trofimov 1981)."""
    return (bad + 0.5) / (trials + 1)


def harms(stable: float, margin: float) -> tuple[Rates, ...]:
    """Alternatives "worse by more than `margin`", from half as much again up to total failure; always HARMS of them.

    Their differences are geometric, because what separates them for a test is their ratio. Where stable's rate leaves
    no room for half as much again, they begin in the middle of what room there is.
    """
    first, most = min(1.5 * margin, 1.0), 1 - stable  # no canary is worse by more than `most`
    if most > margin:
        first = min(first, (margin + most) / 2)
    ratio = (1 / first) ** (1 / (HARMS - 1))
    canaries = [_inside(stable + first * ratio**i) for i in range(HARMS)]
    # Where stable fails almost always nothing is worse by the margin; then the alternative's stable rate gives way.
    return tuple(Rates(_inside(min(stable, canary - first)), canary) for canary in canaries)


def safes(stable: float, margin: float) -> tuple[Rates, ...]:
    """Alternatives "not worse by `margin`": as good as stable, a quarter of the margin worse, half as bad."""
    pairs = (stable, stable), (stable, stable + margin / 4), (stable, stable / 2)
    return tuple(Rates(_inside(s), _inside(c)) for s, c in pairs)


def log_factor(stable: Counts, canary: Counts, alternative: Rates, margin: float) -> float:
    """The log e-value of one block for `alternative` against the null on the other side of the margin.

    An alternative over the line canary = stable + margin bets against "canary <= stable + margin", one under it
    against "canary >= stable + margin". A block in which an arm has no trials says nothing: 0.
    """
    a, b = alternative
    if stable.trials == 0 or canary.trials == 0:
        return 0.0
    x = project(stable.trials, canary.trials, alternative, margin)
    y = min(x + margin, 1 - 2**-53)  # rounding may reach 1; a little less only makes the e-value smaller
    return _log_ratio(stable, a, x) + _log_ratio(canary, b, y)


def log_factor_against(counts: Counts, alternative: float, bound: float) -> float:
    """The log e-value of one arm's block for the rate `alternative` against the null "the rate is <= `bound`".

    0 when `alternative` is not over `bound`: there is nothing to bet on.
    """
    return _log_ratio(counts, alternative, bound) if alternative > bound else 0.0


def project(stable_trials: int, canary_trials: int, alternative: Rates, margin: float) -> float:
    """The x whose (x, x + margin) is nearest to `alternative`: minimises n_s KL(a, x) + n_c KL(b, x + margin).

    Both trials > 0. The derivative, times x (1-x) y (1-y) with y = x + margin, is a cubic that rises through 0 exactly
    once between each arm's own optimum, a and b - margin; Newton's method finds it, bisection catches what it throws
    out of that bracket.
    """
    (a, b), n, k = alternative, stable_trials, canary_trials
    low, high = max(min(a, b - margin), 0.0), min(max(a, b - margin), 1 - margin)
    pull, push = n / (a * (1 - a)), k / (b * (1 - b))
    x = (pull * a + push * (b - margin)) / (pull + push)  # exact for normal outcomes; near enough to start with
    for _ in range(100):  # pragma: no branch - four or five rounds do, 13 were the most seen
        if not low < x < high:
            x = (low + high) / 2
        y = x + margin
        u, v = x * (1 - x), y * (1 - y)
        value = n * (x - a) * v + k * (y - b) * u
        low, high = (x, high) if value < 0 else (low, x)
        slope = n * (v + (x - a) * (1 - 2 * y)) + k * (u + (y - b) * (1 - 2 * x))
        step = value / slope if slope > 0 else math.inf
        x -= step
        if abs(step) <= 1e-9 * min(u, v) or high - low <= 1e-15 * high:
            break  # the next step, the square of this one, would no longer show
    return x


def stake(shares: Sequence[float]) -> tuple[float, ...]:
    """Logs of a wealth of 1 before the first bet: parts in proportion to `shares`, and the part kept aside."""
    whole = math.fsum(shares)
    return (*(math.log((1 - ASIDE) * share / whole) for share in shares), math.log(ASIDE))


def tempered(factor: float, before: float, now: float) -> float:
    """A block's log factor where outcomes are clumped `before` times as much as chance explains, and `now` with it.

    Both at least 1. A root of an e-value is one (Jensen), if the root is chosen before the block is seen; what speaks
    for the alternative may shrink further by what the block itself shows. So it is one whatever the dispersions are.
    """
    return factor / (before if factor < 0 else max(before, now))


def bet(
    wealth: Sequence[float], factors: Sequence[float], before: int, after: int, most: float = math.inf
) -> tuple[float, ...]:
    """Wealth after a block: each part times its factor; then some of what is aside joins the bets for the next one.

    wealth: logs, one for each factor and at last the part aside. before, after: the canary's trials until this block
    without and with it. A share of what is aside joins as trials go by, so that harm that begins after an hour is bet
    on with little loss, instead of having to earn back all that an hour's good answers cost.
    most: the largest log factor that counts. A smaller e-value is one still, and a single block, in which one arm may
    just have stood still for a moment, then cannot decide alone.
    """
    grown = [w + min(f, most) for w, f in zip(wealth[:-1], factors, strict=True)]
    aside = wealth[-1]
    kept = math.sqrt((AFTER + before) / (AFTER + after))
    if kept == 1:
        return (*grown, aside)
    joining = aside + math.log1p(-kept) - math.log(len(grown))
    return (*(max(g, joining) + math.log1p(math.exp(-abs(g - joining))) for g in grown), aside + math.log(kept))


def limited(wealth: Sequence[float], most: float) -> tuple[float, ...]:
    """Wealth of which so much is thrown away that its log is `most` at most."""
    over = max(0.0, total(wealth) - most)
    return tuple(part - over for part in wealth)


def total(wealth: Sequence[float]) -> float:
    """The log of all wealth: the log e-value of the mixture, valid at any look."""
    return _log_sum(wealth)


def mean(logs: Sequence[float]) -> float:
    """The log of the mean of e-values given by their logs: one itself, however they hang together."""
    return _log_sum(logs) - math.log(len(logs))


def upper_bound(trials: int, bad: int, miss: float) -> float:
    """The Clopper-Pearson bound that a rate exceeds with probability `miss` at most; 1 when all trials were bad."""
    if bad >= trials:
        return 1.0
    from scipy.special import betaincinv

    return float(betaincinv(bad + 1, trials - bad, 1 - miss))


def _log_ratio(counts: Counts, chosen: float, null: float) -> float:
    bad, good = counts.bad, counts.trials - counts.bad
    return bad * math.log(chosen / null) + good * math.log1p((null - chosen) / (1 - null))


def _log_sum(logs: Sequence[float]) -> float:
    top = max(logs)
    return top + math.log(math.fsum(math.exp(v - top) for v in logs))


def _inside(rate: float) -> float:
    return min(max(rate, TINY), 1 - TINY)
