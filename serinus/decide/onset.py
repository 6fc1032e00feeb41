"""Since when a version has been worse, once it is known that it is."""

from __future__ import annotations

from serinus.facts import QualityFinding, Window
from serinus.stats.figures import LOWER_IS_BETTER


def onset(finding: QualityFinding) -> Window:
    """The stretch of windows that shows the loss: from its most likely beginning to the latest that was judged.

    The beginning is where the sum of what the windows are worse by than the bound, each by how sure it is, is largest
    (Page 1954, "Continuous inspection schemes"). Without a window that can be compared it is the finding's own.
    """
    sign = 1.0 if finding.metric in LOWER_IS_BETTER else -1.0
    bound = finding.verdict.figures.get("bound")
    found, best, total = finding.window, 0.0, 0.0
    for window in reversed(finding.windows):
        measured = window.measured
        if bound is None or measured is None or not window.mature or window.window.end > finding.window.end:
            continue
        total += sign * (measured.value - bound) / max(measured.error, 1e-9) ** 2
        if total > best:
            found, best = Window(window.window.start, finding.window.end), total
    return found
