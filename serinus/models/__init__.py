"""The room of estimators: one file a family and one line in TABLE. How a model is fitted, fed and asked lives here;
where rows come from and how models are kept does not.
"""

from __future__ import annotations

from serinus.models import boosting, forest, linear
from serinus.models.family import Family
from serinus.models.fitting import fit, split
from serinus.models.inputs import Inputs, columns, frame

TABLE: dict[str, Family] = {
    "logistic-regression": linear.FAMILY,
    "hist-gradient-boosting": boosting.FAMILY,
    "random-forest": forest.FAMILY,
}

__all__ = ["TABLE", "Family", "Inputs", "columns", "fit", "frame", "split"]
