"""How the evidence about a guardrail grows by one more block, in a rollout and in the watch after it."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import replace

from serinus.decide import cuts, guardrails
from serinus.decide.guardrails import Guardrail, known
from serinus.facts import Block, Evidence
from serinus.spec import RolloutSpec
from serinus.stats import difference, dispersion, sequential
from serinus.stats.sequential import Counts, Rates

Trail = tuple[tuple[float, float], ...]
"""(seconds since the epoch, log of the mixture for harm), oldest first."""

A_BLOCK = 0.5
"""Of the evidence that decides, what one block may bring. A version that alone stood still for a second (a pause for
garbage, a disk) is slow or failing in one block; without the limit 13 % of simulated good canaries with such seconds
were thrown back, with it none of 60."""

A_SPAN = 0.95
SPAN = 10.0
"""And what the blocks of so many seconds may bring: a client that fails for some seconds, and stays with the arm it was
sent to first, is an accident too. Harm goes on for longer."""

SEVERE, FEW = 0.15, 5
A_BURST = 2 / 3
BURST = 15.0
"""And what those of so many seconds may, where more than FEW of a block's requests to the canary went wrong, and more
than that share of them: a client that fails a hundred times looks like a version that fails always, until it is over.
Without the limit 2 % of simulated good canaries with such clients (ten seconds each) were thrown back, with it 0.7 %.
Harm that is less plain is slower to show, and is not held up."""


def absorb(spec: RolloutSpec, evidence: Mapping[str, Evidence], block: Block) -> dict[str, Evidence]:
    """`evidence` with one more block in it, for the guardrails that are on; the others keep what they had."""
    grown = {g.name: (_family if g.family else _grow)(g, known(g, evidence), block) for g in guardrails.active(spec)}
    return {**evidence, **grown}


def watched(guardrail: Guardrail, evidence: Mapping[str, Evidence], block: Block) -> Evidence:
    """A watch's evidence with one more block: the new champion's counts against a bound on the old one's rate.

    The bound is Clopper-Pearson's at half of the guardrail's alpha, plus the margin; the other half is the test's. How
    clumped outcomes are is known from the rollout: with one arm alone a clump cannot be told from a worse time.
    """
    g, before = guardrail, evidence.get(guardrail.name, Evidence())
    if before.stable_trials == 0 or before.terms[: len(g.where)] != g.where:
        return Evidence()  # how often the old champion did this was not seen, so nothing can be held to it
    if g.family is not None:
        members = g.members(before.cuts or ())
        parts = [watched(m, {m.name: part}, block) for m, part in zip(members, before.parts, strict=True)]
        return guardrails.whole(before, parts)
    rate = sequential.upper_bound(before.stable_trials, before.stable_bad, g.alpha / 2)
    bound = min(rate + g.margin, 1.0)
    if before.terms != (*g.terms, bound):
        before = Evidence(before.stable_trials, before.stable_bad, terms=(*g.terms, bound), clumps=before.clumps)
    counts = _clamped(g.count(block.canary))
    clumped = dispersion.dispersion(before.clumps)
    factors = [
        sequential.tempered(sequential.log_factor_against(counts, a.canary, bound), clumped, clumped)
        for a in sequential.harms(rate, g.margin)
    ]
    after = replace(
        before, canary_trials=before.canary_trials + counts.trials, canary_bad=before.canary_bad + counts.bad
    )
    return _harm(g, before, after, factors, block)


def _grow(guardrail: Guardrail, before: Evidence, block: Block) -> Evidence:
    """One more block: bets are on what was known before it.

    Evidence of harm is divided by how clumped outcomes are. Evidence of safety is not: a world of rare clumps would
    have to be watched for hours before anything could be said of it, and no version would ever be let in.
    """
    g = guardrail
    stable, canary = _clamped(g.count(block.stable)), _clamped(g.count(block.canary))
    after = replace(
        before,
        stable_trials=before.stable_trials + stable.trials,
        stable_bad=before.stable_bad + stable.bad,
        canary_trials=before.canary_trials + canary.trials,
        canary_bad=before.canary_bad + canary.bad,
    )
    if not (stable.trials and canary.trials):
        return after  # nothing to compare: it teaches rates
    likely = sequential.baseline if g.rare else sequential.common
    rates = Rates(likely(after.stable_trials, after.stable_bad), likely(after.canary_trials, after.canary_bad))
    clumps = dispersion.grown(before.clumps, before.blocks, stable, canary, rates)
    after = replace(after, blocks=before.blocks + 1, clumps=clumps, sums=difference.grown(before.sums, stable, canary))
    rate = likely(before.stable_trials, before.stable_bad)
    was, now = dispersion.dispersion(before.clumps), dispersion.dispersion(after.clumps)
    harm = [
        sequential.tempered(sequential.log_factor(stable, canary, a, g.margin), was, now)
        for a in sequential.harms(rate, g.margin)
    ]
    bets = sequential.safes(rate, g.margin)
    safe = sequential.bet(
        before.log_safe or sequential.stake([1] * len(bets) if g.rare else sequential.COMMON),
        [sequential.log_factor(stable, canary, a, g.margin) for a in bets],
        before.canary_trials,
        after.canary_trials,
        most=A_BLOCK * g.needed_safe,
    )
    return _harm(g, before, replace(after, log_safe=safe), harm, block)


def _family(guardrail: Guardrail, before: Evidence, block: Block) -> Evidence:
    """One more block of a distribution: stable's first outcomes choose the cuts, and those after them are compared."""
    g = guardrail
    if g.family is None or before.cuts is not None:
        members = g.members(before.cuts or ())
        return guardrails.whole(before, [_grow(m, p, block) for m, p in zip(members, before.parts, strict=True)])
    shape = cuts.merged(before.shape, g.family.bins(block.stable))
    seen = sum(count for _, count in shape)
    if seen < cuts.ENOUGH:
        return replace(before, shape=shape, stable_trials=seen)
    found = cuts.chosen(g.family, shape)
    members, stable = g.members(found), g.family.arm(shape)
    parts = tuple(Evidence(seen, m.count(stable).bad, terms=m.terms) for m in members)
    return replace(before, shape=(), stable_trials=seen, cuts=found, parts=parts)


def _harm(guardrail: Guardrail, before: Evidence, after: Evidence, factors: Sequence[float], block: Block) -> Evidence:
    """`after` with the evidence of harm that `before` had, grown by `factors` as far as a block and a span may."""
    g, end = guardrail, block.end.timestamp()
    wealth = sequential.bet(
        before.log_harm or sequential.stake(sequential.LIKELY),
        factors,
        before.canary_trials,
        after.canary_trials,
        most=A_BLOCK * g.needed_harm,
    )
    recent = _since(before.recent or ((block.start.timestamp(), 0.0),), end - BURST)
    trials, bad = after.canary_trials - before.canary_trials, after.canary_bad - before.canary_bad
    burst = g.bursts and bad > max(SEVERE * trials, FEW)
    base, most = (recent[0][1], A_BURST) if burst else (_since(recent, end - SPAN)[0][1], A_SPAN)
    wealth = sequential.limited(wealth, base + most * g.needed_harm)
    now = sequential.total(wealth)
    return replace(after, log_harm=wealth, peak_harm=max(before.peak_harm, now), recent=(*recent, (end, now)))


def _since(recent: Trail, begin: float) -> Trail:
    """From the latest point that is not after `begin` on; from the first one where there is none."""
    while len(recent) > 1 and recent[1][0] <= begin:
        recent = recent[1:]
    return recent


def _clamped(counts: Counts) -> Counts:
    """Two counters scraped a moment apart may disagree by a request; more bad ones than trials is none of them."""
    return Counts(counts.trials, min(counts.bad, counts.trials))
