"""MLflow's experiments, runs and versions as Serinus uses them; `client` is an MlflowClient throughout."""

from __future__ import annotations

import json
import re
import time
from collections.abc import Callable, Mapping
from datetime import UTC, datetime
from pathlib import Path
from typing import Any, TypeVar

from serinus.errors import Unavailable
from serinus.facts import Contract, Version

T = TypeVar("T")
MODEL = "model"  # artifact folder of a version's run
TRIGGER, DIGEST, DATASET, METRICS = "serinus.trigger", "serinus.digest", "serinus.dataset", "serinus.metrics"
STEP, REASON, OUTCOME = "serinus.step", "serinus.reason", "serinus.rollout.outcome"
LONGEST_TAG, LONGEST_PARAM, MOST_METRICS, MOST_PARAMS = 8000, 6000, 1000, 100  # mlflow.utils.validation
_READY_DEADLINE = 60.0  # seconds; the open-source server's versions are ready at once


def code(error: Any) -> str:
    """The server's error code, for example RESOURCE_DOES_NOT_EXIST."""
    return str(error.error_code)


def or_none(expected: str, ask: Callable[[], T]) -> T | None:
    """What `ask` gives, or None when the server itself answers with the error code `expected`.

    A 404 that is not MLflow's own (another program on that port) is not an answer and is raised on.
    """
    from mlflow.exceptions import RestException

    try:
        return ask()
    except RestException as error:
        if code(error) == expected:
            return None
        raise


def experiment(client: Any, loop: str) -> str:
    """The id of the loop's experiment, made (or brought back, when somebody deleted it) if need be."""
    found = client.get_experiment_by_name(loop)
    if found is None:
        made = or_none("RESOURCE_ALREADY_EXISTS", lambda: client.create_experiment(loop))
        return str(made or client.get_experiment_by_name(loop).experiment_id)
    if found.lifecycle_stage == "deleted":
        client.restore_experiment(found.experiment_id)
    return str(found.experiment_id)


def runs(client: Any, loop: str, trigger: str, condition: str) -> list[str]:
    """Ids of the runs of `trigger` in the loop's experiment that meet `condition`, newest first."""
    found = client.get_experiment_by_name(loop)
    if found is None:
        return []
    wanted = f"tags.`{TRIGGER}` = '{trigger}' AND {condition}"
    return [run.info.run_id for run in client.search_runs([found.experiment_id], wanted, max_results=10)]


def begin(client: Any, loop: str, trigger: str, tags: Mapping[str, str]) -> str:
    """A new run in the loop's experiment; returns its id."""
    cut = {key: value[:LONGEST_TAG] for key, value in tags.items()}
    return str(client.create_run(experiment(client, loop), tags=cut, run_name=trigger).info.run_id)


def log_figures(client: Any, run: str, contract: Contract, metrics: Mapping[str, float]) -> None:
    """Metrics and parameters, for people who look at MLflow's pages."""
    from mlflow.entities import Metric, Param

    now = time.time_ns() // 1_000_000
    values = [Metric(_name(name), float(value), now, 0) for name, value in metrics.items()]
    for start in range(0, len(values), MOST_METRICS):
        client.log_batch(run, metrics=values[start : start + MOST_METRICS])
    named = {"estimator": contract.estimator, "seed": contract.seed, "dataset": contract.dataset.version}
    params = [Param(_name(key), str(value)[:LONGEST_PARAM]) for key, value in {**contract.params, **named}.items()]
    client.log_batch(run, params=params[-MOST_PARAMS:])


def log_files(client: Any, run: str, model: Path, extras: Path | None) -> None:
    """The model directory, the extras beside it; the run has nothing more to do then."""
    client.log_artifacts(run, str(model), MODEL)
    if extras is not None:
        client.log_artifacts(run, str(extras))
    client.set_terminated(run, "FINISHED")


def make_version(client: Any, loop: str, run: str, tags: Mapping[str, str], contract: Contract) -> int:
    """A new version of the loop's model whose files lie with `run`; returns its number when it is ready."""
    or_none("RESOURCE_ALREADY_EXISTS", lambda: client.create_registered_model(loop))
    rows = contract.dataset
    made = client.create_model_version(
        loop,
        f"runs:/{run}/{MODEL}",
        run_id=run,
        tags=dict(tags),
        description=f"{contract.estimator}, {rows.rows} rows of {rows.source}, {rows.window.start:%Y-%m-%d %H:%M}"
        f" to {rows.window.end:%Y-%m-%d %H:%M} UTC",
        await_creation_for=None,
    )
    deadline = time.monotonic() + _READY_DEADLINE
    while made.status != "READY":
        if made.status == "FAILED_REGISTRATION" or time.monotonic() > deadline:
            raise Unavailable(f"{loop}: MLflow did not make version {made.version} ready: {made.status_message}")
        time.sleep(0.2)
        made = client.get_model_version(loop, made.version)
    return int(made.version)


def versions(client: Any, loop: str) -> tuple[Version, ...]:
    """Every version that is ready, oldest first, without aliases (a search does not know them)."""
    found, token = [], None
    while True:
        page = client.search_model_versions(f"name = '{loop}'", max_results=1000, page_token=token)
        found += [version(each) for each in page if each.status == "READY"]
        token = page.token
        if not token:
            return tuple(sorted(found, key=lambda each: each.number))


def version(each: Any) -> Version:
    """What MLflow says of a version, without aliases."""
    return Version(
        loop=each.name,
        number=int(each.version),
        trigger=each.tags.get(TRIGGER, ""),
        created=datetime.fromtimestamp(each.creation_timestamp / 1000, UTC),
        dataset=each.tags.get(DATASET, ""),
        metrics=_metrics(each.tags.get(METRICS, "")),
        digest=each.tags.get(DIGEST, ""),
    )


def _metrics(text: str) -> dict[str, float]:
    try:
        return {str(name): float(value) for name, value in json.loads(text).items()}
    except (ValueError, TypeError, AttributeError):
        return {}  # a version that a person made, or whose tag a person edited: still a version


def _name(text: str) -> str:
    """MLflow's names of metrics and parameters know no `=`, for example."""
    return re.sub(r"[^\w\-. :/]", "_", text)[:250]
