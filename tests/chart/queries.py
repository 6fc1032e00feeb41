"""The queries of alerts and dashboard, and the metrics that they name."""

from __future__ import annotations

import json
import re
import shutil
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import yaml

ROOT = Path(__file__).resolve().parents[2]
FILES = ROOT / "charts" / "serinus" / "files"
_SELECTOR = re.compile(r"\b(serinus_\w+)(?:\{([^}]*)\})?")
_MATCHER = re.compile(r'(\w+)\s*(?:=~|!~|!=|=)\s*"((?:[^"\\]|\\.)*)"')
_GROUPED = re.compile(r"\b(?:by|on|group_left|without)\s*\(([^)]*)\)")

Selector = tuple[str, dict[str, str]]  # a metric, and the values that its labels are matched with


def promtool() -> Path:
    """PATH, or what `make setup` put into `.cache/bin`."""
    found = shutil.which("promtool")
    path = Path(found) if found else ROOT / ".cache" / "bin" / "promtool"
    assert path.is_file(), f"expected promtool at {path}; run `make setup` or put one on PATH"
    return path


def alerts() -> dict[str, Any]:
    """Name -> rule."""
    groups = yaml.safe_load((FILES / "alerts.yaml").read_text())["groups"]
    rules = [rule for group in groups for rule in group["rules"]]
    assert len({rule["alert"] for rule in rules}) == len(rules)
    return {rule["alert"]: rule for rule in rules}


def dashboard() -> dict[str, Any]:
    """The dashboard as Grafana reads it."""
    read: dict[str, Any] = json.loads((FILES / "dashboard.json").read_text())
    return read


def panel_queries() -> dict[str, str]:
    """Every query of the dashboard, by the panel's title and the query's letter; annotations by their name."""
    board = dashboard()
    queries = {f"{p['title']}: {t['refId']}": t["expr"] for p in board["panels"] for t in p.get("targets", ())}
    return queries | {f"annotation {a['name']}": a["expr"] for a in board["annotations"]["list"]}


def variable_queries() -> dict[str, str]:
    """Name of a variable -> the series that its values are read from."""
    found = {}
    for variable in dashboard()["templating"]["list"]:
        if variable["type"] == "query":
            query = re.fullmatch(r"label_values\((.*), \w+\)", variable["query"]["query"])
            assert query is not None, variable
            found[variable["name"]] = query[1]
    return found


def selectors(expr: str) -> Iterator[Selector]:
    """Every metric of ours in a query."""
    for name, matchers in _SELECTOR.findall(expr):
        yield name, dict(_MATCHER.findall(matchers))


def grouped(expr: str) -> set[str]:
    """Every label that a query groups or joins by."""
    return {label.strip() for labels in _GROUPED.findall(expr) for label in labels.split(",") if label.strip()}
