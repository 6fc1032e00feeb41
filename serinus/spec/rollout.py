"""How a new version takes over, and what throws it back."""

from __future__ import annotations

from datetime import timedelta
from typing import Annotated, Literal

from pydantic import Field, field_validator, model_validator

from serinus import durations
from serinus.durations import Duration, PositiveDuration
from serinus.spec.parts import Part
from serinus.spec.ratios import BUILT_IN, Ratio
from serinus.spec.strategies import Experiment, Shadow, Strategy


class Errors(Part):
    """Answers that failed through our own fault (5xx)."""

    enabled: bool = True
    """false switches it off, as null in its place does where it can be written."""
    margin: Annotated[float, Field(gt=0, lt=1)] = 0.01
    """How much larger the canary's share may be."""


class Rejections(Part):
    """Requests that the model's contract refused (4xx): a canary must not refuse what stable answers."""

    enabled: bool = True
    """false switches it off, as null in its place does where it can be written."""
    margin: Annotated[float, Field(gt=0, lt=1)] = 0.02
    """How much larger the canary's share may be."""


class Latency(Part):
    """Answers slower than a threshold."""

    enabled: bool = True
    """false switches it off, as null in its place does where it can be written."""
    threshold: PositiveDuration = timedelta(milliseconds=250)
    """What counts as slow."""
    margin: Annotated[float, Field(gt=0, lt=1)] = 0.02
    """How much larger the canary's share of slow answers may be."""


class Slowdown(Part):
    """How long answers take, compared with stable's at up to three bounds: those of the latency buckets up to which
    nearest to 50, 75 and 90 % of stable's answers lie."""

    enabled: bool = True
    """false switches it off, as null in its place does where it can be written."""
    margin: Annotated[float, Field(gt=0, lt=1)] = 0.05
    """How much larger the canary's share of answers over such a bound may be."""
    above: Duration = timedelta(milliseconds=10)
    """Differences among answers quicker than this are none."""


class Scores(Part):
    """What is answered, compared with stable's answers to the same traffic: the shares of scores on either side of
    stable's median, and within and outside stable's middle half."""

    enabled: bool = True
    """false switches it off, as null in its place does where it can be written."""
    margin: Annotated[float, Field(gt=0, lt=1)] = 0.4
    """How much larger such a share may be; generous, as a version that learned something new scores differently."""


class Wrong(Part):
    """Answers that labels showed to be wrong, of classes. A step takes twice `labels.delay` at least; where no label
    comes in that time, the canary goes on without."""

    margin: Annotated[float, Field(gt=0, lt=1)] = 0.05
    """How much larger the canary's share of wrong answers may be."""


Switched = Errors | Rejections | Latency | Slowdown | Scores


class Guardrails(Part):
    """What a canary must not be worse at; null switches one off."""

    errors: Errors | None = Errors()
    """Failed answers."""
    rejections: Rejections | None = Rejections()
    """Refused requests."""
    latency: Latency | None = Latency()
    """Slow answers."""
    slowdown: Slowdown | None = Slowdown()
    """Answers slower than stable's."""
    scores: Scores | None = Scores()
    """Scores unlike stable's."""
    quality: Wrong | None = None
    """Wrong answers, by labels; needs `collect` and a short `labels.delay`. Unset: labels come too late to tell."""
    ratios: tuple[Ratio, ...] = ()
    """Business figures of your own: clicks of impressions, approvals of requests."""

    @field_validator("errors", "rejections", "latency", "slowdown", "scores")
    @classmethod
    def _off(cls, guardrail: Switched | None) -> Switched | None:
        return guardrail if guardrail is not None and guardrail.enabled else None

    @field_validator("ratios")
    @classmethod
    def _named(cls, ratios: tuple[Ratio, ...]) -> tuple[Ratio, ...]:
        names = [*BUILT_IN, *(ratio.name for ratio in ratios)]
        twice = sorted({name for name in names if names.count(name) > 1})
        if twice:
            raise ValueError(
                f"expected names of their own, none of {', '.join(BUILT_IN)}; got {', '.join(twice)} twice"
            )
        return ratios


BLUE_GREEN = (0, 100)
"""Steps of a rollout that judges nothing beforehand: from nothing to everything once the smoke test has passed."""


class RolloutSpec(Part):
    """How a new version takes over, and what throws it back."""

    strategy: Strategy = "canary"
    """canary: growing shares of the traffic, by `steps`. blueGreen: everything at once when its smoke test has passed.
    shadow: copies of requests, and everything once these have shown that it is safe. experiment: a share of the users,
    and everything once a metric of yours has shown that it is better. `steps` is for canary alone."""
    shadow: Shadow = Shadow()
    """What strategy shadow copies."""
    experiment: Experiment | None = None
    """Which users strategy experiment gives the new version, and what decides."""
    steps: tuple[Annotated[int, Field(ge=0, le=100)], ...] = (5, 25, 50)
    """The canary's share of traffic, in percent, rising; after the last one it gets everything. [0, 100] is blue/green:
    everything at once when its smoke test has passed, and `watch` brings the old champion back."""
    pace: Literal["steps", "adaptive"] = "steps"
    """steps: one of `steps` after the other. adaptive: from the first of them to the last as fast as the evidence
    allows, and back when it does harm, so that few answers are bad meanwhile; to minRequests and stepTimeout all of
    it is one step."""
    min_requests: Annotated[int, Field(ge=1)] = 200
    """A step's smallest exposure of the canary, in answers."""
    step_timeout: PositiveDuration = timedelta(minutes=10)
    """How long a step may take to convince."""
    on_timeout: Literal["rollback", "hold"] = "rollback"
    """What happens when it did not."""
    guardrails: Guardrails = Guardrails()
    """What the canary must not be worse at."""
    false_rollback_rate: Annotated[float, Field(gt=0, lt=0.5)] = 0.01
    """The chance that a canary no worse than allowed is thrown back, over the whole rollout; and, once it was promoted,
    that it is brought down while it is watched."""
    false_promotion_rate: Annotated[float, Field(gt=0, lt=0.5)] = 0.05
    """The chance that a canary worse by a guardrail's margin or more is promoted."""
    warm_up: Duration = timedelta(seconds=5)
    """How long after its first traffic, or after its server came back, a version's answers may be slow without being
    judged by that; at most half of stepTimeout. For a server that compiles or fills caches while it answers it is more
    (our own has done so before), 0s: it is judged at once."""
    watch: Duration = timedelta(minutes=10)
    """After a promotion, how long a broken guardrail still brings the last champion back; as long again at most while
    something speaks against the new one."""
    holdback: Annotated[int, Field(ge=0, le=50)] = 20
    """The percent of the traffic that stays with the last champion meanwhile, to compare with. 0, and always with
    blueGreen: none does, and the new one is compared with what the last one did before; a world that gets worse for
    everybody then looks like its fault."""

    @model_validator(mode="after")
    def _rising(self) -> RolloutSpec:
        rising = all(a < b for a, b in zip((0, *self.steps), self.steps, strict=False))
        if self.steps != BLUE_GREEN and not (self.steps and rising and self.steps[-1] < 100):
            wanted = "expected rising percents from 1 to 99 such as [5, 25, 50], or [0, 100] for blue/green"
            raise ValueError(f"steps: {wanted}, got {list(self.steps)}")
        return self

    @model_validator(mode="after")
    def _labelled(self) -> RolloutSpec:
        if self.strategy == "shadow" and self.guardrails.quality is not None:
            wanted = "expected nothing for strategy shadow; answers that nobody gets are not labelled"
            raise ValueError(f"guardrails.quality: {wanted}")
        return self

    @model_validator(mode="after")
    def _countable(self) -> RolloutSpec:
        for ratio in self.guardrails.ratios:
            if self.strategy == "shadow":
                wanted = "expected nothing for strategy shadow; what nobody is answered moves no figure"
                raise ValueError(f"guardrails.ratios: {wanted}")
            if 2 * ratio.delay >= self.patience():
                limit = "stepTimeout" if self.tried is None else "experiment.horizon"
                wanted = f"expected a delay of less than half of {limit}"
                raise ValueError(f"guardrails.ratios: {ratio.name}: {wanted}, got {durations.render(ratio.delay)}")
        return self

    @model_validator(mode="after")
    def _decidable(self) -> RolloutSpec:
        if self.strategy != "experiment":
            return self
        if self.experiment is None:
            raise ValueError(
                "experiment: expected its metric, and the header or cookie that tells users apart; got none"
            )
        names = [ratio.name for ratio in self.guardrails.ratios]
        if self.experiment.metric not in names:
            known = ", ".join(names) or "none is named"
            wanted = f"expected one of guardrails.ratios ({known})"
            raise ValueError(f"experiment.metric: {wanted}, got {self.experiment.metric!r}")
        return self

    @property
    def tried(self) -> Experiment | None:
        """The experiment, where that is the strategy."""
        return self.experiment if self.strategy == "experiment" else None

    def patience(self, step: int = 0) -> timedelta:
        """How long a step may take to convince; an experiment is one. step: -1 while the new version gets ready."""
        return self.tried.horizon if self.tried is not None and step >= 0 else self.step_timeout

    @property
    def course(self) -> tuple[int, ...]:
        """The percents that a new version goes through: `steps`, or those that the strategy stands for.

        Of a shadow they are the copies that it gets, of an experiment the share of the users.
        """
        if self.tried is not None:
            return (self.tried.percent,)
        match self.strategy:
            case "blueGreen":
                return BLUE_GREEN
            case "shadow":
                return (self.shadow.percent,)
            case _:
                return self.steps

    @property
    def held_back(self) -> int:
        """The percent that stays with the last champion after a promotion: `holdback`, where the strategy has one."""
        return 0 if self.course == BLUE_GREEN or not self.watch else self.holdback

    def place(self, step: int, share: int) -> str:
        """Where a rollout at this step, or at this adaptive share (0: the first), stands; in words."""
        if self.pace == "adaptive" and self.course == self.steps != BLUE_GREEN:
            return f"at {max(share, self.steps[0])} % of at most {self.steps[-1]} %"
        return f"step {step + 1} of {len(self.course)}"
