"""What Kubeflow Pipelines says of a run, read as one of ours: pure, from the API's JSON.

A run has no labels. Which loop's it is, why and under which key stands in what a person sees of it too: its display
name is the key, its parameter `trigger` says the same, its description names cause and loop.
"""

from __future__ import annotations

import json
import re
from collections.abc import Collection, Mapping
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any, cast, get_args

from serinus import wire
from serinus.facts import Cause, RunPhase, RunRequest

CANCELING = "CANCELING"
ACTIVE = ("PENDING", "RUNNING", CANCELING, "PAUSED")
"""States that may still change."""
_ENDED_BADLY = ("FAILED", "CANCELED", "SKIPPED")
_DESCRIPTION = re.compile(r"Serinus: (\w+) run of ([A-Za-z0-9._-]+),")


@dataclass(frozen=True)
class Run:
    """A run of ours, as the server has it."""

    id: str
    key: str
    loop: str
    cause: Cause
    state: str
    archived: bool
    created: datetime
    ended: datetime | None
    steps: Mapping[str, str]  # step -> state, in the order in which they began

    @property
    def phase(self) -> RunPhase:
        """In words of our own. A state of which nothing is known has yet to become one."""
        if self.state in _ENDED_BADLY:
            return "failed"
        if self.state == "SUCCEEDED":
            return "succeeded"
        return "running" if self.state in ("RUNNING", CANCELING, "PAUSED") else "pending"

    @property
    def counts(self) -> bool:
        """Not when it was put out of sight, by us because another was first, or by a person who wants it anew."""
        return not (self.archived and self.state in (*_ENDED_BADLY, CANCELING))

    @property
    def order(self) -> tuple[datetime, str]:
        """The same for everyone who looks: `created` has whole seconds only."""
        return self.created, self.id

    def step_in(self, *states: str) -> str:
        """The latest step in one of the states; "" when there is none."""
        return next((name for name, state in reversed(list(self.steps.items())) if state in states), "")


def describe(request: RunRequest) -> str:
    """The description of a run, from which `read` takes cause and loop."""
    return f"Serinus: {request.cause} run of {request.loop}, asked for at {request.requested.isoformat()}"


def reason(request: RunRequest) -> dict[str, str]:
    """The pipeline's parameter that says what the run is asked for; none where nobody said."""
    return {"why": wire.dump(request.why).decode()} if request.why is not None else {}


def read(run: Mapping[str, Any], steps: Collection[str]) -> Run | None:
    """The run, or None when it is not one of ours: somebody's clone, or another pipeline's. steps: those to tell of."""
    key, parameters = run.get("display_name") or "", (run.get("runtime_config") or {}).get("parameters") or {}
    said = _DESCRIPTION.match(run.get("description") or "")
    created = _time(run.get("created_at"))
    if not key or created is None or parameters.get("trigger", key if said else "") != key:
        return None
    loop = said[2] if said else _loop(parameters.get("loop", ""))
    cause = said[1] if said else key.removeprefix(f"{loop}-").partition("-")[0]
    if not loop:
        return None
    return Run(
        str(run["run_id"]), key, loop, cast(Cause, cause) if cause in get_args(Cause) else "manual",
        run.get("state") or "", run.get("storage_state") == "ARCHIVED", created, _time(run.get("finished_at")),
        _steps(run, steps),
    )  # fmt: skip


def _steps(run: Mapping[str, Any], known: Collection[str]) -> dict[str, str]:
    """The tasks by name: the list holds drivers and executors too."""
    details = (run.get("run_details") or {}).get("task_details") or ()
    tasks = [task for task in details if task.get("display_name") in known]
    tasks.sort(
        key=lambda task: _time(task.get("start_time") or task.get("create_time")) or datetime.min.replace(tzinfo=UTC)
    )
    return {task["display_name"]: task.get("state") or "" for task in tasks}


def _loop(parameter: object) -> str:
    """The name in the ModelLoop that the run was given; "" when there is none."""
    try:
        return str(json.loads(str(parameter))["metadata"]["name"])
    except (ValueError, KeyError, TypeError):
        return ""


def _time(text: str | None) -> datetime | None:
    """A time of the API; a run that goes on has finished at 1970."""
    try:
        time = datetime.fromisoformat(text) if text else None
    except ValueError:
        return None
    return time if time is not None and time.year > 1970 else None
