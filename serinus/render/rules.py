"""What must hold between the fields of a ModelLoop, as CEL rules of its CRD: the API server refuses what breaks them.

Every rule of pydantic that spans fields stands here, in `SPEC`, `BEYOND` or `OPERATORS`; a test goes through them all.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any  # schemas are JSON

from serinus.render.schema import milliseconds
from serinus.spec import BLUE_GREEN, JUDGED, METRICS_OF, NAME
from serinus.spec.ratios import BUILT_IN

Rule = dict[str, Any]


def _rule(rule: str, message: str, field: str = "", shown: str = "") -> Rule:
    """A CEL rule. field: the key that is to blame. shown: a CEL expression of a message that tells what came."""
    made = {"rule": rule, "message": message}
    if shown:
        made["messageExpression"] = shown
    return {**made, "fieldPath": f".{field}"} if field else made


def _one_of(*names: str) -> Rule:
    given = ", ".join(f"has(self.{name}) && dyn(self.{name}) != null" for name in names)
    return _rule(f"[{given}].filter(given, given).size() == 1", f"expected exactly one of {', '.join(names)}")


def _names(values: tuple[str, ...]) -> str:
    return "[" + ", ".join(f"'{value}'" for value in values) + "]"


_METRICS = "{" + ", ".join(f"'{task}': {_names(metrics)}" for task, metrics in METRICS_OF.items()) + "}[self.task]"
_WANTED = (
    "{"
    + ", ".join(f"'{task}': 'expected one of {', '.join(names)} for {task}'" for task, names in METRICS_OF.items())
    + "}"
)
_LEAK = "expected features that are known when a model is asked; take the {} out of data.features"


def _leak(role: str) -> Rule:
    column = f"self.{role}"
    return _rule(
        f"!({column} in self.features.numeric) && !({column} in self.features.categorical)", _LEAK.format(role)
    )


def _set(path: str) -> str:
    """Whether an optional field has a value."""
    return f"(has({path}) && dyn({path}) != null)"


_TRIED = f"self.strategy == 'experiment' && {_set('self.experiment')}"
_JUDGED = "{" + ", ".join(f"'{task}': {_names(metrics)}" for task, metrics in JUDGED.items()) + "}[self.task]"
_HEARD = _set("self.rollout.guardrails.quality")
_COLLECTED = {
    "quality": _set("self.quality"),
    "labels.source": _set("self.labels.source"),
    "data.source.production": _set("self.data.source.production"),
    "drift.confirm": f"{_set('self.drift')} && self.drift.confirm.detector != 'none'",
    "drift.labels": f"{_set('self.drift')} && self.drift.labels",
    "rollout.guardrails.quality": _HEARD,
}
"""What needs predictions to be kept -> whether it is asked for."""

_CPU = "!('cpu' in self) || self['cpu'].matches('^([0-9]*[.])?[0-9]+m?$')"
_MEMORY = "!('memory' in self) || self['memory'].matches('^[0-9]+([MGTPE]|[KMGTPE]i)?$')"
_QUANTITIES = (
    _rule(_CPU, "expected cores for cpu, such as 2, 0.5 or 500m"),
    _rule(_MEMORY, "expected whole bytes for memory, such as 512Mi, 4Gi or 2G"),
)

SPEC: Mapping[str, tuple[Rule, ...]] = {
    "": (
        _rule(
            f"self.validation.metric in {_METRICS}",
            "expected a metric that fits the task",
            "validation.metric",
            f"{_WANTED}[self.task] + ', got ' + self.validation.metric",
        ),
        _rule(
            f"!{_set('self.quality')} || !{_set('self.quality.metric')} || self.quality.metric in {_JUDGED}",
            "expected a metric that can be judged in production for this task",
            "quality.metric",
        ),
        _rule(
            "self.task == 'binary-classification' || !(" + _set("self.validation.fairness") + ")",
            "expected nothing but for binary-classification",
            "validation.fairness",
        ),
        _rule(
            f"self.task != 'regression' || !({_set('self.drift')} && self.drift.labels)",
            "expected false for regression; of classes alone labels are counted by value",
            "drift.labels",
        ),
        _rule(
            f"self.task != 'regression' || !{_HEARD}",
            "expected nothing for regression; only a class is right or wrong",
            "rollout.guardrails.quality",
        ),
        _rule(
            f"!{_HEARD} || {milliseconds('self.labels.delay')} * 2 < {milliseconds('self.rollout.stepTimeout')}",
            "expected less than half of rollout.stepTimeout for rollout.guardrails.quality",
            "labels.delay",
        ),
        *(
            _rule(f"{_set('self.collect')} || !({asked})", "expected `collect` beside it, got none", field)
            for field, asked in _COLLECTED.items()
        ),
    ),
    "data": (
        _rule("self.time != self.label", "expected another column than data.time", "label"),
        _leak("label"),
        _leak("time"),
        _rule(
            f"{milliseconds('self.holdout')} < {milliseconds('self.history')}",
            "expected less than data.history; nothing would be left to train on",
            "holdout",
            "'expected less than data.history, got ' + self.holdout + ' of ' + self.history"
            " + '; nothing would be left to train on'",
        ),
    ),
    "data.source": (_one_of("files", "sql", "python", "production"),),
    "data.features": (
        _rule("self.numeric.size() + self.categorical.size() > 0", "expected at least one feature, got none"),
        _rule("!self.categorical.exists(name, name in self.numeric)", "expected each feature once, not in both lists"),
    ),
    "data.checks.ranges{}": (_rule("self[0] <= self[1]", "expected [lowest, highest]"),),
    "training": (_one_of("estimator", "python"),),
    "training.resources.requests": (
        *_QUANTITIES,
        _rule("self.all(name, name in ['cpu', 'memory'])", "expected cpu and memory; an accelerator goes under limits"),
    ),
    "training.resources.limits": (
        *_QUANTITIES,
        _rule(
            "self.all(name, name in ['cpu', 'memory'] || name.contains('/') && self[name].matches('^[1-9][0-9]*$'))"
            " && self.filter(name, !(name in ['cpu', 'memory'])).size() <= 1",
            "expected cpu, memory and at most one kind of accelerator such as nvidia.com/gpu: '1'",
        ),
    ),
    "training.secrets": (
        _rule(
            "self.all(name, name.matches('^[A-Za-z_][A-Za-z0-9_]*$'))",
            "expected names of environment variables such as DB_PASSWORD",
        ),
    ),
    "serving": (
        _rule("self.minReplicas <= self.maxReplicas", "expected at least serving.minReplicas", "maxReplicas"),
    ),
    "rollout": (
        _rule(
            f"self.strategy != 'shadow' || !{_set('self.guardrails.quality')}",
            "expected nothing for strategy shadow; answers that nobody gets are not labelled",
            "guardrails.quality",
        ),
        _rule(
            f"self.guardrails.ratios.all(each, {milliseconds('each.delay')} * 2 < ({_TRIED}"
            f" ? {milliseconds('self.experiment.horizon')} : {milliseconds('self.stepTimeout')}))",
            "expected less than half of rollout.stepTimeout, or of rollout.experiment.horizon, for every ratio's delay",
            "guardrails.ratios",
        ),
        _rule(
            f"self.strategy != 'experiment' || {_set('self.experiment')}",
            "expected its metric, and the header or cookie that tells users apart; got none",
            "experiment",
        ),
        _rule(
            f"!({_TRIED}) || self.guardrails.ratios.exists(each, each.name == self.experiment.metric)",
            "expected the name of one of guardrails.ratios",
            "experiment.metric",
        ),
        _rule(
            "self.strategy != 'shadow' || self.guardrails.ratios.size() == 0",
            "expected nothing for strategy shadow; what nobody is answered moves no figure",
            "guardrails.ratios",
        ),
    ),
    "rollout.experiment": (_one_of("header", "cookie"),),
    "rollout.steps": (
        _rule(
            f"self == {list(BLUE_GREEN)} || (self.size() > 0 && self.isSorted() && self[0] > 0"
            " && self[self.size() - 1] < 100 && self.all(step, self.exists_one(other, other == step)))",
            f"expected rising percents from 1 to 99 such as [5, 25, 50], or {list(BLUE_GREEN)} for blue/green",
        ),
    ),
    "rollout.guardrails.ratios": (
        _rule(
            f"!self.exists(ratio, ratio.name in {_names(BUILT_IN)})",
            "expected names of their own, none of the guardrails'",
        ),
    ),
    "labels.source": (_one_of("files", "sql", "python"), _one_of("id", "key")),
    "newData": (_one_of("rows", "share"),),
    "drift.retrain": (
        _rule("self.violations <= self.of", "expected at most drift.retrain.of", "violations"),
    ),
}  # fmt: skip
"""Path in the spec -> what must hold there."""

ROOT = (
    _rule(
        f"self.metadata.name.matches('{NAME}')",
        "expected metadata.name of lower case letters, digits and dashes, a letter first, no dash last,"
        " at most 40 characters",
    ),
)

BEYOND: Mapping[str, str] = {
    "spec.data.features": "features of one list are distinct: x-kubernetes-list-type: set",
    "spec.rollout.guardrails.ratios": "ratios have names of their own: x-kubernetes-list-type: map",
}
"""Rules that the schema holds in other words than CEL."""

OPERATORS: Mapping[str, str] = {
    "spec.data.positive": "that only two classes have a positive one: CEL sees no value whose type is open",
    "spec.training.schedule": "whether a cron expression is one is more than a regular expression can say",
}
"""Rules that only the operator checks; it reports them as condition Ready=False with reason InvalidSpec."""

LIMITS: Mapping[str, dict[str, Any]] = {
    "data.time": {"maxLength": 256},
    "data.label": {"maxLength": 256},
    "data.features.numeric": {"maxItems": 1000, "x-kubernetes-list-type": "set"},
    "data.features.categorical": {"maxItems": 500, "x-kubernetes-list-type": "set"},
    "data.features.numeric[]": {"maxLength": 256},
    "data.features.categorical[]": {"maxLength": 256},
    "data.checks.ranges": {"maxProperties": 1000},
    "training.secrets": {"maxProperties": 100},
    "training.resources.requests": {"maxProperties": 10},
    "training.resources.limits": {"maxProperties": 10},
    "training.resources.requests{}": {"maxLength": 64},
    "training.resources.limits{}": {"maxLength": 64},
    "rollout.steps": {"maxItems": 99, "minItems": 1},
    "rollout.guardrails.ratios": {
        "maxItems": 20,
        "x-kubernetes-list-type": "map",
        "x-kubernetes-list-map-keys": ["name"],
    },
    "rollout.guardrails.ratios[].name": {"maxLength": 40},
    "rollout.guardrails.ratios[].labels": {"maxProperties": 20},
    "collect.columns": {"maxItems": 1000},
    "collect.hash": {"maxItems": 1000},
    "drift.falseAlarms": {"maxLength": 64},
    "quality.falseAlarms": {"maxLength": 64},
    "quality.slices": {"maxItems": 20},
    "value.worth": {"minProperties": 1, "maxProperties": 1000},
}
"""Sizes that bound what the rules may cost; far beyond what a loop needs."""
