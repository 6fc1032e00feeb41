"""Second looks at drift, on rows instead of bins: one file and one line in `TABLE` each.

All are alibi-detect's, whose licence limits production use (docs/drift.md). None needs PyTorch or TensorFlow.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping

from serinus.detectors.rows import classifier, mmd, tabular
from serinus.detectors.rows.sample import Sample

Detector = Callable[[Sample, Sample], float]
"""`(reference, current) -> p-value` of "both samples come from one distribution": columns of the same names on both
sides, with at least two rows each. The same samples give the same p-value. Takes seconds for 1,000 rows a side.
"""

TABLE: Mapping[str, Detector] = {
    "mmd": mmd.p_value,
    "classifier": classifier.p_value,
    "tabular": tabular.p_value,
}

__all__ = ["TABLE", "Detector", "Sample"]
