"""What every Dockerfile promises: from the lock, as nobody in particular, on a base that one can choose."""

from __future__ import annotations

import re
import shutil
import subprocess
import tomllib
from fnmatch import fnmatch
from pathlib import Path

import pytest

from components.image import IMAGE
from services.platform import Platform

ROOT = Path(__file__).parents[2]
DOCKERFILES = {
    "pipeline": ROOT / "components/Dockerfile",
    "predictor": ROOT / "services/predictor/Dockerfile",
    "control": ROOT / "services/operator/Dockerfile",
}
VERSION = tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]["version"]
every_image = pytest.mark.parametrize("image", DOCKERFILES)


def instructions(image: str) -> list[tuple[str, str]]:
    """(instruction, the rest of its line), lines that go on joined, comments left out."""
    lines = [line for line in DOCKERFILES[image].read_text().splitlines() if not line.lstrip().startswith("#")]
    joined = re.sub(r"\\\n\s*", "", "\n".join(lines))
    return [(name, rest) for name, _, rest in (line.partition(" ") for line in joined.splitlines() if line)]


def of(image: str, name: str) -> list[str]:
    return [rest for instruction, rest in instructions(image) if instruction == name]


def last_stage(image: str) -> list[tuple[str, str]]:
    found = instructions(image)
    return found[max(index for index, (name, _) in enumerate(found) if name == "FROM") :]


def test_these_are_all_dockerfiles() -> None:
    shipped = {path for path in ROOT.glob("[!.]*/**/*Dockerfile*") if "tests" not in path.parts}
    assert shipped == set(DOCKERFILES.values())


@every_image
def test_it_runs_as_a_user_who_is_a_number_and_not_root(image: str) -> None:
    stage = last_stage(image)
    assert [rest for name, rest in stage if name == "USER"] == ["10001:10001"]
    assert not [name for name, _ in stage[[name for name, _ in stage].index("USER") :] if name in ("RUN", "COPY")]


@every_image
def test_the_base_is_an_argument_with_a_version(image: str) -> None:
    assert of(image, "ARG")[0] == "BASE=python:3.11-slim"
    assert {base.split()[0] for base in of(image, "FROM")} <= {"${BASE}", "scratch"}


@pytest.mark.parametrize("image", ["predictor", "control"])
def test_predictor_and_control_plane_start_from_nothing(image: str) -> None:
    assert last_stage(image)[0] == ("FROM", "scratch")
    assert not [rest for name, rest in last_stage(image) if name == "RUN"]


@every_image
def test_packages_come_from_the_lock_alone(image: str) -> None:
    runs = of(image, "RUN")
    syncs = [run for run in runs if run.startswith("uv sync")]
    assert len(syncs) == 2
    for sync in syncs:
        assert {"--frozen", "--no-dev"} <= set(sync.split())
        assert "--extra" in sync
    installed = [word for run in runs if run.startswith("pip install") for word in run.split()[2:]]
    assert [word for word in installed if not word.startswith("-")] == ["uv==0.13.9"]


@every_image
def test_nothing_is_loaded_from_an_address_and_no_registry_is_named(image: str) -> None:
    assert of(image, "ADD") == []
    text = DOCKERFILES[image].read_text()
    assert "://" not in text.replace("mlflow://", "")
    assert not re.search(r"index|find-links|trusted-host|proxy|apt-get", text, re.IGNORECASE)


@every_image
def test_what_is_copied_is_there_and_sent_to_the_builder(image: str) -> None:
    rules = (ROOT / ".dockerignore").read_text().split("\n")
    sent = [rule[1:] for rule in rules if rule.startswith("!")]
    kept_back = [rule for rule in rules if rule.startswith("**/")]
    assert rules[1] == "*"
    for copy in of(image, "COPY"):
        *sources, _ = [word for word in copy.split() if not word.startswith("--")]
        if "--from" in copy:
            continue
        for source in sources:
            assert (ROOT / source).exists(), source
            assert any(source == rule or source.startswith(f"{rule}/") for rule in sent), source
            assert not any(fnmatch(f"/{source}", f"*/{rule[3:]}") for rule in kept_back), source


@every_image
def test_labels_say_what_it_is(image: str) -> None:
    (label,) = of(image, "LABEL")
    names = ("title", "description", "licenses", "version", "revision")
    assert re.findall(r"org\.opencontainers\.image\.(\w+)=", label) == list(names)


def test_one_version_names_all_images() -> None:
    platform = Platform("http://m", "http://p", "http://k")
    named = {IMAGE, platform.pipeline_image, platform.predictor_image, platform.control_image}
    assert named == {f"serinus/{image}:{VERSION}" for image in DOCKERFILES}


@pytest.mark.parametrize("builder", ["docker", "podman", "buildah --storage-driver vfs"])
def test_make_images_builds_each_with_the_builder_that_it_is_told(builder: str) -> None:
    make = shutil.which("make")
    assert make
    said = subprocess.run(
        [make, "-n", "images", f"IMAGE_BUILDER={builder}", "BUILD_ARGS=--build-arg BASE=mine:1"],
        cwd=ROOT, capture_output=True, text=True, check=True,
    ).stdout.splitlines()  # fmt: skip
    for image, dockerfile in DOCKERFILES.items():
        (line,) = [line for line in said if f" --tag serinus/{image}:{VERSION} " in line]
        assert line.startswith(f"{builder} build --build-arg VERSION={VERSION} ")
        assert f"--build-arg BASE=mine:1 --file {dockerfile.relative_to(ROOT)} " in line
