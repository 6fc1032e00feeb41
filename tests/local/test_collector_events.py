"""KServe's payload logger and the collector: both sides of a request, in either order, become predictions.

Headers are those that KServe 0.20's logger sends (CloudEvents' Go SDK in binary mode).
"""

from __future__ import annotations

import base64
import contextlib
import itertools
import sqlite3
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any
from urllib.parse import quote

import httpx
import orjson
import pytest

from serinus.adapters import sql_engine
from serinus.adapters.payload_halves import Half, PayloadHalves
from serinus.facts import Prediction
from tests.servers.collector import Collector, collector
from tests.servers.postgres import postgres
from tests.servers.prometheus import until

__all__ = ["postgres"]  # a fixture
TIME = datetime(2026, 3, 4, 5, 6, 7, 890000, tzinfo=UTC)
TYPE = "org.kubeflow.serving.inference."


@pytest.fixture(scope="module")
def server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Collector]:
    folder = tmp_path_factory.mktemp("collector")
    with collector(folder, f"sqlite:///{folder}/records.db") as running:
        yield running


_services = (f"loop{n}" for n in itertools.count())


@pytest.fixture
def loop() -> str:
    """A loop that nobody used before."""
    return next(_services)


def headers(side: str, id: str, service: str, namespace: str = "team") -> dict[str, str]:
    return {
        "ce-specversion": "1.0", "ce-id": id, "ce-type": TYPE + side, "ce-source": "http://localhost:9081/",
        "ce-time": "2026-03-04T05:06:07.89Z", "ce-recordedtime": "2026-03-04T05:06:08Z", "ce-component": "predictor",
        "ce-inferenceservicename": service, "ce-namespace": quote(namespace), "ce-endpoint": "default",
        "ce-metadata": "{}", "content-type": "application/json",
    }  # fmt: skip


def tell(server: Collector, side: str, id: str, service: str, body: object, query: str = "") -> dict[str, Any]:
    content = body if isinstance(body, bytes) else orjson.dumps(body)
    answer = httpx.post(f"{server.url}/events{query}", content=content, headers=headers(side, id, service), timeout=30)
    assert answer.status_code == 200, answer.text
    return dict(answer.json())


def held(server: Collector, loop: str, *ids: str) -> list[Prediction]:
    return [record.prediction for record in server.client("team").find(loop, ids)]


@pytest.mark.parametrize("order", [("request", "response"), ("response", "request")])
def test_a_request_and_its_response_become_predictions_in_either_order(
    server: Collector, loop: str, order: tuple[str, str]
) -> None:
    bodies = {
        "request": {"instances": [{"n": 1, "city": "Zürich", "who": 7}, {"n": None, "city": "x", "who": 8}]},
        "response": {"predictions": [{"label": "no", "score": 0.25}, {"label": "yes", "score": 0.75}], "id": "other"},
    }
    first, second = order
    assert tell(server, first, "i", f"{loop}-v12", bodies[first], "?key=who")["outcomes"]["taken"] == 1
    assert held(server, loop, "i", "i/0", "i/1") == []
    tell(server, second, "i", f"{loop}-v12", bodies[second], "?key=who")
    assert held(server, loop, "i/0", "i/1") == [
        Prediction("i/0", 12, TIME, {"n": 1.0, "city": "Zürich"}, 0.25, "no", "7"),
        Prediction("i/1", 12, TIME, {"n": None, "city": "x"}, 0.75, "yes", "8"),
    ]


ROW, MANY = {"instances": [{"n": 1}]}, {"instances": [[1, 2], [3, 4]]}
V2 = {"inputs": [{"name": "n", "datatype": "FP64", "shape": [2, 1], "data": [1, 2]},
                 {"name": "c", "datatype": "BYTES", "shape": [2], "data": ["x", "y"]}]}  # fmt: skip
WIDE = {"inputs": [{"name": "x", "datatype": "FP32", "shape": [2, 2], "data": [[1, 2], [3, 4]]}]}


def tensor(name: str, data: list[Any], *shape: int) -> dict[str, Any]:
    return {"name": name, "datatype": "FP64", "shape": list(shape or (len(data),)), "data": data}


@pytest.mark.parametrize(
    ("request_body", "response", "query", "rows"),
    [
        (ROW, {"predictions": [{"value": 4}]}, "", [({"n": 1}, 4, "")]),
        (ROW, {"predictions": [4.5]}, "?task=regression", [({"n": 1}, 4.5, "")]),
        (ROW, {"predictions": [1]}, "", [({"n": 1}, 1, "1")]),
        (ROW, {"predictions": ["cat"]}, "", [({"n": 1}, 1, "cat")]),
        (ROW, {"predictions": [0.75]}, "?class=no&class=yes", [({"n": 1}, 0.75, "yes")]),
        (ROW, {"predictions": [0.25]}, "?class=no&class=yes", [({"n": 1}, 0.25, "no")]),
        (ROW, {"predictions": [[0.75, 0.25]]}, "", [({"n": 1}, 0.25, "0")]),
        (ROW, {"predictions": [[0.125, 0.75, 0.125]]}, "?class=a&class=b&class=c", [({"n": 1}, 0.75, "b")]),
        (MANY, {"predictions": [0, 1]}, "?column=a&column=b", [({"a": 1, "b": 2}, 1, "0"), ({"a": 3, "b": 4}, 1, "1")]),
        (MANY, {"predictions": [0, 1]}, "",
         [({"feature_0": 1, "feature_1": 2}, 1, "0"), ({"feature_0": 3, "feature_1": 4}, 1, "1")]),
        (V2, {"outputs": [tensor("label", ["no", "yes"]), tensor("score", [0.25, 0.75])]}, "",
         [({"n": 1, "c": "x"}, 0.25, "no"), ({"n": 2, "c": "y"}, 0.75, "yes")]),
        (V2, {"outputs": [tensor("value", [5, 6])]}, "?column=n", [({"n": 1}, 5, ""), ({"n": 2}, 6, "")]),
        (WIDE, {"outputs": [tensor("p", [0.75, 0.25, 0.25, 0.75], 2, 2)]}, "",
         [({"x_0": 1, "x_1": 2}, 0.25, "0"), ({"x_0": 3, "x_1": 4}, 0.75, "1")]),
        (WIDE, {"outputs": [tensor("p", [3, 4], 2, 1)]}, "?task=regression",
         [({"x_0": 1, "x_1": 2}, 3, ""), ({"x_0": 3, "x_1": 4}, 4, "")]),
    ],
)  # fmt: skip
def test_other_runtimes_answers_are_read_as_the_url_says(
    server: Collector, loop: str, request_body: Any, response: Any, query: str, rows: list[tuple[Any, float, str]]
) -> None:
    tell(server, "request", "i", loop, request_body, query)
    assert tell(server, "response", "i", loop, response, query)["problems"] == []
    ids = ["i"] if len(rows) == 1 else [f"i/{n}" for n in range(len(rows))]
    assert held(server, loop, *ids) == [
        Prediction(id, 0, TIME, features, score, answer)
        for id, (features, score, answer) in zip(ids, rows, strict=True)
    ]


def test_a_version_may_be_said_where_the_name_does_not(server: Collector, loop: str) -> None:
    for side, body in (("request", ROW), ("response", {"predictions": ["x"]})):
        tell(server, side, "i", f"{loop}-v3", body, "?version=8")
    assert [p.version for p in held(server, f"{loop}-v3", "i")] == [8]


@pytest.mark.parametrize(
    ("request_body", "response", "said"),
    [
        (b"{", {"predictions": [1]}, "request: expected JSON"),
        (ROW, {"predictions": [1, 2]}, "got 1 rows and 2 answers"),
        ({"instances": []}, {"predictions": []}, "expected 1 to 10000 rows, got 0"),
        (ROW, {"predictions": {}}, "response.predictions: expected a list"),
        (ROW, {"predictions": [{"label": "no"}]}, "score: expected a finite number"),
        (ROW, {"outputs": [tensor("a", [1]), tensor("b", [1])]}, "expected label and score, value, or one tensor"),
        ({"inputs": [tensor("n", [1, 2], 3)]}, {"predictions": [1]}, "expected its data once and of shape"),
        ({"instances": [{"n": [1]}]}, {"predictions": [1]}, "n: expected a finite number, got a list of 1"),
    ],
)
def test_payloads_that_cannot_be_read_are_said_and_counted_and_do_not_stay(
    server: Collector, loop: str, request_body: Any, response: Any, said: str
) -> None:
    tell(server, "request", "i", loop, request_body)
    (problem,) = tell(server, "response", "i", loop, response)["problems"]
    assert said in problem
    assert server.count("serinus_collected_total", loop=loop, outcome="invalid") == 1
    with contextlib.closing(sqlite3.connect(server.database.removeprefix("sqlite:///"))) as database:
        assert database.execute("SELECT count(*) FROM payload_halves WHERE loop = ?", (loop,)).fetchone() == (0,)


def test_what_is_told_twice_is_one_prediction(server: Collector, loop: str) -> None:
    told = (("request", ROW), ("request", {"instances": [{"n": 9}]}), ("response", {"predictions": ["x"]}))
    for side, body in (*told, *told):
        tell(server, side, "i", loop, body)
    assert held(server, loop, "i") == [Prediction("i", 0, TIME, {"n": 1.0}, 1.0, "x")]


@pytest.mark.parametrize("mode", ["json", "base64"])
def test_events_in_batches_are_read_and_a_wrong_one_does_not_sink_the_others(
    server: Collector, loop: str, mode: str
) -> None:
    def event(side: str, id: str, body: object) -> dict[str, Any]:
        named = {"type": TYPE + side, "id": id, "inferenceservicename": loop, "namespace": "team", "specversion": "1.0"}
        data = {"data": body} if mode == "json" else {"data_base64": base64.b64encode(orjson.dumps(body)).decode()}
        return {**named, **data, "time": TIME.isoformat()}

    events: list[Any] = [event("response", f"i{n}", {"predictions": ["x"]}) for n in range(3)]
    events += [event("request", f"i{n}", ROW) for n in range(3)]
    events += [7, {**events[0], "type": "other"}, {**events[0], "namespace": "../x"}, {**events[0], "time": "now"}]
    kind = {"content-type": "application/cloudevents-batch+json; charset=utf-8"}
    answer = httpx.post(f"{server.url}/events", content=orjson.dumps(events), headers=kind)
    assert answer.json()["outcomes"] == {"taken": 6, "invalid": 4}
    assert len(answer.json()["problems"]) == 4
    assert [p.id for p in held(server, loop, "i0", "i1", "i2")] == ["i0", "i1", "i2"]


def test_hashed_columns_of_payloads_are_kept_as_hashes(server: Collector, loop: str) -> None:
    for side, body in (("request", {"instances": [{"n": "secret"}]}), ("response", {"predictions": ["x"]})):
        tell(server, side, "i", loop, body, "?hash=n")
    (found,) = held(server, loop, "i")
    assert isinstance(found.features["n"], str)
    assert found.features["n"] != "secret"


@pytest.mark.parametrize("query", ["?colour=red", "?task=clustering", "?version=x", "?x"])
def test_a_url_that_says_something_else_is_refused(server: Collector, query: str) -> None:
    answer = httpx.post(f"{server.url}/events{query}", content=b"{}", headers=headers("request", "i", "a"))
    assert (answer.status_code, "expected" in answer.json()["error"]) == (400, True)


def test_what_is_no_event_is_refused(server: Collector) -> None:
    answer = httpx.post(f"{server.url}/events", json={"instances": []})
    assert (answer.status_code, "expected a CloudEvent" in answer.json()["error"]) == (400, True)


@pytest.mark.parametrize("backend", ["sqlite", "postgres"])
def test_sides_survive_a_kill_and_pairs_that_a_killed_one_left_are_kept_by_the_next(
    backend: str, request: pytest.FixtureRequest, tmp_path: Path
) -> None:
    url = f"sqlite:///{tmp_path}/records.db"
    if backend == "postgres":
        url = request.getfixturevalue("postgres").fresh()
    with collector(tmp_path, url) as server:
        tell(server, "request", "i", "a-v2", ROW)
        server.kill()
        # What one leaves that is killed between the two transactions, a while ago; and a side nobody answered.
        engine, then = sql_engine.connect(url), datetime.now(UTC) - timedelta(hours=2)
        half = Half("team", "a", "left", "request", 2, TIME, orjson.dumps(ROW))
        response = Half("team", "a", "left", "response", 2, TIME, b'{"predictions": ["x"]}')
        PayloadHalves(engine).put([half, response, Half("team", "a", "alone", "request", 2, TIME, b"{}")], then)
        engine.dispose()
        server.start()
        tell(server, "response", "i", "a-v2", {"predictions": ["y"]})
        until(lambda: held(server, "a", "left"), "the pair is found")
        assert [(p.id, p.answer) for p in held(server, "a", "i", "left", "alone")] == [("i", "y"), ("left", "x")]
        until(lambda: server.count("serinus_collector_events_total", outcome="unpaired") == 1, "the other is counted")
        assert server.count("serinus_collector_events_total", outcome="paired") == 4
