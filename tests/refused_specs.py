"""What a ModelLoop may not say, each mistake alone: the changes to the short example, and how an API server refuses it.

A key `data__label` is `spec.data.label`; then the path that is to blame, and words of the message.
"""

from __future__ import annotations

from typing import Any

RISING = "expected rising percents from 1 to 99 such as [5, 25, 50], or [0, 100] for blue/green"
CLICKS = {
    "name": "clicks", "numerator": "clicks_total", "denominator": "shown_total", "better": "higher", "margin": 0.05,
}  # fmt: skip
CASES: dict[str, tuple[dict[str, Any], str, str]] = {
    "two sources": (
        {"data__source__sql": {"url": "sqlite://", "query": "SELECT 1"}},
        "spec.data.source", "expected exactly one of files, sql, python",
    ),
    "no source": ({"data__source": {}}, "spec.data.source", "expected exactly one of files, sql, python"),
    "only a null for a source": (
        {"data__source": {"files": None}}, "spec.data.source", "expected exactly one of files, sql, python",
    ),
    "no model": ({"training": {"params": {}}}, "spec.training", "expected exactly one of estimator, python"),
    "two models": ({"training__python": "a:b"}, "spec.training", "expected exactly one of estimator, python"),
    "unknown estimator": (
        {"training__estimator": "oracle"}, "spec.training.estimator",
        "expected one of logistic-regression, hist-gradient-boosting, random-forest",
    ),
    "a variable that no shell knows": (
        {"training__secrets": {"DB-PASSWORD": {"secret": "db", "key": "password"}}}, "spec.training.secrets",
        "expected names of environment variables such as DB_PASSWORD",
    ),
    "cores that are none": (
        {"training__resources": {"requests": {"cpu": "a few"}}}, "spec.training.resources.requests",
        "expected cores for cpu, such as 2, 0.5 or 500m",
    ),
    "half a byte": (
        {"training__resources": {"limits": {"memory": "0.5Gi"}}}, "spec.training.resources.limits",
        "expected whole bytes for memory, such as 512Mi, 4Gi or 2G",
    ),
    "an accelerator that is asked for": (
        {"training__resources": {"requests": {"nvidia.com/gpu": "1"}}}, "spec.training.resources.requests",
        "an accelerator goes under limits",
    ),
    "half an accelerator": (
        {"training__resources": {"limits": {"nvidia.com/gpu": "0.5"}}}, "spec.training.resources.limits",
        "at most one kind of accelerator",
    ),
    "two kinds of accelerators": (
        {"training__resources": {"limits": {"nvidia.com/gpu": "1", "amd.com/gpu": "1"}}},
        "spec.training.resources.limits", "at most one kind of accelerator",
    ),
    "no features": ({"data__features": {}}, "spec.data.features", "expected at least one feature, got none"),
    "a feature twice": (
        {"data__features__numeric": ["age", "age"]}, ".spec.data.features.numeric", "duplicate entries for key",
    ),
    "a feature of both kinds": (
        {"data__features__categorical": ["age"]}, "spec.data.features", "expected each feature once, not in both lists",
    ),
    "the label as a feature": (
        {"data__label": "age"}, "spec.data", "take the label out of data.features",
    ),
    "the time as a feature": (
        {"data__time": "country"}, "spec.data", "take the time out of data.features",
    ),
    "the label as the time": ({"data__label": "time"}, "spec.data.label", "expected another column than data.time"),
    "nothing to train on": (
        {"data__holdout": "9w"}, "spec.data.holdout",
        "expected less than data.history, got 9w of 60d; nothing would be left to train on",
    ),
    "a range the wrong way round": (
        {"data__checks": {"ranges": {"age": [9, 1]}}}, "spec.data.checks.ranges[age]", "expected [lowest, highest]",
    ),
    "a range of one": (
        {"data__checks": {"ranges": {"age": [9]}}}, "spec.data.checks.ranges.age", "should have at least 2 items",
    ),
    "a metric of another task": (
        {"validation__metric": "rmse"}, "spec.validation.metric",
        "expected one of roc_auc, average_precision, log_loss, brier, accuracy, balanced_accuracy, f1"
        " for binary-classification, got rmse",
    ),
    "fewer than the fewest": (
        {"serving": {"minReplicas": 3}}, "spec.serving.maxReplicas", "expected at least serving.minReplicas",
    ),
    "falling steps": ({"rollout": {"steps": [25, 5]}}, "spec.rollout.steps", RISING),
    "a step twice": ({"rollout": {"steps": [5, 5]}}, "spec.rollout.steps", RISING),
    "a step of nothing": ({"rollout": {"steps": [0, 5]}}, "spec.rollout.steps", RISING),
    "a step of everything": (
        {"rollout": {"steps": [5, 100]}}, "spec.rollout.steps", RISING,
    ),
    "no steps": ({"rollout": {"steps": []}}, "spec.rollout.steps", "should have at least 1 items"),
    "labels of answers that nobody got": (
        {"collect": {}, "labels": {"delay": "1m"}, "rollout": {"strategy": "shadow", "guardrails": {"quality": {}}}},
        "spec.rollout.guardrails.quality",
        "expected nothing for strategy shadow; answers that nobody gets are not labelled",
    ),
    "a shadow of nothing": (
        {"rollout": {"shadow": {"percent": 0}}}, "spec.rollout.shadow.percent",
        "should be greater than or equal to 1",
    ),
    "a ratio with a guardrail's own name": (
        {"rollout": {"guardrails": {"ratios": [{**CLICKS, "name": "errors"}]}}}, "spec.rollout.guardrails.ratios",
        "expected names of their own, none of the guardrails'",
    ),
    "two ratios of one name": (
        {"rollout": {"guardrails": {"ratios": [CLICKS, CLICKS]}}}, ".spec.rollout.guardrails.ratios",
        "duplicate entries for key",
    ),
    "a counter that is none": (
        {"rollout": {"guardrails": {"ratios": [{**CLICKS, "numerator": "clicks total"}]}}},
        "spec.rollout.guardrails.ratios[0].numerator", "should match",
    ),
    "a ratio too late for a step": (
        {"rollout": {"guardrails": {"ratios": [{**CLICKS, "delay": "5m"}]}}}, "spec.rollout.guardrails.ratios",
        "expected less than half of rollout.stepTimeout, or of rollout.experiment.horizon, for every ratio's delay",
    ),
    "clicks on answers that nobody got": (
        {"rollout": {"strategy": "shadow", "guardrails": {"ratios": [CLICKS]}}}, "spec.rollout.guardrails.ratios",
        "expected nothing for strategy shadow",
    ),
    "an experiment on nothing": (
        {"rollout": {"strategy": "experiment"}}, "spec.rollout.experiment",
        "expected its metric, and the header or cookie that tells users apart; got none",
    ),
    "an experiment on a figure that nobody counts": (
        {"rollout": {"strategy": "experiment", "experiment": {"metric": "clicks", "header": "x-user"}}},
        "spec.rollout.experiment.metric", "expected the name of one of guardrails.ratios",
    ),
    "users told apart twice": (
        {"rollout": {"experiment": {"metric": "clicks", "header": "x-user", "cookie": "user"}}},
        "spec.rollout.experiment", "expected exactly one of header, cookie",
    ),
    "clicks that come after the horizon": (
        {
            "rollout": {
                "strategy": "experiment", "guardrails": {"ratios": [{**CLICKS, "delay": "1d"}]},
                "experiment": {"metric": "clicks", "header": "x-user", "horizon": "2d"},
            }
        },
        "spec.rollout.guardrails.ratios", "of rollout.experiment.horizon, for every ratio's delay",
    ),
    "labels too late for a step": (
        {"collect": {}, "rollout": {"guardrails": {"quality": {}}, "stepTimeout": "2d"}}, "spec.labels.delay",
        "expected less than half of rollout.stepTimeout for rollout.guardrails.quality",
    ),
    "labels that nobody keeps": (
        {"drift": {"labels": True}}, "spec.drift.labels", "expected `collect` beside it, got none",
    ),
    "classes of a number": (
        {"task": "regression", "validation__metric": "rmse", "collect": {}, "drift": {"labels": True}},
        "spec.drift.labels", "expected false for regression",
    ),
    "right and wrong of a number": (
        {
            "task": "regression", "validation__metric": "rmse", "collect": {}, "labels": {"delay": "1m"},
            "rollout": {"guardrails": {"quality": {}}},
        },
        "spec.rollout.guardrails.quality", "expected nothing for regression; only a class is right or wrong",
    ),
    "more violations than windows": (
        {"drift": {"retrain": {"violations": 6}}}, "spec.drift.retrain.violations", "expected at most drift.retrain.of",
    ),
    "no duration": ({"drift": {"every": "1 h"}}, "spec.drift.every", "should match"),
    "a duration of nothing": (
        {"drift": {"every": "0m"}}, "spec.drift.every", "expected a duration longer than nothing and of at most 36500d",
    ),
    "a duration without end": (
        {"rollout": {"watch": "36501d"}}, "spec.rollout.watch", "expected a duration of at most 36500d",
    ),
    "more held back than given": (
        {"rollout": {"holdback": 51}}, "spec.rollout.holdback", "should be less than or equal to 50",
    ),
    "a bound": ({"validation__confidence": 1}, "spec.validation.confidence", "should be less than 1"),
    "a list for a scalar": ({"data__positive": ["yes"]}, "spec.data.positive", "must have at most 0 items"),
    "a fraction for a label": ({"data__positive": 0.5}, "spec.data.positive", "should be a multiple of 1"),
    "text for a number": ({"rollout": {"minRequests": "200"}}, "spec.rollout.minRequests", "expected numeric"),
    "an unknown key": ({"serving": {"replicas": 3}}, ".spec.serving.replicas", "field not declared in schema"),
    "an unknown kind of resources": (
        {"serving": {"resources": {"request": {}}}}, ".spec.serving.resources.request", "field not declared in schema",
    ),
}  # fmt: skip
