"""Kubeflow Pipelines' stand-in with runs that do nothing but end as a test says, and what they leave in MLflow."""

from __future__ import annotations

import json
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from unittest import mock

from serinus.adapters import kfp_local_folder as files
from serinus.adapters import mlflow_entities as entities
from serinus.adapters.mlflow_entities import TRIGGER
from tests.standins.kfp import execution
from tests.standins.kfp.server import Server, serving


@dataclass
class Training:
    """The stand-in, and the hands that play its pipeline's steps."""

    server: Server
    mlflow_url: str

    @property
    def keys(self) -> list[str]:
        """Of all runs, oldest first."""
        return [key for key, _ in self._runs()]

    def publish(self, loop: str, trigger: str = "by-hand") -> int:
        """Register a version, as the pipeline's last step does, but for the model itself; its number."""
        from mlflow.tracking import MlflowClient

        client = MlflowClient(self.mlflow_url, self.mlflow_url)
        entities.or_none("RESOURCE_ALREADY_EXISTS", lambda: client.create_registered_model(loop))
        made = client.create_model_version(
            loop, source="s3://nowhere/model", tags={TRIGGER: trigger}, await_creation_for=0
        )
        client.set_registered_model_alias(loop, "challenger", made.version)
        return int(made.version)

    def finish(self, key: str, loop: str) -> int:
        """The run ends well and has registered a version; its number."""
        number = self.publish(loop, key)
        self._end(key, files.End("succeeded", datetime.now(UTC)))
        return number

    def fail(self, key: str) -> None:
        """The run fails."""
        self._end(key, files.End("failed", datetime.now(UTC), "train", "out of memory"))

    def _end(self, key: str, how: files.End) -> None:
        for name, run in self._runs():
            if name == key:
                files.finish(run, how)

    def _runs(self) -> list[tuple[str, Path]]:
        found = []
        for path in (self.server.backend.folder / "runs").glob("*/api.json"):
            kept = json.loads(path.read_text())
            found.append((kept["created_at"], kept["display_name"], path.parent))
        return [(name, run) for _, name, run in sorted(found)]


@contextmanager
def training(folder: Path, mlflow_url: str) -> Iterator[Training]:
    """One that serves until the block ends."""

    def begin(run: Path, pipeline: str, *_: object) -> None:
        (run / "pipeline.yaml").write_text(pipeline)

    with mock.patch.object(execution, "start", begin), serving(folder) as server:
        yield Training(server, mlflow_url)
