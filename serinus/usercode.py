"""A user's own functions, named `package.module:function` and found in the folder beside the ModelLoop file."""

from __future__ import annotations

import importlib
import sys
from collections.abc import Callable
from pathlib import Path
from types import ModuleType

from serinus.errors import Fatal


def reachable(folder: Path | None) -> None:
    """Let modules in `folder` be imported, by a single entry on `sys.path`; None or a second call changes nothing.

    It goes last, so that a user's `types.py` cannot hide a module that Python or Serinus itself imports.
    """
    if folder is None:
        return
    path = str(folder.resolve())
    if path not in sys.path:
        sys.path.append(path)
        importlib.invalidate_caches()


def resolve(reference: str, folder: Path | None) -> Callable[..., object]:
    """The function that `reference` names, imported from `folder` or from what is installed.

    Raises Fatal that says whether the module is missing, fails when it is imported, or holds no such function.
    """
    module_name, _, function_name = reference.partition(":")
    reachable(folder)
    where = str(folder) if folder is not None else "the installed packages"
    try:
        module = importlib.import_module(module_name)
    except ModuleNotFoundError as error:
        if error.name is not None and (module_name == error.name or module_name.startswith(f"{error.name}.")):
            raise Fatal(
                f"python: {reference}: expected a module {module_name} in {where}, found none;"
                " put it beside the ModelLoop file, or into the image that `training.image` names"
            ) from error
        raise Fatal(f"python: {reference}: importing {module_name} failed: {error}; install what it imports") from error
    except Exception as error:  # whatever a user's module does at import time is theirs to mend
        raise Fatal(
            f"python: {reference}: importing {module_name} from {where} failed: {type(error).__name__}: {error}"
        ) from error
    _mine(module, reference, folder)
    found = getattr(module, function_name, None)
    if not callable(found):
        functions = sorted(
            name
            for name, value in vars(module).items()
            if callable(value) and getattr(value, "__module__", None) == module.__name__
        )
        held = f"{function_name} = {found!r}" if found is not None else ", ".join(functions) or "no function"
        raise Fatal(f"python: {reference}: expected function {function_name} in module {module_name}, found {held}")
    function: Callable[..., object] = found
    return function


def _mine(module: ModuleType, reference: str, folder: Path | None) -> None:
    """Raises Fatal when `folder` has a module of this name and Python took another one."""
    top = module.__name__.partition(".")[0]
    if folder is None or not ((folder / f"{top}.py").exists() or (folder / top).is_dir()):
        return
    taken = getattr(module, "__file__", None)
    if taken is not None and not Path(taken).resolve().is_relative_to(folder.resolve()):
        raise Fatal(
            f"python: {reference}: expected module {top} from {folder}, but Python has one of that name in {taken};"
            " rename yours"
        )
