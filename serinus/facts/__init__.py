"""The nouns of Serinus: frozen values without behaviour that touches the world.

Times are timezone-aware UTC datetimes, durations `timedelta`, probabilities in [0, 1], weights whole percents.
"""

from __future__ import annotations

from serinus.facts.looks import AliasMove, Plan, World
from serinus.facts.memory import (
    DriftFinding,
    Event,
    Evidence,
    FeatureDrift,
    Request,
    Rollout,
    RolloutRecord,
    RunRecord,
    Status,
    Watch,
)
from serinus.facts.models import (
    MISSING,
    UNSEEN,
    Alias,
    Bins,
    Contract,
    Dataset,
    Evaluation,
    FeatureKind,
    Field,
    Profile,
    SliceScore,
    Version,
)
from serinus.facts.runs import Cause, RunPhase, RunRequest, RunState
from serinus.facts.traffic import Arm, Block, CountsQuestion, Routing, RoutingState, Series, Variant, VariantState
from serinus.facts.verdicts import Outcome, Verdict, Window

__all__ = [
    "MISSING",
    "UNSEEN",
    "Alias",
    "AliasMove",
    "Arm",
    "Bins",
    "Block",
    "Cause",
    "Contract",
    "CountsQuestion",
    "Dataset",
    "DriftFinding",
    "Evaluation",
    "Event",
    "Evidence",
    "FeatureDrift",
    "FeatureKind",
    "Field",
    "Outcome",
    "Plan",
    "Profile",
    "Request",
    "Rollout",
    "RolloutRecord",
    "Routing",
    "RoutingState",
    "RunPhase",
    "RunRecord",
    "RunRequest",
    "RunState",
    "Series",
    "SliceScore",
    "Status",
    "Variant",
    "VariantState",
    "Verdict",
    "Version",
    "Watch",
    "Window",
    "World",
]
