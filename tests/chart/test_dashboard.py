"""The dashboard: Grafana can lay it out, and a real Prometheus that scrapes real programs answers every query of it."""

from __future__ import annotations

import math
import re
from collections.abc import Iterator
from itertools import combinations
from pathlib import Path
from typing import Any

import httpx
import pytest

from tests.chart.queries import dashboard, panel_queries, variable_queries
from tests.servers.prometheus import Prometheus, prometheus, until
from tests.servers.telling import LOOP, Telling, served, telling

BOARD = dashboard()
PANELS = BOARD["panels"]
QUERIES = panel_queries() | {f"variable {name}": query for name, query in variable_queries().items()}
CHOSEN = {
    "$__rate_interval": "10s", "$__range": "1m", "$loop": LOOP, "$namespace": ".*", "$slow": "0.25",
}  # fmt: skip
ROWS = ("Traffic", "Answers", "Judge", "Drift", "Quality", "Events and runs", "Operator, of all loops")


def _filled(query: str) -> str:
    for name, value in CHOSEN.items():
        query = query.replace(name, value)
    assert "$" not in query, f"a variable without a value: {query}"
    return query


@pytest.fixture(scope="module")
def world(tmp_path_factory: pytest.TempPathFactory) -> Iterator[tuple[Prometheus, Telling]]:
    told = telling()
    folder: Path = tmp_path_factory.mktemp("prometheus")
    with served(told) as addresses, prometheus(folder) as server:
        for address in addresses:
            server.watch(address, namespace="parcels", pod=address.replace(":", "-"))
        yield server, told


def _asked(server: Prometheus, query: str) -> list[float]:
    answer = httpx.get(f"{server.url}/api/v1/query", params={"query": query}, timeout=10, trust_env=False).json()
    assert answer["status"] == "success", answer
    values = [float(series["value"][1]) for series in answer["data"]["result"]]
    return [value for value in values if math.isfinite(value)]


@pytest.mark.parametrize("name", QUERIES)
def test_prometheus_answers_every_query_with_data(name: str, world: tuple[Prometheus, Telling]) -> None:
    server, told = world

    def answered() -> list[float]:
        told.happen()  # rates need something that goes on
        return _asked(server, _filled(QUERIES[name]))

    assert until(answered, f"an answer to {QUERIES[name]}")


def test_evidence_and_shares_are_what_was_told(world: tuple[Prometheus, Telling]) -> None:
    server, _ = world
    assert until(lambda: _asked(server, _filled(QUERIES["Champion: A"])), "a champion") == [1.0]
    assert sorted(_asked(server, _filled(QUERIES["Weights: A"]))) == [20.0, 80.0]
    assert sorted(set(_asked(server, _filled(QUERIES["Evidence: A"])))) == [0.25, 2 / 3]
    # undecided, pass, drift's fail and production's
    assert sorted(_asked(server, _filled(QUERIES["Verdicts: A"]))) == [1.0, 2.0, 4.0, 4.0]
    assert sorted(_asked(server, _filled(QUERIES["Quality by version: A"]))) == [0.68, 0.7, 0.72, 0.9]
    assert _asked(server, _filled(QUERIES["Labelled share: A"])) == [0.75]


def test_panels_lie_side_by_side_within_the_grid() -> None:
    places = [p["gridPos"] for p in PANELS]
    for place in places:
        assert place["x"] >= 0
        assert place["x"] + place["w"] <= 24
        assert min(place["w"], place["h"]) > 0
    for a, b in combinations(places, 2):
        beside = a["x"] + a["w"] <= b["x"] or b["x"] + b["w"] <= a["x"]
        assert beside or a["y"] + a["h"] <= b["y"] or b["y"] + b["h"] <= a["y"], (a, b)
    assert len({p["id"] for p in PANELS}) == len(PANELS)


def test_the_dashboard_tells_of_every_part_in_grafanas_current_form() -> None:
    assert BOARD["schemaVersion"] == 39
    assert BOARD["uid"] == "serinus-loop"
    assert tuple(p["title"] for p in PANELS if p["type"] == "row") == ROWS
    assert {p["type"] for p in PANELS} == {"row", "stat", "timeseries", "state-timeline", "bargauge"}
    assert [v["name"] for v in BOARD["templating"]["list"]] == ["datasource", "loop", "namespace", "slow"]


def test_every_panel_says_what_it_shows_and_asks_the_chosen_data_source() -> None:
    for panel in (p for p in PANELS if p["type"] != "row"):
        assert panel["description"].endswith("."), panel["title"]
        sources = [panel["datasource"], *(t["datasource"] for t in panel["targets"])]
        assert sources == [{"type": "prometheus", "uid": "${datasource}"}] * len(sources)


def test_drift_is_drawn_with_the_line_from_which_it_counts() -> None:
    (drift,) = (p for p in PANELS if p["title"] == "Drift by feature")
    assert drift["fieldConfig"]["defaults"]["thresholds"]["steps"][-1] == {"color": "red", "value": 0.1}
    assert drift["fieldConfig"]["defaults"]["custom"]["thresholdsStyle"] == {"mode": "line"}


def test_every_variable_is_used_and_every_one_used_exists() -> None:
    text = [*QUERIES.values(), *(str(p["datasource"]) for p in PANELS if "datasource" in p)]
    used = {name for line in text for name in re.findall(r"\$\{?(?!__)(\w+)\}?", line)}
    variables: list[dict[str, Any]] = BOARD["templating"]["list"]
    assert used == {v["name"] for v in variables}
