"""What a model card says of features: what the model goes by, and what drift its run was asked for because of."""

from __future__ import annotations

from collections.abc import Iterator

from serinus.drift_words import HEAD, row
from serinus.facts import Origin, Reference
from serinus.render.document import Block, Table


def importance(reference: Reference | None) -> Iterator[Block]:
    """What shuffling each feature costs, the most important first."""
    if reference is None or not reference.importance:
        yield "How much it goes by each feature was not measured."
        return
    yield (
        "What shuffling a feature over the holdout's rows costs of the judged metric (permutation importance, Breiman"
        " 2001), and how far answers move then. Features that say the same share it, or hide it from each other."
    )
    ordered = sorted(reference.importance, key=lambda one: -one.drop)
    yield Table(
        ("Feature", "Cost", "Deviation over the repeats", "Answers move by"),
        tuple(
            (one.name, f"{one.drop:+.4f}", f"{one.error:.4f}", f"{one.moved:.4f}" if one.moved else "nothing: not used")
            for one in ordered
        ),
    )


def asked(origin: Origin | None) -> Iterator[Block]:
    """What its run was asked for; nothing where nobody said."""
    why = origin.why if origin is not None else None
    if why is None or not why.reason:
        return
    yield f"Its run was asked for because: {why.reason}"
    if why.drift:
        yield Table(HEAD, tuple(map(row, why.drift)))
