"""The port Runner over a Kubeflow Pipelines backend (v2, 2.16).

The backend keeps neither keys nor promises of once: display names may repeat, a create that timed out may have made a
run, and two may create at once. So a run is looked up before it is made and after a create of unknown end, and of
several that are active at once the first counts, by the server's own times and ids: whoever sees the others ends them
and puts them out of sight.
"""

from __future__ import annotations

import contextlib
import re
from collections.abc import Callable, Sequence
from datetime import UTC, datetime, timedelta
from typing import Any

import yaml

from serinus import durations
from serinus.adapters import importing, kfp_runs
from serinus.adapters.kfp_client import Invalid, KfpClient, Missing, connect, equals, one_of
from serinus.adapters.kfp_runs import CANCELING, Run
from serinus.errors import Conflict, Fatal, Unavailable
from serinus.facts import RunRequest, RunState
from serinus.render.pipeline import content_hash

PIPELINE = "serinus-training"
_NAME = re.compile(r"[A-Za-z0-9][A-Za-z0-9._-]{0,199}")
_GRACE = timedelta(minutes=5)  # between our ending a run and our counting it as ended whatever the server says

Reason = Callable[[str, str], tuple[str, str] | None]
"""(loop, key) -> (step, reason), as `MlflowRegistry.reason` finds what a step left there."""
Refuse = Callable[[str, str, str, str], None]
"""(loop, key, step, reason): keep it where `Reason` finds it, as `MlflowRegistry.refuse` does."""


def _utcnow() -> datetime:
    return datetime.now(UTC)


class KfpRunner:
    """Pipeline runs on the Kubeflow Pipelines server at `url`, for loops with the pipeline `pipeline_text`.

    mlflow_uri: as the steps' pods reach it. namespace, token_path: see `kfp_client.connect`; "" on a standalone
    installation. deadline: a run that takes longer is ended and counts as failed. reason, refuse: where a step's last
    words are found, and where those of a run that we end are kept, since the backend keeps neither (a run that was
    ended is FAILED without a word). service_account: of the run's pods; None is the backend's default. folder: of the
    user's own code; "" on a cluster, where it is in the image.
    """

    def __init__(
        self,
        url: str,
        pipeline_text: str,
        mlflow_uri: str,
        namespace: str = "",
        token_path: str = "",
        deadline: timedelta = timedelta(hours=1),
        reason: Reason | None = None,
        service_account: str | None = None,
        *,
        refuse: Refuse | None = None,
        folder: str = "",
        now: Callable[[], datetime] = _utcnow,
    ) -> None:
        self._connection = (url, namespace, token_path)
        self._text = pipeline_text
        self._steps = _steps(pipeline_text)
        self._mlflow_uri = mlflow_uri
        self._deadline = deadline
        self._reason = reason
        self._refuse = refuse
        self._service_account = service_account
        self._folder = folder
        self._now = now
        self._experiments: dict[str, str] = {}  # loop -> id, as last seen

    def submit(self, request: RunRequest) -> RunState:
        """Make the run unless one with its key exists or one of its loop is active; return the one that counts."""
        known = self.find(request.key)
        if known is not None:
            return known
        experiment = self._experiment(request.loop)
        active = self._active(request.loop, experiment)
        if not active:
            lost = self._create(request, experiment)
            active = self._active(request.loop, experiment)  # somebody may have made one at the same time
            if not active:
                made = self.find(request.key)  # a run may end at once: an unknown service account takes 1.5 s
                if made is None:
                    raise lost or Unavailable(f"{request.key}: the run was made and cannot be found; ask again")
                return made
        return self._state(active[0])

    def find(self, key: str) -> RunState | None:
        """The run with this key."""
        _check("run key", key)
        runs = self._read(self._client.runs(equals("display_name", key)))
        named = [run for run in runs if run.key == key]  # the server's EQUALS ignores case
        return self._state(named[0]) if named else None

    def active(self, loop: str) -> tuple[RunState, ...]:
        """The runs of the loop that may still change; at most one."""
        _check("loop", loop)
        experiment = self._experiments.get(loop, "")
        try:
            runs = self._active(loop, experiment) if experiment else None
        except Missing:  # somebody deleted it, or the installation is another one
            runs = None
        if runs is None:
            experiment = self._experiments[loop] = self._client.experiment(loop)
            runs = self._active(loop, experiment) if experiment else []
        return tuple(state for run in runs if (state := self._state(run)).active)

    def cancel(self, key: str) -> None:
        """End the run; it becomes `failed` once its pods are gone. Idempotent."""
        _check("run key", key)
        for run in self._read(self._client.runs(equals("display_name", key))):
            if run.key == key and run.state in kfp_runs.ACTIVE and run.state != CANCELING:
                # First, because a run that is ended says nothing; of a run that ends well nobody asks for the reason.
                self._keep(self._with_steps(run), "cancelled")
                self._end(run)

    # --- making --------------------------------------------------------------------------------------------------

    def _create(self, request: RunRequest, experiment: str) -> Unavailable | None:
        """Make a run; what went wrong when it is not known whether there is one now."""
        pipeline, version = self._version()
        parameters = {
            "loop": request.spec,
            "trigger": request.key,
            "mlflow_uri": self._mlflow_uri,
            "folder": self._folder,
            **kfp_runs.reason(request),
        }
        body: dict[str, Any] = {
            "display_name": request.key,
            "description": kfp_runs.describe(request),
            "experiment_id": experiment,
            "pipeline_version_reference": {"pipeline_id": pipeline, "pipeline_version_id": version},
            "runtime_config": {"parameters": parameters},
        }
        if self._service_account:
            body["service_account"] = self._service_account
        try:
            self._client.create_run(body)
        except Unavailable as error:
            return error
        return None

    def _version(self) -> tuple[str, str]:
        """The ids of pipeline and version with our text; uploaded if the server lacks it."""
        name = content_hash(self._text)
        pipeline = self._client.pipeline(PIPELINE)
        if not pipeline:
            _loadable(self._text)
            with contextlib.suppress(Conflict):  # somebody was faster
                self._client.upload(self._text, PIPELINE, "Training runs of Serinus; a version is named by its content")
            pipeline = self._client.pipeline(PIPELINE)
        version = self._client.version(pipeline, name) if pipeline else ""
        if pipeline and not version:
            _loadable(self._text)
            with contextlib.suppress(Conflict):
                self._client.upload_version(self._text, name, pipeline)
            version = self._client.version(pipeline, name)
        if not version:
            raise Unavailable(f"pipeline {PIPELINE}, version {name}: was uploaded and cannot be found; ask again")
        return pipeline, version

    def _experiment(self, loop: str) -> str:
        """The id of the loop's experiment, made if the server lacks it."""
        _check("loop", loop)
        found = self._client.experiment(loop)
        if not found:
            with contextlib.suppress(Conflict):  # somebody was faster
                self._client.create_experiment(loop, f"Training runs of the ModelLoop {loop}")
            found = self._client.experiment(loop)
        if not found:
            raise Unavailable(f"experiment {loop}: was made and cannot be found; ask again")
        self._experiments[loop] = found
        return found

    # --- looking -------------------------------------------------------------------------------------------------

    @property
    def _client(self) -> KfpClient:
        return connect(*self._connection)

    def _read(self, answers: Sequence[Any]) -> list[Run]:
        runs = [run for answer in answers if (run := kfp_runs.read(answer, self._steps)) is not None and run.counts]
        return sorted(runs, key=lambda run: run.order)

    def _active(self, loop: str, experiment: str) -> list[Run]:
        """The active run of the loop, after those that came second were ended."""
        answers = self._client.runs(one_of("state", kfp_runs.ACTIVE), experiment=experiment)
        runs = [run for run in self._read(answers) if run.loop == loop and not self._given_up(run)]
        for run in runs[1:]:
            # Out of sight first: an archived run that goes on is found here again.
            with contextlib.suppress(Missing):
                self._client.archive(run.id)
            self._end(run)
        return runs[:1]

    def _state(self, run: Run) -> RunState:
        run = self._with_steps(run)
        step = run.step_in("RUNNING") or run.step_in("SUCCEEDED")
        if run.phase == "failed":
            return self._failed(run)
        if run.phase == "succeeded":
            return RunState(run.key, run.loop, run.cause, "succeeded", run.created, run.ended or run.created, step)
        if self._now() > run.created + self._deadline:
            return self._late(run)
        return RunState(run.key, run.loop, run.cause, run.phase, run.created, None, step)

    def _with_steps(self, run: Run) -> Run:
        """A list need not tell of a run's tasks; without them nobody could say where it is, or where it failed."""
        if run.steps or run.phase not in ("running", "failed"):
            return run
        with contextlib.suppress(Missing):  # deleted in between
            return kfp_runs.read(self._client.run(run.id), self._steps) or run
        return run

    def _failed(self, run: Run) -> RunState:
        step = run.step_in("FAILED")
        said = self._reason(run.loop, run.key) if self._reason is not None else None
        ended = run.ended or run.created
        if said is not None:
            step, reason = said
        elif ended - run.created >= self._deadline:
            reason = self._too_long
        elif step:
            reason = f"step {step} ended without saying why; see the logs of run {run.id} in Kubeflow's UI"
        else:
            reason = (
                f"it failed in none of its steps, and Kubeflow does not say why; see run {run.id} in its UI, and "
                f"whether the service account {self._service_account or 'of Kubeflow Pipelines'} exists"
            )
        return RunState(run.key, run.loop, run.cause, "failed", run.created, ended, step, reason)

    # --- ending --------------------------------------------------------------------------------------------------

    @property
    def _too_long(self) -> str:
        return f"the run took longer than its deadline of {durations.render(self._deadline)}"

    def _late(self, run: Run) -> RunState:
        """End it; it goes on for as long as its pods need, within limits: the server may fail to end it."""
        step = run.step_in("RUNNING") or run.step_in("SUCCEEDED")
        if run.state != CANCELING:
            with contextlib.suppress(Unavailable):  # a deadline is a deadline; its times say as much as the registry
                self._keep(run, self._too_long)
            self._end(run)
        if not self._given_up(run):
            return RunState(run.key, run.loop, run.cause, run.phase, run.created, None, step)
        ended = run.created + self._deadline
        return RunState(run.key, run.loop, run.cause, "failed", run.created, ended, step, self._too_long)

    def _given_up(self, run: Run) -> bool:
        return self._now() >= run.created + self._deadline + _GRACE

    def _keep(self, run: Run, reason: str) -> None:
        if self._refuse is not None:
            self._refuse(run.loop, run.key, run.step_in("RUNNING") or run.step_in("SUCCEEDED"), reason)

    def _end(self, run: Run) -> None:
        # Of a run that has ended in between the server says 400: there is nothing left to end.
        with contextlib.suppress(Invalid, Missing):
            self._client.terminate(run.id)


def _check(what: str, name: str) -> None:
    if not _NAME.fullmatch(name):
        raise Fatal(f"{what} {name!r}: expected letters, digits, dots, dashes and underscores, at most 200")


def _steps(text: str) -> tuple[str, ...]:
    """The names of the pipeline's steps. Raises Fatal when the text is no pipeline."""
    try:
        return tuple(next(iter(yaml.safe_load_all(text)))["root"]["dag"]["tasks"])
    except (yaml.YAMLError, StopIteration, KeyError, TypeError) as error:
        raise Fatal(f"expected a compiled pipeline with root.dag.tasks, got {text[:60]!r}: {error}") from error


def _loadable(text: str) -> None:
    """Raises Fatal when KFP cannot read the pipeline: a server that is sent such a one parses it for ever."""
    with importing.LOCK:
        from kfp import components

    try:
        components.load_component_from_text(text)
    except Exception as error:  # protobuf, YAML and KFP each have their own
        raise Fatal(f"the pipeline cannot be read by KFP: {type(error).__name__}: {error}") from error
