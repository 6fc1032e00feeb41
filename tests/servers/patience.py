"""A pipeline of one step that ends when and how a file says: for tests of what runs pipelines.

No `from __future__ import annotations` here: KFP reads the annotations of components.
"""
# mypy: disallow-untyped-decorators=False

import time
from collections.abc import Callable
from pathlib import Path
from typing import TypeVar

from kfp import compiler, dsl

T = TypeVar("T")


@dsl.component(base_image="python:3.11-slim", install_kfp_package=False)
def patient(loop: str, trigger: str, mlflow_uri: str, folder: str, out: dsl.Output[dsl.Artifact]) -> str:
    """Wait for the file `folder`/`trigger`: empty is success, "crash" an error, other text a reason to fail."""
    import time
    from pathlib import Path

    from serinus.adapters import kfp_local_folder as run

    run.begin_step("patient")
    Path(out.path).write_text(loop)
    word = Path(folder) / trigger
    until = time.monotonic() + 60
    while not word.exists():
        if time.monotonic() > until:
            raise TimeoutError("nobody said how to end")
        time.sleep(0.02)
    said = word.read_text()
    if said == "crash":
        raise ValueError("caught by nobody")
    if said:
        run.fail_step("patient", said)
        raise RuntimeError(said)
    return "done"


@dsl.pipeline(name="patience")
def patience(loop: str, trigger: str, mlflow_uri: str, folder: str) -> None:
    """One patient step."""
    patient(loop=loop, trigger=trigger, mlflow_uri=mlflow_uri, folder=folder)


def compiled(directory: Path) -> Path:
    """The compiled pipeline, written into `directory`."""
    path = directory / "patience.yaml"
    compiler.Compiler().compile(patience, str(path))
    return path


def say(folder: Path, key: str, word: str = "") -> None:
    """Tell the run `key` how to end: "" is success."""
    new = folder / f".{key}"
    new.write_text(word)
    new.replace(folder / key)


def wait_for(ask: Callable[[], T], happened: Callable[[T], bool], seconds: float = 60) -> T:
    """The first answer that is as expected."""
    until = time.monotonic() + seconds
    while not happened(answer := ask()):
        assert time.monotonic() < until, f"still {answer} after {seconds} s"
        time.sleep(0.02)
    return answer
