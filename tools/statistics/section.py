"""What a section of the page is made of."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass

import numpy as np
from matplotlib.axes import Axes

Figures = Mapping[str, Sequence[float]]
"""What a simulation found: named curves or single figures, plain numbers."""


@dataclass(frozen=True)
class Section:
    """One method: `simulate` finds its figures, `draw` plots them; the text names the section by `name`."""

    name: str
    simulate: Callable[[np.random.Generator], Figures]
    draw: Callable[[Axes, Figures], None]

    def found(self) -> Figures:
        """What the simulation finds from the section's own seed."""
        return self.simulate(np.random.default_rng((2026, *self.name.encode())))
