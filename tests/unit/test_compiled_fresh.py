"""The compiled pipeline that is checked in, against the code, and against what a runner relies on."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest
import yaml

from components.image import IMAGE
from pipelines import compile as compiling

STEPS = {"ingest", "check", "train", "validate", "register"}


def test_the_compiled_pipeline_is_fresh() -> None:
    assert compiling.COMPILED.read_text() == compiling.text(), "run `python -m pipelines.compile` and commit"


def test_the_check_fails_on_a_stale_or_missing_file_and_writes_nothing(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    stale = tmp_path / "compiled" / "training.yaml"
    monkeypatch.setattr(compiling, "COMPILED", stale)
    assert compiling.main(["--check"]) == 1
    assert not stale.parent.exists()
    assert compiling.main([]) == 0
    assert compiling.main(["--check"]) == 0
    stale.write_text(stale.read_text().replace("serinus", "sirenus"))
    assert compiling.main(["--check"]) == 1
    assert "sirenus" in stale.read_text()


def test_the_command_line_compiles_the_same_bytes_in_another_process(tmp_path: Path) -> None:
    code = "import sys; from pipelines import compile as c; sys.stdout.write(c.text())"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout == compiling.COMPILED.read_text()


def specification() -> Any:
    return yaml.safe_load(compiling.COMPILED.read_text())


def test_every_step_runs_in_our_image_and_installs_nothing() -> None:
    executors = specification()["deploymentSpec"]["executors"]
    assert {name.removeprefix("exec-") for name in executors} == STEPS
    for executor in executors.values():
        assert executor["container"]["image"] == IMAGE
        assert "pip install" not in str(executor["container"])


def test_nothing_is_cached_and_no_control_flow_is_used() -> None:
    tasks = specification()["root"]["dag"]["tasks"]
    assert set(tasks) == STEPS
    for task in tasks.values():
        assert task["cachingOptions"] == {}, "KFP writes an empty mapping when caching is off"
        assert not {"triggerPolicy", "iterator", "retryPolicy"} & set(task)


def test_each_gate_names_what_it_let_through_and_a_later_step_requires_it() -> None:
    tasks = specification()["root"]["dag"]["tasks"]
    wired = {
        name: {
            key: given["taskOutputParameter"]["producerTask"]
            for key, given in task["inputs"]["parameters"].items()
            if "taskOutputParameter" in given
        }
        for name, task in tasks.items()
    }
    assert wired == {
        "ingest": {},
        "check": {"version": "ingest"},
        "train": {"version": "ingest", "checked": "check"},
        "validate": {"digest": "train"},
        "register": {"validated": "validate"},
    }


def test_the_shells_are_short() -> None:
    folder = compiling.COMPILED.parent.parent.parent / "components"
    for step in STEPS:
        lines = (folder / step / "component.py").read_text().splitlines()
        body = lines[next(i for i, line in enumerate(lines) if line.startswith("@dsl.component")) :]
        assert len(body) < 40, f"{step}: a shell is no place for logic"
