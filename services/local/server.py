"""What is known of a predictor's process, and what it is told when it is started."""

from __future__ import annotations

import sys
from dataclasses import dataclass, field
from datetime import timedelta
from pathlib import Path

from serinus import artifact
from serinus.errors import ArtifactError
from serinus.render.collecting import Collector, arguments
from serinus.spec import Collect, ModelLoop
from services.local.addresses import HOST
from services.local.processes import Command, Pace

PORT = "SERINUS_PREDICTOR_PORT"  # in a predictor's environment, for the supervisor after us
MODEL = "SERINUS_PREDICTOR_MODEL"  # digest of the model directory that it was started with
TOLD = "SERINUS_PREDICTOR_COLLECT"  # what it was told of the collector
_DRAIN = 2.0  # seconds a predictor goes on answering after SIGTERM; Envoy has taken it out before


@dataclass(frozen=True)
class Server:
    """One version's, now."""

    version: int
    port: int | None = None
    name: str = ""  # of its process
    told: str = ""  # of the collector, when it was started
    model: str = ""  # digest of its model directory, once that was fetched and verified
    begun: bool = False  # it has a process, or had one that nobody has missed yet
    ready: bool = False
    misses: int = 0
    doing: str = "its model is fetched"
    trouble: str = ""  # why it could not start or ended, until it is ready
    restarts: int = 0
    pace: Pace = field(default_factory=Pace)
    fetch_at: float = 0.0
    ending: float | None = None  # since when
    again: bool = False  # wanted again while it was ending
    heir: Server | None = None  # takes its place once it is ready: the file says something else of the collector now

    @property
    def message(self) -> str:
        """What there is to say of one that is not ready."""
        if self.ready:
            return ""
        return "; ".join(part for part in (self.trouble, self.doing) if part)


def names(version: int) -> tuple[str, str]:
    """What its process is called; the other one is for a process that takes its place."""
    return f"predictor-{version}", f"predictor-{version}-b"


def collecting(collect: Collect | None, url: str) -> list[str]:
    """The predictor's arguments for handing answered rows to the collector at `url`."""
    if collect is None:
        return []
    words = arguments(collect, Collector(url), "local")
    return words + (["--key", collect.key] if collect.key is not None else [])


def command(
    loop: ModelLoop, version: int, port: int, model: str, directory: Path, folder: Path, state: Path, collector: str
) -> Command:
    """How a version's process is started. model: digest of its `directory`. folder: the ModelLoop file's."""
    spec, name = loop.spec, names(version)[0]
    latency = spec.rollout.guardrails.latency
    argv = [
        sys.executable, "-m", "services.predictor",
        "--model-dir", str(directory), "--loop", loop.name, "--version", str(version),
        "--host", HOST, "--port", str(port), "--unseen", spec.serving.unseen_categories,
        "--drain", str(_DRAIN), "--code", str(folder),
    ]  # fmt: skip
    if latency is not None:
        argv += ["--latency-threshold", str(latency.threshold / timedelta(seconds=1))]
    for trusted in spec.training.trust:
        argv += ["--trust", trusted]
    argv += collecting(spec.collect, collector)
    return Command(name, argv, state / "logs" / f"{name}.log", env={PORT: str(port), MODEL: model})


def digest(directory: Path) -> str:
    """Of a model directory that is true to its manifest; "" of any other."""
    try:
        return artifact.verify(directory)
    except (ArtifactError, OSError):
        return ""
