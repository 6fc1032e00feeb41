"""The port Runner over Kubeflow Pipelines' local runner: a run is a folder and a process of its own.

Nothing is kept in this process's memory: any number of processes (the supervisor, the drift job, a person's command)
may use the same folder at the same time, and a run goes on when all of them are gone.
"""

from __future__ import annotations

import contextlib
import os
import re
import shutil
import subprocess
import sys
import time
from collections.abc import Callable, Iterator, Mapping
from datetime import UTC, datetime, timedelta
from pathlib import Path

import serinus
from serinus import wire
from serinus.adapters import kfp_local_folder as folder
from serinus.errors import Fatal, Unavailable
from serinus.facts import RunPhase, RunRequest, RunState

_KEY = re.compile(r"[A-Za-z0-9][A-Za-z0-9._-]{0,199}")
_GRACE = timedelta(seconds=10)  # after the deadline, at which a run ends itself
_PATIENCE = 10.0  # seconds to wait for another process's submit, which takes milliseconds
_KEEP = 5  # finished runs whose artifacts stay


def _utcnow() -> datetime:
    return datetime.now(UTC)


class LocalRunner:
    """Pipeline runs as child processes: `LocalRunner(folder, pipeline, mlflow_uri, code, deadline)`.

    `folder` holds one folder a run (`kfp_local_folder` says what is in it); `pipeline` is the compiled YAML; `code` is
    the folder of the ModelLoop file; a run that takes longer than `deadline` is ended and counts as failed.
    `environment`: what a run is told beside this process's own environment.
    """

    def __init__(
        self,
        folder: Path,
        pipeline: Path,
        mlflow_uri: str,
        code: Path,
        deadline: timedelta = timedelta(hours=1),
        *,
        now: Callable[[], datetime] = _utcnow,
        environment: Mapping[str, str] | None = None,
    ) -> None:
        self._folder = folder.resolve()
        self._pipeline = pipeline.resolve()
        self._mlflow_uri = mlflow_uri
        self._code = code.resolve()
        self._deadline = deadline
        self._now = now
        self._environment = dict(environment or {})
        self._children: list[subprocess.Popen[bytes]] = []

    def submit(self, request: RunRequest) -> RunState:
        """Make the run unless one with its key exists or one of its loop is active; return the one that counts."""
        run = self._path(request.key)
        with _reachable(), self._alone():
            known = self._state(run)
            if known is not None:
                return known
            active = self.active(request.loop)
            if active:
                return active[0]
            self._start(run, request)
            started = self._state(run)
        self._prune()
        if started is None:
            raise Unavailable(f"{run}: the run's folder vanished while the run was made; is something else using it?")
        return started

    def find(self, key: str) -> RunState | None:
        """The run with this key."""
        with _reachable():
            return self._state(self._path(key))

    def active(self, loop: str) -> tuple[RunState, ...]:
        """The runs of the loop that may still change; at most one."""
        with _reachable():
            open_runs = [run for run in self._runs() if not (run / "end.json").exists()]
            states = [state for run in open_runs if (state := self._state(run)) is not None]
        return tuple(sorted((s for s in states if s.loop == loop and s.active), key=lambda state: state.created))

    def cancel(self, key: str) -> None:
        """End the run; it becomes `failed`. Idempotent."""
        run = self._path(key)
        with _reachable(), self._alone():
            state = self._state(run)
            if state is not None and state.active:
                self._end(run, state.step, "cancelled")

    def _path(self, key: str) -> Path:
        if not _KEY.fullmatch(key):
            raise Fatal(f"run key {key!r}: expected letters, digits, dots, dashes and underscores, at most 200")
        return self._folder / key

    def _runs(self) -> list[Path]:
        try:
            return [path for path in self._folder.iterdir() if (path / "run.json").exists()]
        except FileNotFoundError:
            return []  # nothing was ever asked

    @contextlib.contextmanager
    def _alone(self) -> Iterator[None]:
        """Only one process or thread at a time makes or cancels runs."""
        self._folder.mkdir(parents=True, exist_ok=True)
        until = time.monotonic() + _PATIENCE
        while True:
            with folder.held(self._folder / ".lock") as lock:
                if lock is not None:
                    yield
                    return
            if time.monotonic() > until:
                raise Unavailable(f"{self._folder}/.lock: another process held it for {_PATIENCE:.0f} s; try again")
            time.sleep(0.02)

    def _start(self, run: Path, request: RunRequest) -> None:
        (run / "tmp").mkdir(parents=True, exist_ok=True)
        root = str(Path(serinus.__file__).parent.parent)  # where serinus and components are, installed or not
        environment = {
            # OpenMP's threads spin while they wait, and here they share the cores with predictors: on 2 busy cores
            # fitting boosted trees to 30,000 rows took 6-10 s of CPU and 19-58 s, with this 1.8 s and 2-10 s.
            "OMP_WAIT_POLICY": "passive",
            **os.environ,
            **self._environment,
            folder.VARIABLE: str(run),
            "PYTHONPATH": os.pathsep.join(filter(None, [root, os.environ.get("PYTHONPATH", "")])),
            "TMPDIR": str(run / "tmp"),  # KFP leaves a folder a step behind there
        }
        job = folder.Job(
            request, self._now(), self._deadline.total_seconds(), str(self._pipeline), self._mlflow_uri, str(self._code)
        )
        # The lock goes from us to the child without a gap: there is no moment at which the run looks dead.
        with folder.held(run / "lock") as lock, (run / "log.txt").open("wb") as log:
            if lock is None:
                raise Unavailable(f"{run}/lock: another process holds it; try again")
            folder.put(run / "run.json", wire.dump(job))
            try:
                child = subprocess.Popen(
                    [sys.executable, "-m", "serinus.adapters.kfp_local_child", str(run)],
                    stdin=subprocess.DEVNULL,
                    stdout=log,
                    stderr=subprocess.STDOUT,
                    cwd=run,
                    env=environment,
                    pass_fds=(lock,),
                    start_new_session=True,
                )
            except OSError:
                shutil.rmtree(run, ignore_errors=True)  # as if it had never been asked
                raise
        self._children.append(child)

    def _state(self, run: Path) -> RunState | None:
        """What the folder says, after the dead were found dead and the late were ended."""
        self._children = [child for child in self._children if child.poll() is None]  # leave no zombies
        job = folder.job(run)
        if job is None:
            return None
        ended = folder.end(run)
        if ended is None:
            late = self._now() > job.created + timedelta(seconds=job.deadline) + _GRACE
            with folder.held(run / "lock") as lock:
                dead = lock is not None
            if dead or late:
                reason = "the run took longer than its deadline" if late else "the run's process ended without a result"
                self._end(run, folder.step(run), reason)
                ended = folder.end(run)
        step, request = folder.step(run), job.request
        if ended is None:
            phase: RunPhase = "running" if step else "pending"
            return RunState(request.key, request.loop, request.cause, phase, job.created, None, step)
        return RunState(
            request.key, request.loop, request.cause, ended.phase, job.created, ended.at, ended.step, ended.reason
        )

    def _end(self, run: Path, step: str, reason: str) -> None:
        """Kill what lives of the run, then say how it ended, unless it managed to say so itself."""
        if not folder.kill(run):
            raise Unavailable(f"{run}: its processes do not die (waiting for a disk?); ask again, or kill them by hand")
        folder.finish(run, folder.End("failed", self._now(), step, reason))
        shutil.rmtree(run / "tmp", ignore_errors=True)

    def _prune(self) -> None:
        """Artifacts fill disks: keep those of the latest finished runs. What was asked and how it ended stays."""
        ended = [(end.at, run) for run in self._runs() if (run / "artifacts").is_dir() and (end := folder.end(run))]
        for _, run in sorted(ended, reverse=True)[_KEEP:]:
            shutil.rmtree(run / "artifacts", ignore_errors=True)


@contextlib.contextmanager
def _reachable() -> Iterator[None]:
    try:
        yield
    except OSError as error:
        raise Unavailable(f"the folder of the local runs cannot be used: {error}") from error
