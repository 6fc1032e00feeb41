"""What a process says of the code it runs: the same code the same, other code something else."""

from __future__ import annotations

import hashlib
import json
import os
import subprocess
import sys
from pathlib import Path

import pytest

from serinus import environment, usercode
from serinus.spec import ModelLoop
from tests import data_sets

ROOT = Path(__file__).resolve().parents[2]
KERNELS = """
import json
from serinus import environment
from tests import data_sets
print(json.dumps(dict(environment.code(data_sets.binary()[0]).kernels)))
"""


@pytest.fixture
def plain() -> ModelLoop:
    return data_sets.binary(training={"estimator": "logistic-regression"})[0]


def own(name: str) -> ModelLoop:
    return data_sets.binary(training={"python": f"{name}:fit"})[0]


@pytest.fixture
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A folder of a user's own modules."""
    monkeypatch.setattr(sys, "path", [*sys.path])
    usercode.reachable(tmp_path)
    return tmp_path


def test_it_says_what_it_runs(plain: ModelLoop) -> None:
    said = environment.code(plain, {"SERINUS_REVISION": "abc1234", "SERINUS_IMAGE": "serinus/pipeline:0.1.0"})
    assert (said.release, said.revision, said.image) == ("0.1.0", "abc1234", "serinus/pipeline:0.1.0")
    assert said.lock == hashlib.sha256((ROOT / "uv.lock").read_bytes()).hexdigest()
    assert said.python == ".".join(map(str, sys.version_info[:3]))
    assert {"numpy", "scikit-learn", "skops"} <= said.packages.keys()
    assert said.packages["scikit-learn"] == "1.9.1"
    assert said.own == "", "the loop has no code of its own"
    assert len(said.source) == 64


def test_what_nobody_says_is_empty(plain: ModelLoop) -> None:
    assert (environment.code(plain, {}).revision, environment.code(plain, {}).image) == ("", "")
    assert environment.code(plain, {"OPENBLAS_CORETYPE": ""}).forced == {}


def test_what_picks_the_last_bits_of_a_sum_is_told(plain: ModelLoop) -> None:
    said = environment.code(plain, {"OPENBLAS_CORETYPE": "Haswell", "OMP_NUM_THREADS": "1"})
    assert said.forced == {"OPENBLAS_CORETYPE": "Haswell"}
    asked = [sys.executable, "-c", KERNELS]
    for kernel in ("Nehalem", "Sandybridge"):
        told = subprocess.run(
            asked, env={**os.environ, "OPENBLAS_CORETYPE": kernel}, cwd=ROOT, stdout=subprocess.PIPE, check=True
        )
        kernels = json.loads(told.stdout)
        assert len(kernels) == 2, "NumPy's and SciPy's"
        assert {library.split()[0] for library in kernels} == {"openblas"}
        assert set(kernels.values()) == {kernel}


def test_the_digest_follows_names_and_contents_and_nothing_else(tmp_path: Path) -> None:
    a, b = tmp_path / "a.py", tmp_path / "b.py"
    a.write_text("1")
    b.write_text("2")
    before = environment.digest(tmp_path, [a, b])
    assert environment.digest(tmp_path, [b, a]) == before
    assert environment.digest(tmp_path, [a]) != before
    b.write_text("3")
    changed = environment.digest(tmp_path, [a, b])
    assert changed != before
    b.rename(tmp_path / "c.py")
    assert environment.digest(tmp_path, [a, tmp_path / "c.py"]) != changed


def test_a_users_own_module_counts_wherever_it_lies(folder: Path) -> None:
    (folder / "mine_alone.py").write_text("def fit(): ...")
    alone = environment.code(own("mine_alone"), {}).own
    (folder / "mine_alone.py").write_text("def fit(): return 1")
    assert len({"", alone, environment.code(own("mine_alone"), {}).own}) == 3


def test_a_users_own_package_counts_as_a_whole_and_is_not_imported(folder: Path) -> None:
    package = folder / "mine_many"
    package.mkdir()
    (package / "__init__.py").write_text("raise RuntimeError('was imported')")
    (package / "train.py").write_text("def fit(): ...")
    before = environment.code(own("mine_many.train"), {}).own
    (package / "features.py").write_text("1")
    assert len({"", before, environment.code(own("mine_many.train"), {}).own}) == 3


def test_a_users_module_that_is_nowhere_is_no_reason_to_fail(folder: Path) -> None:
    assert environment.code(own("mine_nowhere"), {}).own == hashlib.sha256(b"").hexdigest()
    assert list(folder.iterdir()) == []


def test_an_image_that_is_named_by_its_digest_needs_no_asking() -> None:
    named = f"mine@sha256:{'ab' * 32}"
    assert environment.image({"SERINUS_IMAGE": named, "KFP_POD_NAME": "pod"}) == named


def test_where_nobody_can_be_asked_the_images_name_is_what_is_known(tmp_path: Path) -> None:
    around = {"SERINUS_IMAGE": "mine:1", "KFP_POD_NAME": "pod", "KUBERNETES_SERVICE_HOST": "127.0.0.1"}
    assert environment.image(around, tmp_path) == "mine:1", "outside a cluster"
    assert environment.image({**around, "KUBERNETES_SERVICE_PORT": "1"}, tmp_path) == "mine:1", "without an account"
