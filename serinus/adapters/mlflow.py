"""The ports Registry, ModelStore and Archive over an MLflow server (3.x).

A loop is a registered model and an experiment of its name. A version's model directory lies in the artifact folder
`model` of the run that `register` makes; its evaluation, origin, rows, rollouts and card lie beside it (papers.py).
What the loop needs of a version is on the version itself, as tags `serinus.*`, so that one look costs one or two
requests.

MLflow's own client does the talking: it knows every way of authentication and every artifact store. It takes 1.1 s to
import (0.7 s beside pandas), hence only when the first question is asked.
"""

from __future__ import annotations

import json
import math
import os
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import replace
from pathlib import Path
from typing import Any

from serinus import artifact, wire
from serinus.adapters import importing, mlflow_papers
from serinus.adapters import mlflow_entities as entities
from serinus.adapters.mlflow_entities import DATASET, DIGEST, METRICS, MODEL, OUTCOME, REASON, STEP, TRIGGER
from serinus.adapters.model_dir import whole
from serinus.errors import Fatal, Unavailable
from serinus.facts import Alias, Contract, Papers, RolloutRecord, Version

_FATAL = ("RESOURCE_DOES_NOT_EXIST", "INVALID_PARAMETER_VALUE", "BAD_REQUEST")


class MlflowRegistry:
    """Model versions on the MLflow server at `uri`.

    timeout: seconds that one request may take.
    retries: how often it is repeated after a failure to connect or a 5xx, at once, then after 2, 4, 8, ... seconds.
    Who looks again anyway keeps the default; a pipeline's step, which has one chance, rides out 30 s with 5.
    Both, and no telemetry, hold for the whole process: MLflow takes them from the environment.
    """

    def __init__(self, uri: str, timeout: float = 10.0, retries: int = 1) -> None:
        self.uri = uri
        self._settings = {
            "MLFLOW_HTTP_REQUEST_TIMEOUT": str(math.ceil(timeout)),
            "MLFLOW_HTTP_REQUEST_MAX_RETRIES": str(retries),  # MLflow's default of 7 takes minutes
            "MLFLOW_HTTP_REQUEST_BACKOFF_FACTOR": "1",
            "MLFLOW_HTTP_RESPECT_RETRY_AFTER_HEADER": "false",  # else the server says how long we hang
            "MLFLOW_DISABLE_TELEMETRY": "true",
            "MLFLOW_ENABLE_ARTIFACTS_PROGRESS_BAR": "false",
            "MLFLOW_SUPPRESS_PRINTING_URL_TO_STDOUT": "true",
        }
        self._client: Any = None
        # A version's immutable part, by loop: (what changes when a version comes or goes, the versions).
        self._seen: dict[str, tuple[tuple[object, ...], tuple[Version, ...]]] = {}

    # --- Registry ------------------------------------------------------------------------------------------------

    def versions(self, loop: str) -> tuple[Version, ...]:
        """Every registered version of the loop, oldest first, with its aliases.

        One request of 7 ms when no version came or went since the last call, else also a search (0.5 ms a version).
        """
        with self._asking() as client:
            model = entities.or_none("RESOURCE_DOES_NOT_EXIST", lambda: client.get_registered_model(loop))
            if model is None:
                return ()
            if model.name != loop:
                raise Unavailable(f"expected MLflow at {self.uri}, got an answer that is not about {loop}")
            key = (model.last_updated_timestamp, *(v.version for v in model.latest_versions))
            if loop not in self._seen or self._seen[loop][0] != key:
                self._seen[loop] = (key, entities.versions(client, loop))
            names = model.aliases
            return tuple(
                replace(version, aliases=frozenset(name for name in names if int(names[name]) == version.number))
                for version in self._seen[loop][1]
            )

    def alias(self, loop: str, alias: Alias, version: int | None) -> None:
        """Point `alias` at `version`, or take it away. Idempotent. Raises Fatal when there is no such version."""
        with self._asking() as client:
            if version is not None:
                client.set_registered_model_alias(loop, alias, str(version))
                return
            # A loop without a model has no alias either.
            entities.or_none("RESOURCE_DOES_NOT_EXIST", lambda: client.delete_registered_model_alias(loop, alias))

    def record(self, loop: str, record: RolloutRecord) -> None:
        """Keep how a rollout ended with the version, and make its card anew. Idempotent. Raises Fatal when there is no
        such version.
        """
        tags = {
            "serinus.rollout.reason": record.reason,
            "serinus.rollout.stable": "" if record.stable is None else str(record.stable),
            "serinus.rollout.started": record.started.isoformat(),
            "serinus.rollout.ended": record.ended.isoformat(),
            "serinus.rollout.approved_by": record.approved_by,
            OUTCOME: record.outcome,  # last: who sees it finds the rest
        }
        with self._asking() as client:
            version = client.get_model_version(loop, str(record.version))
            if version.run_id:
                mlflow_papers.add_rollout(client, version.run_id, record)
            for key, value in tags.items():
                if value:
                    client.set_model_version_tag(loop, version.version, key, value[: entities.LONGEST_TAG])
            if version.run_id:
                mlflow_papers.write_card(client, loop, record.version)

    # --- ModelStore ----------------------------------------------------------------------------------------------

    def register(
        self,
        loop: str,
        trigger: str,
        model: Path,
        tags: Mapping[str, str],
        metrics: Mapping[str, float],
        extras: Path | None = None,
    ) -> Version:
        """Register the model directory as a new version with alias `challenger`; the same trigger gives the same.

        The version is made last, so whoever sees it can fetch it; a call that was cut short before is taken up again
        by the next one. Raises ArtifactError when the directory is not true to its manifest.
        """
        digest = artifact.verify(model)
        contract = wire.load(Contract, (model / artifact.CONTRACT).read_bytes())
        kept = {**tags, TRIGGER: trigger, DIGEST: digest, DATASET: contract.dataset.version}
        with self._asking() as client:
            if not self._of(loop, trigger):
                # A run that an earlier call made before it was cut short is taken up, if it was for the same model.
                begun = entities.runs(client, loop, trigger, f"tags.`{DIGEST}` = '{digest}'")
                run = begun[0] if begun else entities.begin(client, loop, trigger, kept)
                entities.log_figures(client, run, contract, metrics)
                entities.log_files(client, run, model, extras)
                kept[METRICS] = wire.dump({name: float(value) for name, value in metrics.items()}).decode()
                made = entities.make_version(client, loop, run, kept, contract)
                if made != self._of(loop, trigger)[0].number:  # two calls at once, or an answer was lost: the first one
                    client.delete_model_version(loop, str(made))
            return self._challenge(client, loop, trigger)

    def fetch(self, loop: str, version: int, into: Path) -> Path:
        """Download version `version` to the directory `into` (made whole or not at all), verify it, return it."""
        with self._asking() as client:
            known = client.get_model_version(loop, str(version))
            if not known.run_id:
                raise Fatal(
                    f"{loop}: version {version} has no MLflow run, so it was not registered by a pipeline of ours"
                )

            def download(folder: Path) -> Path:
                return Path(client.download_artifacts(known.run_id, MODEL, str(folder)))

            return whole(into, known.tags.get(DIGEST, ""), download)

    def find(self, loop: str, alias: Alias) -> Version | None:
        """The version that carries `alias`."""
        return next((version for version in self.versions(loop) if alias in version.aliases), None)

    def refuse(self, loop: str, trigger: str, step: str, reason: str) -> None:
        """Keep why the run `trigger` registered nothing, as a failed run in the loop's experiment. The latest word
        counts.
        """
        said = {STEP: step, REASON: reason, "mlflow.note.content": f"{step}: {reason}"}
        with self._asking() as client:
            present = entities.runs(client, loop, trigger, f"tags.`{STEP}` LIKE '%'")
            run = present[0] if present else entities.begin(client, loop, trigger, {TRIGGER: trigger, **said})
            for key, value in said.items():
                client.set_tag(run, key, value[: entities.LONGEST_TAG])
            client.set_terminated(run, "FAILED")

    def reason(self, loop: str, trigger: str) -> tuple[str, str] | None:
        """(step, reason) that `refuse` kept for the run `trigger`."""
        with self._asking() as client:
            for run in entities.runs(client, loop, trigger, f"tags.`{STEP}` LIKE '%'"):
                tags = client.get_run(run).data.tags
                return tags[STEP], tags.get(REASON, "")
        return None

    # --- Archive -------------------------------------------------------------------------------------------------

    def papers(self, loop: str, version: int) -> Papers:
        """All that is kept with a version, serving or long retired. Raises Fatal when there is no such version."""
        with self._asking() as client:
            return mlflow_papers.read(client, loop, version)

    def dataset(self, loop: str, version: int, into: Path) -> Path:
        """Download the rows that a version was made from to the new directory `into`, and return where they are.

        Raises Fatal when they were not kept with it.
        """
        with self._asking() as client:
            return mlflow_papers.rows(client, loop, version, into)

    # --- how -----------------------------------------------------------------------------------------------------

    def _of(self, loop: str, trigger: str) -> list[Version]:
        return [version for version in self.versions(loop) if version.trigger == trigger]

    def _challenge(self, client: Any, loop: str, trigger: str) -> Version:
        """Give the version of `trigger` the alias, unless it had its chance: a repeated call must not bring it back."""
        made, newest = self._of(loop, trigger)[0], self.versions(loop)[-1].number
        tags = client.get_model_version(loop, str(made.number)).tags
        if mlflow_papers.CARD not in tags:
            mlflow_papers.write_card(client, loop, made.number)
        tried = OUTCOME in tags
        if made.number == newest and not tried and not made.aliases:
            client.set_registered_model_alias(loop, "challenger", str(made.number))
            made = replace(made, aliases=frozenset({"challenger"}))
        return made

    @contextmanager
    def _asking(self) -> Iterator[Any]:
        """MLflow's client, with what goes wrong in words of our own."""
        with importing.LOCK:
            os.environ.update(self._settings)
            import requests
            from mlflow.exceptions import MlflowException, RestException
            from mlflow.tracking import MlflowClient

            if self._client is None:
                self._client = MlflowClient(self.uri, self.uri)
        try:
            yield self._client
        except RestException as error:
            kind = Fatal if entities.code(error) in _FATAL else Unavailable
            raise kind(f"MLflow at {self.uri}: {error}") from error
        except MlflowException as error:
            kind = Fatal if error.error_code == "INVALID_PARAMETER_VALUE" else Unavailable
            raise kind(f"MLflow at {self.uri}: {error}") from error
        except (requests.RequestException, json.JSONDecodeError) as error:
            raise Unavailable(f"MLflow at {self.uri}: {error}") from error
