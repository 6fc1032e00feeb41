"""How clumped the bad outcomes of two arms are, beyond what chance explains: the variance of their difference over what
independent requests would give it (Pearson's dispersion of a quasi-likelihood).

One client that fails thirty times is one accident, not thirty; a test that takes it for thirty finds harm where none
is. Failures that both arms share, as of a bad upstream, cancel in the difference and are no clump. A difference that
stays, which is what harm is, cancels between successive blocks. Both blocks and runs of four of them are looked at,
since a clump may take some seconds to arrive.

Sources: Wedderburn, "Quasi-likelihood functions, generalized linear models, and the Gauss-Newton method" (1974);
McCullagh & Nelder, "Generalized Linear Models" (1989), 4.5; von Neumann, "Distribution of the ratio of the mean square
successive difference to the variance" (1941).
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import NamedTuple

from serinus.stats.sequential import Counts, Rates

SPANS = (1, 4)  # blocks that are looked at as one
PRIOR = 20.0  # variance of independent outcomes that is taken for seen at the start: a few failures tell nothing
CHANCE = 2.0  # what is measured below is what chance makes of few failures, and counts as 1


class _Span(NamedTuple):
    """What is kept of one span of blocks."""

    squares: float = 0.0  # sum of half of the squared successive differences
    variance: float = 0.0  # what these would be if requests failed independently
    last: float = 0.0  # the last whole span: its difference
    expected: float = -1.0  # and that one's variance; negative when there was none
    difference: float = 0.0  # of the span under way
    under_way: float = 0.0  # and its variance


def grown(memory: Sequence[float], blocks: int, stable: Counts, canary: Counts, rates: Rates) -> tuple[float, ...]:
    """The memory (empty at the start) after one more block, in which both arms have trials.

    blocks: how many there were before. rates: of bad outcomes in each arm as known with this block.
    """
    share = canary.trials / (stable.trials + canary.trials)
    # Of what was not expected: where one arm fails more, the difference follows the traffic, which is no clump.
    more, less = (canary.bad - canary.trials * rates.canary), (stable.bad - stable.trials * rates.stable)
    difference = (1 - share) * more - share * less
    variance = (1 - share) ** 2 * _variance(canary, rates.canary) + share**2 * _variance(stable, rates.stable)
    after = (
        _grown(span, difference, variance, whole=(blocks + 1) % size == 0)
        for span, size in zip(_spans(memory), SPANS, strict=True)
    )
    return tuple(figure for span in after for figure in span)


def dispersion(memory: Sequence[float]) -> float:
    """At least 1: by how much the variance of the difference exceeds that of independent outcomes."""
    most = max((span.squares + PRIOR) / (span.variance + PRIOR) for span in _spans(memory))
    return most if most >= CHANCE else 1.0


def _spans(memory: Sequence[float]) -> list[_Span]:
    size = len(_Span._fields)
    return [_Span(*memory[i * size : (i + 1) * size]) for i in range(len(SPANS))]


def _grown(span: _Span, difference: float, variance: float, *, whole: bool) -> _Span:
    d, v = span.difference + difference, span.under_way + variance
    if not whole:
        return span._replace(difference=d, under_way=v)
    if span.expected < 0:
        return _Span(last=d, expected=v)
    return _Span(span.squares + (d - span.last) ** 2 / 2, span.variance + (v + span.expected) / 2, d, v)


def _variance(counts: Counts, rate: float) -> float:
    return counts.trials * rate * (1 - rate)
