"""The room of estimators: one file a family and one line in TABLE. How a model is fitted, fed and asked lives here;
where rows come from and how models are kept does not.
"""

from __future__ import annotations

import os

# scikit-learn's OpenMP threads wait by spinning. When something else wants the cores (predictors beside a training
# step on a small machine) they take them from each other: measured on 2 cores with 3 busy processes, fitting 30,000
# rows takes 44 s, and 1.5 s when waiting threads sleep. Read when scikit-learn is first imported, hence here.
os.environ.setdefault("OMP_WAIT_POLICY", "PASSIVE")

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
