"""Every image holds what its processes import: read from their code and from the lock, without building anything."""

from __future__ import annotations

import ast
import importlib.util
import re
import sys
import tomllib
from collections.abc import Iterator
from functools import cache
from importlib.metadata import packages_distributions
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]
OURS = ("serinus", "services", "components", "pipelines")


@cache
def imports(module: str) -> tuple[frozenset[str], frozenset[str]]:
    """(what is imported with the module, what its functions import when they are called), dotted names."""
    found = importlib.util.find_spec(module)
    assert found is not None
    assert found.origin is not None
    tree = ast.parse(Path(found.origin).read_text())
    at_once, later = set[str](), set[str]()
    for node, inside in _nodes(tree, inside=False):
        into = later if inside else at_once
        if isinstance(node, ast.Import):
            into |= {alias.name for alias in node.names}
        elif isinstance(node, ast.ImportFrom) and node.module:
            # `from package import name`: the name may be a module too.
            into |= {node.module, *(f"{node.module}.{alias.name}" for alias in node.names)}
    return frozenset(at_once), frozenset(later)


def _nodes(node: ast.AST, *, inside: bool) -> Iterator[tuple[ast.AST, bool]]:
    for child in ast.iter_child_nodes(node):
        if isinstance(child, ast.If) and ast.unparse(child.test) == "TYPE_CHECKING":
            continue
        yield child, inside
        yield from _nodes(child, inside=inside or isinstance(child, ast.FunctionDef | ast.AsyncFunctionDef))


def ours(names: frozenset[str]) -> set[str]:
    """The modules of this project among dotted names, each with the packages it lies in."""
    found = set()
    for name in names:
        parts = name.split(".")
        if parts[0] in OURS:
            packages = [".".join(parts[:n]) for n in range(1, len(parts) + 1)]
            found |= {package for package in packages if _is_module(package)}
    return found


@cache
def _is_module(name: str) -> bool:
    path = ROOT.joinpath(*name.split("."))
    return path.with_suffix(".py").is_file() or (path / "__init__.py").is_file()


def foreign(names: frozenset[str]) -> set[str]:
    """The top-level packages among dotted names that neither Python nor this project brings."""
    return {name.split(".")[0] for name in names} - set(sys.stdlib_module_names) - set(OURS) - {"__future__"}


def closure(entries: tuple[str, ...], *, lazily: bool) -> set[str]:
    """What comes from outside when `entries` are imported; `lazily`: and when everything in them was called."""
    todo, seen, outside = list(entries), set[str](), set[str]()
    while todo:
        module = todo.pop()
        if module in seen:
            continue
        seen.add(module)
        at_once, later = imports(module)
        names = at_once | later if lazily else at_once
        outside |= foreign(names)
        todo += ours(names)
    return outside


def normal(name: str) -> str:
    """A distribution's name as the lock writes it."""
    return re.sub(r"[-_.]+", "-", name).lower()


@cache
def installed(extras: str) -> frozenset[str]:
    """The distributions that `uv sync --no-dev --extra EXTRA ...` installs, as the lock says."""
    lock = tomllib.loads((ROOT / "uv.lock").read_text())
    packages = {package["name"]: package for package in lock["package"]}
    todo, seen = [("serinus", extra) for extra in ("", *extras.split())], set[tuple[str, str]]()
    while todo:
        name, of = todo.pop()
        if (name, of) in seen:
            continue
        seen.add((name, of))
        package = packages[name]
        needs = package.get("optional-dependencies", {}).get(of, []) if of else package.get("dependencies", [])
        for need in needs:
            todo += [(need["name"], ""), *((need["name"], more) for more in need.get("extra", ()))]
    return frozenset(name for name, _ in seen)


def missing(extra: str, packages: set[str]) -> set[str]:
    """Those of the imported packages that the extra does not bring."""
    brings = packages_distributions()
    return {
        package for package in packages if not {normal(name) for name in brings.get(package, ())} & installed(extra)
    }


PREDICTOR = ("services.predictor.__main__", "services.predictor.start", "services.predictor.server")
CONTROL = ("services.operator.__main__", "services.drift.__main__", "services.fetch.__main__",
           "services.quality.__main__", "services.collector.__main__", "services.collector.start")  # fmt: skip
PIPELINE = ("components.ingest.component", "components.check.component", "components.train.component",
            "components.validate.component", "components.register.component",
            "serinus.steps.ingest", "serinus.steps.check", "serinus.steps.train",
            "serinus.steps.validate", "serinus.steps.register", "serinus.adapters.mlflow",
            "services.intake.__main__")  # fmt: skip


@pytest.mark.parametrize(
    ("extra", "entries"), [("predictor", PREDICTOR), ("operator collector", CONTROL), ("pipeline", PIPELINE)]
)
def test_an_image_has_what_is_imported_when_its_processes_start(extra: str, entries: tuple[str, ...]) -> None:
    assert missing(extra, closure(entries, lazily=False)) == set()


@pytest.mark.parametrize(
    ("extra", "entries", "elsewhere"),
    [
        ("predictor", PREDICTOR, set()),
        # The operator and the drift job read contracts and never a model; the detector says what to do without alibi.
        # scikit-learn comes with alibi-detect.
        ("operator collector", CONTROL, {"alibi_detect", "skops", "sklearn"}),
        ("pipeline", PIPELINE, set()),
    ],
)
def test_what_an_image_lacks_of_the_imports_inside_functions_is_known(
    extra: str, entries: tuple[str, ...], elsewhere: set[str]
) -> None:
    assert missing(extra, closure(entries, lazily=True)) == elsewhere


def test_the_command_line_needs_the_base_and_a_console_needs_local() -> None:
    assert missing("", closure(("services.cli.main",), lazily=False)) == set()
    assert missing("local", closure(("services.local.supervisor", "services.cli.main"), lazily=False)) == set()
