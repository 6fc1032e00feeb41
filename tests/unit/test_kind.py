"""The scripts for kind, as far as they can be checked without kind: what they would do, in which versions, and what
they say when something is missing.
"""

from __future__ import annotations

import os
import re
import subprocess
import tomllib
from pathlib import Path
from string import Template

import pytest
import yaml

import serinus
from serinus import loading
from serinus.render import names
from tests.unit.test_readme import FILES, ROOT, TARGETS

VERSIONS = dict(re.findall(r"^(\w+)=(\S+)$", (ROOT / "tools" / "versions").read_text(), re.MULTILINE))
EXPECTED = Path(__file__).parent / "kind"
INSTALLING = ("tools/", ".github/", ".ci/", "charts/", "manifests/", "examples/", "Makefile", "docs/kind.md")
WORKFLOW = yaml.safe_load((ROOT / ".github" / "workflows" / "ci.yaml").read_text())
STEPS = [step for job in WORKFLOW["jobs"].values() for step in job["steps"]]


def _said(script: str, **environment: str) -> subprocess.CompletedProcess[str]:
    command = [str(ROOT / "tools" / script)]
    return subprocess.run(
        command, env={**os.environ, **environment}, capture_output=True, text=True, timeout=60, check=False
    )


@pytest.mark.parametrize("script", ["kind-up", "kind-demo", "kind-down"])
def test_a_dry_run_prints_every_command_and_does_nothing(script: str) -> None:
    done = _said(script, DRY_RUN="1", PATH="/usr/bin:/bin")
    assert (done.returncode, done.stderr) == (0, "")
    expected = Template((EXPECTED / f"{script}.txt").read_text())
    assert done.stdout == expected.substitute(VERSIONS, VERSION=serinus.__version__)


def test_every_version_is_pinned_in_one_file_only() -> None:
    assert set(VERSIONS) == {
        "KIND_VERSION", "KIND_NODE_IMAGE", "CERT_MANAGER_VERSION", "ENVOY_GATEWAY_VERSION", "KSERVE_VERSION",
        "KFP_VERSION", "PROMETHEUS_STACK_VERSION",
    }  # fmt: skip
    repeated = {
        (file, version)
        for file in FILES
        if file.startswith(INSTALLING) and file != "tools/versions"
        for version in VERSIONS.values()
        if re.search(rf"(?<![\w.]){re.escape(version.removeprefix('v'))}(?![\w.])", (ROOT / file).read_text())
    }
    assert repeated == set()


def test_kserve_and_pipelines_are_the_ones_that_the_python_packages_are_for() -> None:
    extras = tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]["optional-dependencies"]
    pinned = dict(re.findall(r"(kserve|kfp)==([\d.]+)", str(extras)))
    assert pinned == {"kserve": VERSIONS["KSERVE_VERSION"].removeprefix("v"), "kfp": VERSIONS["KFP_VERSION"]}


def test_the_node_image_is_pinned_by_its_content() -> None:
    assert re.fullmatch(r"kindest/node:v1\.\d+\.\d+@sha256:[0-9a-f]{64}", VERSIONS["KIND_NODE_IMAGE"])


def test_what_is_missing_is_named_with_the_step_and_how_to_look(tmp_path: Path) -> None:
    for name in ("cat", "date", "dirname", "mkdir", "printf", "sed", "sh", "sleep", "tail", "tee"):
        (tmp_path / name).symlink_to(Path("/usr/bin") / name)
    copy = tmp_path / "project"
    for name in ("tools/kind-up", "tools/kind/steps.sh", "tools/versions", "charts/serinus/Chart.yaml"):
        (copy / name).parent.mkdir(parents=True, exist_ok=True)
        (copy / name).write_text((ROOT / name).read_text())
    done = subprocess.run(
        ["/bin/sh", str(copy / "tools" / "kind-up")],
        env={"PATH": str(tmp_path)}, capture_output=True, text=True, timeout=60, check=False,
    )  # fmt: skip
    assert done.returncode == 1
    assert "expected docker on PATH" in done.stderr
    assert "Step 1 failed: what is needed" in done.stderr
    assert "To look:    docker info" in done.stderr
    assert f"export KUBECONFIG={copy}/.cache/kind/kubeconfig" in done.stderr


def test_the_example_that_is_applied_is_the_loop_that_the_scripts_wait_for() -> None:
    loop = loading.read(ROOT / "examples" / "flights" / "kubernetes.yaml")
    demo = (ROOT / "tools" / "kind-demo").read_text()
    assert names.host(loop.name, "flights", "models.local") in demo
    for image in (loop.spec.training.image, loop.spec.serving.image):
        assert f"docker build --tag {image} " in (EXPECTED / "kind-up.txt").read_text()
    local = loading.read(ROOT / "examples" / "flights" / "loop.yaml")
    assert loop.spec.data.features == local.spec.data.features
    assert loop.spec.training.params == local.spec.training.params


def test_the_workflow_types_nothing_that_is_not_there() -> None:
    shown = [line.split() for step in STEPS for line in step.get("run", "").splitlines()]
    assert {words[1] for words in shown if words[0] == "make"} <= TARGETS
    assert [words for words in shown if words[0] not in ("make", "cat", "export", "kubectl")] == []
    typed = [" ".join(words) for words in shown]
    assert {"make lint", "make types", "make test", "make kind-up", "make kind-demo", "make kind-down"} <= set(typed)


def test_the_workflow_pins_what_it_uses_and_may_only_read() -> None:
    assert all(re.search(r"@(v\d+|[0-9a-f]{40})$", step["uses"]) for step in STEPS if "uses" in step)
    assert WORKFLOW["permissions"] == {"contents": "read"}
    assert all("timeout-minutes" in job for job in WORKFLOW["jobs"].values())
