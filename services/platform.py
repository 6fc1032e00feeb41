"""What a control-plane process on Kubernetes is told about its surroundings: one environment, read in one place.

The chart sets these variables for the operator, and the operator hands them on to the jobs it makes.
"""

from __future__ import annotations

import os
from collections.abc import Mapping
from dataclasses import dataclass, fields
from datetime import timedelta
from typing import Literal

from serinus import durations
from serinus.errors import Fatal
from serinus.render.collecting import Collector
from serinus.spec import ModelLoop

Mode = Literal["Standard", "Knative"]
PREFIX = "SERINUS_"


@dataclass(frozen=True)
class Platform:
    """Addresses, images and conventions of one installation; field `x_y` is the variable SERINUS_X_Y."""

    mlflow_url: str  # MLflow's server, as pods reach it
    prometheus_url: str
    kfp_url: str  # Kubeflow Pipelines' API; with a scheme
    kfp_namespace: str = ""  # multi-user: the profile's namespace that runs belong to; "": standalone
    kfp_token_path: str = ""  # multi-user: file of the projected token for audience pipelines.kubeflow.org
    collector_url: str = ""  # the collector, as pods reach it; "": there is none
    collector_token_path: str = ""  # file of the projected token for audience serinus-collector; "": it asks for none
    serving_mode: Mode = "Standard"
    gateway: str = "kserve/kserve-ingress-gateway"  # namespace/name of the Gateway that routes hang on
    domain: str = "models.local"  # a loop answers at {loop}.{namespace}.{domain}
    scrape_interval: str = "30s"  # of Prometheus, for the predictors
    pipeline_image: str = "serinus/pipeline:0.1.0"
    predictor_image: str = "serinus/predictor:0.1.0"
    control_image: str = "serinus/control:0.1.0"
    image_pull_policy: str = "IfNotPresent"
    watch_namespace: str = ""  # "": every namespace
    pod_namespace: str = "serinus"  # where the operator itself runs (its Lease)

    @property
    def scrape(self) -> timedelta:
        """`scrape_interval` as a duration."""
        return durations.parse(self.scrape_interval)

    @property
    def collector(self) -> Collector | None:
        """Where the collector is, if there is one."""
        return Collector(self.collector_url, self.collector_token_path) if self.collector_url else None

    def beyond(self, loop: ModelLoop) -> tuple[str, ...]:
        """What the loop's spec asks for and no look at it could bring about here, a sentence each."""
        match loop.spec.rollout.strategy, self.serving_mode:
            case "experiment", _:
                why = "the Gateway API has no word for keeping a user with one version"
                return (f"spec.rollout.strategy: expected another one than experiment on Kubernetes, as {why}",)
            case "shadow", "Knative":
                wanted = "expected canary or blueGreen on Knative, which copies no requests"
                return (f"spec.rollout.strategy: {wanted}; got shadow",)
            case _:
                return ()

    def environment(self) -> dict[str, str]:
        """The variables that `from_environment` reads back as this value."""
        return {PREFIX + f.name.upper(): getattr(self, f.name) for f in fields(self) if getattr(self, f.name)}


def from_environment(environment: Mapping[str, str] = os.environ) -> Platform:
    """The platform as the environment says. Raises Fatal that names every variable that lacks or is wrong."""
    given = {f.name: environment.get(PREFIX + f.name.upper(), "") for f in fields(Platform)}
    needed = ("mlflow_url", "prometheus_url", "kfp_url")
    problems = [
        f"expected {PREFIX + name.upper()} in the environment, got nothing" for name in needed if not given[name]
    ]
    if given["serving_mode"] not in ("", "Standard", "Knative"):
        problems.append(f"SERINUS_SERVING_MODE: expected Standard or Knative, got {given['serving_mode']!r}")
    try:
        durations.parse(given["scrape_interval"] or "30s")
    except ValueError as error:
        problems.append(f"SERINUS_SCRAPE_INTERVAL: {error}")
    if problems:
        raise Fatal("\n".join(problems))
    return Platform(**{name: value for name, value in given.items() if value})  # type: ignore[arg-type]
