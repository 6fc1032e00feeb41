"""What a model card says of a version's limits: what it has not seen, refuses, and is worst at. Pure."""

from __future__ import annotations

from collections.abc import Iterator, Sequence

from serinus.facts import Condition, Contract, Papers
from serinus.render.document import figure, when

_WORST = 3  # slices and regions that are named


def limits(papers: Papers) -> Iterator[str]:
    """Sentences about what a version is not good for, as far as its papers know."""
    contract, judged = papers.contract, papers.evaluation
    rows = contract.dataset
    yield (
        f"It learned from {when(rows.window.start)} to {when(rows.window.end)}: of other seasons, places or policies"
        " than were in these rows, nothing is known."
    )
    strict = [each.name for each in contract.fields if not each.nullable]
    if strict:
        yield f"It refuses rows in which one of these is null, since training saw none: {', '.join(strict)}."
    yield from _ranges(contract)
    if judged is not None and judged.slices:
        sign = -1 if judged.higher_is_better else 1
        worst = sorted(judged.slices, key=lambda each: sign * each.candidate, reverse=True)[:_WORST]
        named = (f"{each.column} = {each.value} ({figure(each.candidate)}, {each.rows} rows)" for each in worst)
        yield f"Its {judged.metric} is worst for {', '.join(named)}."
    if papers.reference is not None and papers.reference.regions:
        hardest = sorted(papers.reference.regions, key=lambda each: each.loss, reverse=True)[:_WORST]
        named = (f"{_where(each.conditions)} ({each.rows} rows, loss {figure(each.loss)})" for each in hardest)
        yield f"Of its holdout it finds hardest: {'; '.join(named)}."
    yield "Its figures are of the past. How good it is now is measured in production, once the truth is known."


def _ranges(contract: Contract) -> Iterator[str]:
    known = {each.name: each for each in contract.profile.features}
    numbers = [
        f"{each.name} ({each.edges[0]:g} to {each.edges[-1]:g})"
        for each in known.values()
        if each.kind == "numeric" and len(each.edges) > 1
    ]
    if numbers:
        yield f"Most of its rows lay between these values, beyond them it extrapolates: {', '.join(numbers)}."
    texts = [f"{each.name} ({len(each.categories)})" for each in known.values() if each.kind == "categorical"]
    if texts:
        yield f"It knows so many values of these, and takes any other as unseen: {', '.join(texts)}."


def _where(conditions: Sequence[Condition]) -> str:
    return " and ".join(map(_condition, conditions)) or "all rows"


def _condition(each: Condition) -> str:
    if each.categories:
        said = f"{each.name} in {{{', '.join(each.categories)}}}"
    elif each.low is not None and each.high is not None:
        said = f"{each.low:g} < {each.name} <= {each.high:g}"
    elif each.low is not None:
        said = f"{each.name} > {each.low:g}"
    elif each.high is not None:
        said = f"{each.name} <= {each.high:g}"
    else:
        return f"{each.name} is null" if each.missing else each.name
    return f"{said} or null" if each.missing else said
