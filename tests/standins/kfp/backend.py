"""Pipelines, experiments and runs: what the backend keeps in its database, here in a folder.

state.json          experiments, pipelines, versions
runs/ID/api.json    a run as it was created; its state comes from its process
"""

from __future__ import annotations

import json
import threading
import uuid
from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import yaml

from serinus.adapters import kfp_local_folder as files
from tests.standins.kfp import execution
from tests.standins.kfp.queries import Object, Refused, page

_RUN_FIELDS = {
    "run_id", "display_name", "description", "experiment_id", "pipeline_spec", "pipeline_version_id",
    "pipeline_version_reference", "runtime_config", "service_account", "storage_state",
}  # fmt: skip
_TYPES: dict[str, tuple[type, ...]] = {
    "STRING": (str,), "BOOLEAN": (bool,), "NUMBER_INTEGER": (int, float), "NUMBER_DOUBLE": (int, float),
    "LIST": (list,), "STRUCT": (dict,),
}  # fmt: skip
_NEVER = "1970-01-01T00:00:00Z"


@dataclass
class Backend:
    """The state of one installation.

    accounts: the service accounts there are; None is any. multi_user: whether things belong to a namespace each; on a
    standalone installation what a client says of namespaces is ignored. brief: lists of runs leave out their tasks.
    """

    folder: Path
    accounts: frozenset[str] | None = None
    multi_user: bool = False
    brief: bool = False
    _lock: threading.RLock = field(default_factory=threading.RLock)
    _state: dict[str, list[Object]] = field(default_factory=dict)

    def __post_init__(self) -> None:
        self.folder = self.folder.resolve()
        (self.folder / "runs").mkdir(parents=True, exist_ok=True)
        kept = self.folder / "state.json"
        kinds: dict[str, list[Object]] = {"experiments": [], "pipelines": [], "versions": []}
        self._state = {**kinds, **(json.loads(kept.read_text()) if kept.exists() else {})}

    # --- lists ---------------------------------------------------------------------------------------------------

    def listing(self, kind: str, query: Mapping[str, str], **owner: str) -> Object:
        """A page of experiments, pipelines, versions (of a pipeline) or runs (of an experiment, or of all)."""
        bounds = {**owner, **{k: v for k in ("experiment_id", "namespace") if (v := query.get(k))}}
        if not self.multi_user:
            bounds.pop("namespace", None)
        with self._lock:
            items = self._runs() if kind == "runs" else self._state[kind]
            if kind == "runs" and "experiment_id" in bounds:
                self.get("experiments", experiment_id=bounds["experiment_id"])
            if kind == "runs" and "namespace" in bounds:  # a run's namespace is its experiment's
                mine = {e["experiment_id"] for e in self._state["experiments"] if e["namespace"] == bounds["namespace"]}
                items = [run for run in items if run["experiment_id"] in mine]
                bounds.pop("namespace")
            found = [i for i in items if all(i.get(name) == value for name, value in bounds.items())]
            if self.brief:
                found = [{name: value for name, value in i.items() if name != "run_details"} for i in found]
            return page("pipeline_versions" if kind == "versions" else kind, found, query, json.dumps(bounds))

    def get(self, kind: str, **by: str) -> Object:
        """One of them. Raises Refused (404)."""
        with self._lock:
            items = self._runs() if kind == "runs" else self._state[kind]
            for item in items:
                if all(item.get(name) == value for name, value in by.items()):
                    return item
        raise Refused(404, f"{kind[:-1]} {', '.join(by.values())} not found")

    # --- making --------------------------------------------------------------------------------------------------

    def create_experiment(self, body: Object) -> Object:
        """Raises Refused (409) for a name that there is."""
        name, namespace = body.get("display_name", ""), self._namespace(body)
        about = {"display_name": name, "description": body.get("description", ""), "namespace": namespace}
        with self._lock:
            self._unique("experiments", name, namespace=namespace)
            made = {"experiment_id": str(uuid.uuid4()), **about, "created_at": _now(), "storage_state": "AVAILABLE"}
            return self._keep("experiments", made)

    def create_pipeline(self, text: str, name: str, about: Mapping[str, str]) -> Object:
        """A pipeline, and its first version of the same name."""
        with self._lock:
            namespace = self._namespace(about)
            self._unique("pipelines", name, namespace=namespace)
            made = {
                "pipeline_id": str(uuid.uuid4()), "display_name": name, "name": name, "created_at": _now(),
                "description": about.get("description", ""), "namespace": namespace,
            }  # fmt: skip
            self._keep("pipelines", made)
            self.create_version(text, name, made["pipeline_id"])
            return made

    def create_version(self, text: str, name: str, pipeline: str) -> Object:
        """Raises Refused (409) for a name that the pipeline has."""
        with self._lock:
            self.get("pipelines", pipeline_id=pipeline)
            self._unique("versions", name, pipeline_id=pipeline)
            made = {
                "pipeline_id": pipeline, "pipeline_version_id": str(uuid.uuid4()), "display_name": name, "name": name,
                "created_at": _now(), "pipeline_spec": _specification(text), "text": text,
            }  # fmt: skip
            return self._keep("versions", made)

    def create_run(self, body: Object) -> Object:
        """Make a run, whatever there is already: names may be equal."""
        unknown = set(body) - _RUN_FIELDS
        if unknown:
            raise Refused(400, f"unknown field {sorted(unknown)[0]!r} in Run")
        name = body.get("display_name", "")
        if not name or len(name) >= 300:
            raise Refused(500, "Internal error: Failed to create a run: the display name is empty or too long")
        with self._lock:
            text = self._text(body)
            parameters = (body.get("runtime_config") or {}).get("parameters") or {}
            _check_parameters(_specification(text), parameters)
            experiment = body.get("experiment_id") or self._default_experiment()
            self.get("experiments", experiment_id=experiment)
            identity = body.get("run_id") or str(uuid.uuid4())
            run = self.folder / "runs" / identity
            if run.exists():
                raise Refused(500, f"Internal error: Failed to create a run: Duplicate entry {identity!r}")
            now = datetime.now(UTC)
            made = {
                **body, "run_id": identity, "experiment_id": experiment, "storage_state": "AVAILABLE",
                "created_at": _now(now), "scheduled_at": _now(now),
                "state_history": [{"update_time": _now(now), "state": "PENDING"}],
            }  # fmt: skip
            run.mkdir()
            files.put(run / "api.json", json.dumps(made).encode())
            account = body.get("service_account", "")
            if self.accounts is not None and account and account not in self.accounts:
                execution.fail(run)  # without a word about why
            else:
                execution.start(run, text, parameters, now)
            return self._view(run, made)

    # --- changing ------------------------------------------------------------------------------------------------

    def terminate(self, identity: str) -> Object:
        """End a run. Raises Refused (400) when it has ended."""
        with self._lock:
            run = self.get("runs", run_id=identity)
            if run["state"] not in ("PENDING", "RUNNING"):
                raise Refused(400, f"Invalid input error: Failed to terminate a run {identity}. Row not found")
            self._change(identity, canceling=True)
            execution.kill(self.folder / "runs" / identity)
        return {}

    def store(self, identity: str, state: str) -> Object:
        """Archive a run (ARCHIVED) or bring it back (AVAILABLE)."""
        with self._lock:
            self.get("runs", run_id=identity)
            self._change(identity, storage_state=state)
        return {}

    # --- how -----------------------------------------------------------------------------------------------------

    def _namespace(self, body: Mapping[str, Any]) -> str:
        return str(body.get("namespace") or "") if self.multi_user else ""

    def _runs(self) -> list[Object]:
        paths = [path.parent for path in (self.folder / "runs").glob("*/api.json")]
        return [self._view(path, json.loads((path / "api.json").read_text())) for path in paths]

    def _change(self, identity: str, **what: object) -> None:
        path = self.folder / "runs" / identity / "api.json"
        files.put(path, json.dumps({**json.loads(path.read_text()), **what}).encode())

    def _view(self, run: Path, kept: Object) -> Object:
        """The run with what its process says: state, end, tasks; never a reason."""
        answer = {name: value for name, value in kept.items() if name != "canceling"}
        ended = execution.end(run)
        step = execution.step(run)
        state = "RUNNING" if step else "PENDING"
        if ended is not None:
            state = "SUCCEEDED" if ended.phase == "succeeded" else "FAILED"
        elif kept.get("canceling"):
            state = "CANCELING"
        answer["state"], answer["finished_at"] = state, _now(ended.at) if ended is not None else _NEVER
        if step:
            failed = ended is not None and ended.phase == "failed"
            last = "FAILED" if failed else ("SUCCEEDED" if ended is not None else "RUNNING")
            answer["run_details"] = {"task_details": _tasks(run, kept, step, last)}
        return answer

    def _text(self, body: Object) -> str:
        """The pipeline that is asked for; what is wrong with that is an internal error, on the real one too."""
        if body.get("pipeline_spec"):
            given = body["pipeline_spec"]
            documents = [given["pipeline_spec"], given["platform_spec"]] if "pipeline_spec" in given else [given]
            return yaml.safe_dump_all(documents)
        asked = body.get("pipeline_version_reference") or {}
        for version in self._state["versions"]:
            if version["pipeline_version_id"] == asked.get("pipeline_version_id"):
                return str(version["text"])
        raise Refused(500, "Internal error: Failed to create a run due to error fetching manifest")

    def _default_experiment(self) -> str:
        named = [e for e in self._state["experiments"] if e["display_name"] == "Default"]
        return str((named[0] if named else self.create_experiment({"display_name": "Default"}))["experiment_id"])

    def _unique(self, kind: str, name: str, **within: str) -> None:
        if not name:
            raise Refused(400, f"Invalid input error: {kind[:-1]} has an empty name")
        for item in self._state[kind]:
            if item["display_name"].casefold() == name.casefold() and all(item[k] == v for k, v in within.items()):
                raise Refused(409, f"Already exist error: the name {name} already exist. Please specify a new name.")

    def _keep(self, kind: str, made: Object) -> Object:
        self._state[kind].append(made)
        files.put(self.folder / "state.json", json.dumps(self._state).encode())
        return {name: value for name, value in made.items() if name != "text"}


def _specification(text: str) -> Object:
    document: Any = next(iter(yaml.safe_load_all(text)))
    return dict(document)


def _check_parameters(specification: Object, given: Object) -> None:
    known = specification["root"].get("inputDefinitions", {}).get("parameters", {})
    for name in given:
        if name not in known:
            raise Refused(400, f"Invalid input error: parameter {name} is not an input of the pipeline")
    for name, about in known.items():
        if name not in given:
            if not about.get("isOptional"):
                raise Refused(400, f"Invalid input error: parameter {name} is required and was not given")
        elif not isinstance(given[name], _TYPES[about["parameterType"]]):
            raise Refused(400, f"Invalid input error: parameter {name}: expected {about['parameterType']}")


def _tasks(run: Path, kept: Object, current: str, last: str) -> list[Object]:
    """As the backend lists them: every step has a driver and an executor beside it."""
    tasks = _specification((run / "pipeline.yaml").read_text())["root"]["dag"]["tasks"]
    order = _ordered({name: task.get("dependentTasks", []) for name, task in tasks.items()})
    begun = order[: order.index(current) + 1] if current in order else [current]
    created = datetime.fromisoformat(kept["created_at"])
    rows = [("root", "RUNNING" if last == "RUNNING" else last), ("root-driver", "SUCCEEDED")]
    for name in begun:
        state = last if name == current else "SUCCEEDED"
        rows += [(f"{name}-driver", "SUCCEEDED"), (name, state), ("executor", state)]
    return [
        {
            "run_id": kept["run_id"], "task_id": f"{kept['run_id']}-{n}", "display_name": name, "state": state,
            "create_time": _now(created), "start_time": _now(created), "error": {},
        }
        for n, (name, state) in enumerate(rows)
    ]  # fmt: skip


def _ordered(after: Mapping[str, list[str]]) -> list[str]:
    done: list[str] = []
    while len(done) < len(after):
        done += sorted(name for name, before in after.items() if name not in done and set(before) <= set(done))
    return done


def _now(time: datetime | None = None) -> str:
    """Whole seconds, as the database has them."""
    return (time or datetime.now(UTC)).astimezone(UTC).strftime("%Y-%m-%dT%H:%M:%SZ")
