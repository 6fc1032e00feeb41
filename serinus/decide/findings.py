"""What is kept of a drift finding: by a ledger, which is small, and by the run that it led to. No mathematics here."""

from __future__ import annotations

from dataclasses import replace

from serinus.drift_words import ranked
from serinus.facts import DriftFinding, Why

SHOWN = 10
"""So many are shown of a run that they led to."""


def why(finding: DriftFinding) -> Why:
    """What a run is asked for that the finding led to: so many distributions at most that a page can show them."""
    return Why(finding.verdict.reason, tuple(ranked(finding.features)[:SHOWN]))


def kept(finding: DriftFinding) -> DriftFinding:
    """What a ledger keeps of the latest finding: the shifts of what drifted."""
    return replace(
        finding, features=tuple(one if one.drifted else replace(one, shift=None) for one in finding.features)
    )


def bare(finding: DriftFinding) -> DriftFinding:
    """What a ledger keeps of a finding once there is a later one: what is decided on."""
    return replace(finding, features=tuple(replace(one, shift=None) for one in finding.features))
