"""A user's own functions are found beside the ModelLoop file, or the error says what was found instead."""

from __future__ import annotations

import sys
from pathlib import Path
from uuid import uuid4

import pytest

from serinus import usercode
from serinus.errors import Fatal


def _module(folder: Path, text: str) -> str:
    """A module that no other test knows."""
    name = f"mine_{uuid4().hex}"
    (folder / f"{name}.py").write_text(text)
    return name


def test_a_function_in_a_package_of_the_folder_is_found(tmp_path: Path) -> None:
    name = f"pack_{uuid4().hex}"
    (tmp_path / name).mkdir()
    (tmp_path / name / "__init__.py").write_text("")
    (tmp_path / name / "inner.py").write_text("def twice(x):\n    return 2 * x\n")
    assert usercode.resolve(f"{name}.inner:twice", tmp_path)(21) == 42


def test_the_folder_enters_the_path_once_and_last(tmp_path: Path) -> None:
    before = list(sys.path)
    usercode.reachable(None)
    usercode.reachable(tmp_path)
    usercode.reachable(tmp_path)
    assert sys.path == [*before, str(tmp_path)]


def test_a_missing_module_is_named_with_the_folder_that_was_searched(tmp_path: Path) -> None:
    with pytest.raises(Fatal, match=rf"expected a module nowhere_to_be in {tmp_path}, found none"):
        usercode.resolve("nowhere_to_be:fit", tmp_path)


def test_a_missing_submodule_is_the_same_as_a_missing_module(tmp_path: Path) -> None:
    name = f"pack_{uuid4().hex}"
    (tmp_path / name).mkdir()
    with pytest.raises(Fatal, match=f"expected a module {name}.train"):
        usercode.resolve(f"{name}.train:fit", tmp_path)


def test_a_module_that_imports_something_missing_is_not_taken_for_missing_itself(tmp_path: Path) -> None:
    name = _module(tmp_path, "import no_such_library\n")
    with pytest.raises(Fatal, match=f"importing {name} failed: No module named 'no_such_library'; install"):
        usercode.resolve(f"{name}:fit", tmp_path)


def test_a_module_that_fails_on_import_says_how(tmp_path: Path) -> None:
    name = _module(tmp_path, "1 / 0\n")
    with pytest.raises(Fatal, match="failed: ZeroDivisionError: division by zero"):
        usercode.resolve(f"{name}:fit", tmp_path)


def test_a_missing_function_is_answered_with_those_that_are_there(tmp_path: Path) -> None:
    name = _module(tmp_path, "from json import loads\ndef train(): ...\ndef read(): ...\nfit = 3\n")
    with pytest.raises(Fatal, match=f"expected function fitt in module {name}, found read, train$"):
        usercode.resolve(f"{name}:fitt", tmp_path)
    with pytest.raises(Fatal, match=f"expected function fit in module {name}, found fit = 3$"):
        usercode.resolve(f"{name}:fit", tmp_path)


def test_a_module_hidden_by_an_installed_one_is_refused_rather_than_swapped(tmp_path: Path) -> None:
    (tmp_path / "json.py").write_text("def fit(): ...\n")
    with pytest.raises(Fatal, match=r"expected module json from .*; rename yours"):
        usercode.resolve("json:fit", tmp_path)


def test_an_installed_function_is_found_too(tmp_path: Path) -> None:
    import json

    assert usercode.resolve("json:loads", tmp_path) is usercode.resolve("json:loads", None) is json.loads
