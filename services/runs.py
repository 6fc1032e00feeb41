"""Pipeline runs of a loop on a cluster, for whoever makes them: the operator, and the drift job."""

from __future__ import annotations

from functools import lru_cache
from pathlib import Path
from typing import TYPE_CHECKING

from serinus.ports import Runner
from serinus.render import pipeline
from serinus.spec import ModelLoop
from services.platform import Platform

if TYPE_CHECKING:
    from serinus.adapters.mlflow import MlflowRegistry

PIPELINE = Path(__file__).resolve().parents[1] / "pipelines" / "compiled" / "training.yaml"


@lru_cache(maxsize=1)
def compiled() -> str:
    """The compiled pipeline that all loops' pipelines are made from."""
    return PIPELINE.read_text(encoding="utf-8")


def runner(platform: Platform, loop: ModelLoop, registry: MlflowRegistry) -> Runner:
    """A runner that makes runs of `loop`; rendering its pipeline takes a tenth of a second."""
    from serinus.adapters.kfp_api import KfpRunner

    training = loop.spec.training
    text = pipeline.render(
        compiled(), training, platform.pipeline_image, platform.image_pull_policy, production(platform, loop)
    )
    return KfpRunner(
        platform.kfp_url, text, platform.mlflow_url, platform.kfp_namespace, platform.kfp_token_path,
        training.deadline, registry.reason, training.service_account, refuse=registry.refuse,
    )  # fmt: skip


def production(platform: Platform, loop: ModelLoop) -> pipeline.Production | None:
    """What a run of a loop needs that learns from its own production; None for others, and where nothing is kept."""
    if loop.spec.data.source.production is None or platform.collector is None:
        return None
    return pipeline.Production(platform.collector, multi_user=bool(platform.kfp_namespace))
