"""The process of one local run: `python -m serinus.adapters.kfp_local_child RUN_FOLDER`.

It loads the compiled pipeline, runs it with KFP's local runner (whose configuration is global, hence a process of its
own) and writes how that ended. It lives in a session of its own, so that it finishes although its maker dies.
"""

from __future__ import annotations

import contextlib
import os
import shutil
import signal
import sys
import warnings
from datetime import UTC, datetime, timedelta
from pathlib import Path
from types import FrameType

from serinus import durations
from serinus.adapters import kfp_local_folder as folder
from serinus.adapters import kfp_runs


def main(run: Path) -> int:
    """Run the job in the folder `run`; 0 when it succeeded."""
    job = folder.job(run)
    if job is None:
        raise SystemExit(f"{run}: expected a run's folder with run.json in it, made by LocalRunner.submit")
    _arm(run, job)
    try:
        _run(run, job)
    except BaseException as error:  # whatever it was: the run has an end, and the end has a reason
        folder.finish(run, _failure(run, error))
        raise
    finally:
        for name in ("tmp", "workspace"):
            shutil.rmtree(run / name, ignore_errors=True)
    folder.finish(run, folder.End("succeeded", datetime.now(UTC), folder.step(run)))
    return 0


def _run(run: Path, job: folder.Job) -> None:
    from kfp import components, local

    # 2.16.1 warns about every image without "python" in its name
    warnings.filterwarnings("ignore", category=RuntimeWarning, message="You may be attemping")
    local.init(
        local.SubprocessRunner(use_venv=False),
        pipeline_root=str(run / "artifacts"),
        workspace_root=str(run / "workspace"),  # else a new folder in the system's /tmp
        raise_on_error=True,
    )
    pipeline = components.load_component_from_file(job.pipeline)
    request = job.request
    why = kfp_runs.reason(request)
    pipeline(loop=request.spec, trigger=request.key, mlflow_uri=job.mlflow_uri, folder=job.code, **why)


def _failure(run: Path, error: BaseException) -> folder.End:
    """The step's own words, if it had any left to say."""
    said = folder.get(folder.Reason, run / "reason.json")
    at, step = datetime.now(UTC), folder.step(run)
    if said is not None:
        return folder.End("failed", at, said.step, said.text)
    where = f"step {step}" if step else "the pipeline"
    return folder.End("failed", at, step, f"{where} ended without saying why ({error}); see {run / 'log.txt'}")


def _arm(run: Path, job: folder.Job) -> None:
    """At the deadline, write that the run took too long and kill the whole session."""

    def late(_number: int, _frame: FrameType | None) -> None:
        limit = durations.render(timedelta(seconds=round(job.deadline)))
        reason = f"the run took longer than its deadline of {limit}"
        folder.finish(run, folder.End("failed", datetime.now(UTC), folder.step(run), reason))
        with contextlib.suppress(OSError):
            os.killpg(os.getpid(), signal.SIGKILL)

    signal.signal(signal.SIGALRM, late)
    left = job.deadline - (datetime.now(UTC) - job.created).total_seconds()
    signal.setitimer(signal.ITIMER_REAL, max(left, 0.001))


if __name__ == "__main__":
    sys.exit(main(Path(sys.argv[1])))
