"""The predictor as callers meet it: the real process, real models, one kept-alive connection."""

from __future__ import annotations

import http.client
import json
import re
import signal
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from socket import create_connection
from typing import Any

import pytest

from serinus import artifact, models, sources
from serinus.models.scoring import answer
from serinus.spec import ModelLoop
from services.predictor.__main__ import main
from tests import data_sets

pytestmark = pytest.mark.xdist_group("predictor")  # the models are made and the long-lived process started once

V1, V2 = "/v1/models/parcels:predict", "/v2/models/parcels/infer"
JSON = {"content-type": "application/json"}
GOOD = {"weight": 2.0, "price": 20.0, "shop": "north"}
BINARY = "inference-header-content-length"
DEEP = b"[" * 100_000


@dataclass
class Predictor:
    """A running predictor and one connection to it."""

    process: subprocess.Popen[str]
    port: int
    log: Path
    connection: http.client.HTTPConnection

    def post(self, path: str, body: object, headers: dict[str, str] | None = None) -> tuple[int, Any]:
        """(status, answer) on our connection, which must not have been closed since."""
        content = body if isinstance(body, bytes) else json.dumps(body).encode()
        self.connection.request("POST", path, content, JSON if headers is None else headers)
        answer = self.connection.getresponse()
        return answer.status, json.loads(answer.read())

    def predict(self, **changed: object) -> tuple[int, Any]:
        return self.post(V1, {"instances": [{**GOOD, **changed}]})

    def get(self, path: str) -> tuple[int, str]:
        """(status, text) on a connection of its own."""
        connection = http.client.HTTPConnection("127.0.0.1", self.port, timeout=20)
        try:
            connection.request("GET", path)
            answer = connection.getresponse()
            return answer.status, answer.read().decode()
        finally:
            connection.close()

    def samples(self, prefix: str = "serinus_") -> dict[str, float]:
        """`name{labels}` -> value, as /metrics has them; loop and version are left out of the labels."""
        lines = [line for line in self.get("/metrics")[1].splitlines() if line.startswith(prefix)]
        pairs = [line.rsplit(" ", 1) for line in lines]
        return {re.sub(r'(loop|version)="[^"]*",?', "", name).replace(",}", "}"): float(v) for name, v in pairs}

    def read(self) -> float:
        """How many requests have had their rows checked, whether or not they are answered yet."""
        return self.samples("request_pre").get('request_preprocess_seconds_count{model_name="parcels"}', 0)

    def gained(self, before: dict[str, float]) -> dict[str, float]:
        """The counters that are larger than `before`, histogram left out."""
        return {
            name: value - before[name]
            for name, value in self.samples().items()
            if value != before[name] and "seconds" not in name
        }


@contextmanager
def serving(directory: Path, log: Path, *arguments: str, loop: str = "parcels") -> Iterator[Predictor]:
    command = ["--model-dir", str(directory), "--loop", loop, "--version", "7", "--port", "0", *arguments]
    with log.open("w") as errors:
        process = subprocess.Popen(
            [sys.executable, "-m", "services.predictor", *command], stdout=subprocess.PIPE, stderr=errors, text=True
        )
    assert process.stdout is not None
    try:
        ready = re.search(r"http://127\.0\.0\.1:(\d+)", process.stdout.readline())
        assert ready is not None, log.read_text()
        connection = http.client.HTTPConnection("127.0.0.1", int(ready[1]), timeout=30)
        yield Predictor(process, int(ready[1]), log, connection)
        connection.close()
    finally:
        process.kill()
        process.wait()
        process.stdout.close()


def until(what: Callable[[], bool], seconds: float = 20) -> None:
    """Wait for `what` to become true."""
    end = time.monotonic() + seconds
    while not what():
        assert time.monotonic() < end, f"not within {seconds} s"
        time.sleep(0.02)


def saved(made: tuple[ModelLoop, Any], folder: Path, code: Path | None = None) -> Path:
    """A model directory in `folder`, trained on `made`."""
    spec, frame = made
    dataset = sources.snapshot(frame, "made up", spec.spec.data.time, folder / "data")
    artifact.save(folder / "model", *models.fit(spec, frame, dataset, code))
    return folder / "model"


@pytest.fixture(scope="module")
def parcels(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return saved(data_sets.binary(rows=400), tmp_path_factory.mktemp("parcels"))


@pytest.fixture(scope="module")
def predictor(parcels: Path) -> Iterator[Predictor]:
    with serving(parcels, parcels.parent / "log") as running:
        yield running


# --- answers ---------------------------------------------------------------------------------------------------------


def test_it_answers_what_the_model_answers_in_v1_and_v2(predictor: Predictor, parcels: Path) -> None:
    rows = [GOOD, {**GOOD, "weight": None, "shop": "south"}, {**GOOD, "price": 300, "shop": None}]
    model = artifact.load(parcels)
    expected = answer(model.contract, model.estimator, models.frame(model.contract, rows))
    assert expected.labels is not None
    status, said = predictor.post(V1, {"instances": rows})
    assert (status, said) == (
        200,
        {
            "predictions": [
                {"label": label, "score": score} for label, score in zip(expected.labels, expected.scores, strict=True)
            ],
            "id": said["id"],
            "model_name": "parcels",
            "model_version": "7",
        },
    )
    assert re.fullmatch("[0-9a-f]{32}", said["id"])
    kinds = {"weight": "FP64", "price": "FP32", "shop": "BYTES"}
    tensors = [{"name": n, "shape": [3], "datatype": d, "data": [r[n] for r in rows]} for n, d in kinds.items()]
    assert predictor.post(V2, {"id": "mine-1", "inputs": tensors}) == (
        200,
        {
            "id": "mine-1",
            "model_name": "parcels",
            "model_version": "7",
            "outputs": [
                {"name": "label", "shape": [3], "datatype": "BYTES", "data": expected.labels},
                {"name": "score", "shape": [3], "datatype": "FP64", "data": expected.scores.tolist()},
            ],
        },
    )
    status, said = predictor.post(f"{V2[:-6]}/versions/7/infer", {"inputs": tensors, "outputs": [{"name": "score"}]})
    assert (status, [o["name"] for o in said["outputs"]]) == (200, ["score"])


def test_every_answer_has_its_id_in_a_header_too_and_no_two_are_the_same(predictor: Predictor) -> None:
    ids = []
    for _ in range(2):
        predictor.connection.request("POST", V1, json.dumps({"instances": [GOOD]}), JSON)
        said = predictor.connection.getresponse()
        ids += [said.headers["x-prediction-id"], json.loads(said.read())["id"]]
    assert (ids[0], ids[2]) == (ids[1], ids[3])
    assert ids[0] != ids[2]


def test_requests_are_counted_once_and_their_rows_by_bin(predictor: Predictor) -> None:
    before = predictor.samples()
    predictor.post(
        V1, {"instances": [{**GOOD, "weight": None, "shop": "café"}, {**GOOD, "weight": None, "shop": None}]}
    )
    gained = predictor.gained(before)
    assert gained.pop('serinus_predictions_total{outcome="ok"}') == 1
    assert gained['serinus_feature_bin_total{bin="missing",feature="weight"}'] == 2
    assert gained['serinus_feature_bin_total{bin="missing",feature="shop"}'] == 1
    assert gained['serinus_feature_bin_total{bin="0",feature="shop"}'] == 1
    by_metric = {m: sum(v for k, v in gained.items() if m in k) for m in ('feature="price"', "serinus_score_bin_total")}
    assert by_metric == {'feature="price"': 2, "serinus_score_bin_total": 2}
    after = predictor.samples()
    assert after["serinus_prediction_seconds_count{}"] - before["serinus_prediction_seconds_count{}"] == 1, (
        "one request, one latency"
    )


def test_it_listens_on_loopback_only_and_takes_no_orders(predictor: Predictor) -> None:
    with pytest.raises(ConnectionRefusedError), create_connection(("127.0.0.2", predictor.port), timeout=5):
        pass  # this would be us too if it listened on every address
    assert predictor.post("/v2/repository/models/parcels/unload", {})[0] == 405
    assert predictor.post("/v1/models/parcels:explain", {"instances": [GOOD]})[0] == 405
    assert predictor.predict()[0] == 200
    assert [predictor.get(p)[0] for p in ("/v2/health/live", "/v2/health/ready", "/v2/models/parcels/ready")] == [
        200
    ] * 3


def test_an_answer_does_not_wait_for_a_delayed_acknowledgement(predictor: Predictor) -> None:
    seconds = []
    for _ in range(30):
        start = time.perf_counter()
        assert predictor.predict()[0] == 200
        seconds.append(time.perf_counter() - start)
    assert min(seconds) < 0.03, "head and body sent apart cost 40 ms on every answer"


# --- bad bodies ------------------------------------------------------------------------------------------------------


def instance(text: str) -> bytes:
    """A V1 body with `text` as the price."""
    return b'{"instances": [{"weight": 2.0, "shop": "north", "price": %s}]}' % text.encode()


def tensors(**changed: Any) -> dict[str, Any]:
    """A V2 body with parts of its tensors replaced."""
    kinds = {"weight": "FP64", "price": "FP64", "shop": "BYTES"}
    return {
        "inputs": [
            {"name": n, "shape": [1], "datatype": d, "data": [GOOD[n]], **changed.get(n, {})} for n, d in kinds.items()
        ]
    }


BAD: dict[str, tuple[str, object, dict[str, str], int, str | None]] = {
    "not JSON": (V1, b"hello", JSON, 400, None),
    "nothing": (V1, b"", JSON, 400, None),
    "cut off": (V1, b'{"instances": [{"weight"', JSON, 400, None),
    "not UTF-8": (V1, b'{"instances": [{"shop": "caf\xe9"}]}', JSON, 400, None),
    "wrong type": (V1, instance('"cheap"'), JSON, 400, "price"),
    "true for a number": (V1, instance("true"), JSON, 400, "price"),
    "list for a number": (V1, instance("[1]"), JSON, 400, "price"),
    "number for a category": (V1, {"instances": [{**GOOD, "shop": 1}]}, JSON, 400, "shop"),
    "missing field": (V1, {"instances": [{"weight": 1, "shop": "north"}]}, JSON, 400, "price"),
    "extra field": (V1, {"instances": [{**GOOD, "color": "red"}]}, JSON, 400, "color"),
    "null field": (V1, instance("null"), JSON, 400, "price"),
    "unseen category": (V1, {"instances": [{**GOOD, "shop": "east"}]}, JSON, 400, "shop"),
    "empty list": (V1, {"instances": []}, JSON, 400, "instances"),
    "top level is a list": (V1, [], JSON, 400, None),
    "no instances": (V1, {}, JSON, 400, "instances"),
    "instances is no list": (V1, {"instances": GOOD}, JSON, 400, "instances"),
    "rows are no objects": (V1, {"instances": [[2.0, 20.0, "north"]]}, JSON, 400, "instances"),
    "too many rows": (V1, {"instances": [GOOD] * 10_001}, JSON, 400, "instances"),
    "a large batch with one bad row": (V1, {"instances": [*[GOOD] * 3000, {}]}, JSON, 400, "weight"),
    "NaN": (V1, instance("NaN"), JSON, 400, None),
    "Infinity": (V1, instance("-Infinity"), JSON, 400, None),
    "1e400": (V1, instance("1e400"), JSON, 400, None),
    "1e308": (V1, instance("1e308"), JSON, 400, "price"),
    "-1e308": (V1, instance("-1e308"), JSON, 400, "price"),
    "30 digits and more": (V1, instance("1" * 60), JSON, 400, "price"),
    "10 MB": (V1, b'{"instances": [' + b" " * 10_000_000, JSON, 413, None),
    "text": (V1, instance("1"), {"content-type": "text/plain"}, 415, "content-type"),
    "a form": (V1, instance("1"), {"content-type": "application/x-www-form-urlencoded"}, 415, "content-type"),
    "compressed": (V1, instance("1"), {**JSON, "content-encoding": "gzip"}, 415, "content-encoding"),
    "deep lists": (V1, DEEP, JSON, 400, None),
    "deep lists in a field": (V1, instance("[" * 900 + "]" * 900), JSON, 400, "price"),
    "deep objects": (V1, b'{"a":' * 100_000, JSON, 400, None),
    "wrong model": ("/v1/models/other:predict", {"instances": [GOOD]}, JSON, 404, None),
    "V2: wrong model": ("/v2/models/other/infer", tensors(), JSON, 404, None),
    "V2: wrong version": ("/v2/models/parcels/versions/6/infer", tensors(), JSON, 404, None),
    "V2: not JSON": (V2, b"{", JSON, 400, None),
    "V2: deep lists": (V2, DEEP, JSON, 400, None),
    "V2: NaN": (V2, b'{"inputs": [{"name": "price", "data": [NaN]}]}', JSON, 400, None),
    "V2: 1e308": (V2, tensors(price={"data": [1e308]}), JSON, 400, "price"),
    "V2: no tensors": (V2, {"inputs": []}, JSON, 400, "inputs"),
    "V2: missing tensor": (V2, {"inputs": tensors()["inputs"][:1]}, JSON, 400, "price"),
    "V2: unknown tensor": (V2, tensors(price={"name": "cost"}), JSON, 400, "cost"),
    "V2: doubled tensor": (V2, tensors(price={"name": "weight"}), JSON, 400, "weight"),
    "V2: shape against data": (V2, tensors(price={"shape": [2]}), JSON, 400, "price"),
    "V2: ragged": (V2, tensors(price={"shape": [2], "data": [1, 2]}), JSON, 400, "price"),
    "V2: wrong datatype": (V2, tensors(price={"datatype": "BYTES"}), JSON, 400, "price"),
    "V2: null": (V2, tensors(price={"data": [None]}), JSON, 400, "price"),
    "V2: unseen category": (V2, tensors(shop={"data": ["east"]}), JSON, 400, "shop"),
    "V2: id that would break a header": (V2, {**tensors(), "id": "a\r\nset-cookie: b"}, JSON, 400, "id"),
    "V2: unknown output": (V2, {**tensors(), "outputs": [{"name": "magic"}]}, JSON, 400, "outputs"),
    "V2: binary tensors": (V2, b"{}1234", {**JSON, BINARY: "2"}, 415, BINARY),
}  # fmt: skip


@pytest.mark.parametrize("case", BAD.values(), ids=BAD.keys())
def test_a_bad_body_gets_4xx_with_its_field_is_counted_and_leaves_the_connection_usable(
    predictor: Predictor, case: tuple[str, object, dict[str, str], int, str | None]
) -> None:
    path, body, headers, status, field = case
    assert predictor.predict()[0] == 200
    socket = predictor.connection.sock
    before = predictor.samples()
    answered, said = predictor.post(path, body, headers)
    assert (answered, said.get("field")) == (status, field), said
    assert set(said) == ({"error", "field"} if field else {"error"})
    assert field is None or field in said["error"]
    assert "Traceback" not in said["error"]
    assert "\n" not in said["error"]
    assert len(said["error"]) < 400
    gained = predictor.gained(before)
    assert gained.pop('serinus_predictions_total{outcome="invalid"}') == 1
    assert set(gained) <= {
        f'serinus_feature_bin_total{{bin="{bin}",feature="{field}"}}' for bin in ("missing", "unseen")
    }, "of a refused row only the culprit is counted, where it is missing or unseen"
    assert predictor.predict()[0] == 200
    assert predictor.connection.sock is socket, "the connection was dropped"


def test_a_refused_category_is_counted_as_unseen_and_a_missing_field_as_missing(predictor: Predictor) -> None:
    before = predictor.samples()
    predictor.post(V1, {"instances": [{**GOOD, "shop": "east"}, GOOD, {**GOOD, "shop": "west"}]})
    predictor.post(V1, {"instances": [{"weight": 1.0, "price": 1.0}]})
    assert predictor.gained(before) == {
        'serinus_predictions_total{outcome="invalid"}': 2,
        'serinus_feature_bin_total{bin="unseen",feature="shop"}': 2,
        'serinus_feature_bin_total{bin="missing",feature="shop"}': 1,
    }


# --- other tasks, other settings -------------------------------------------------------------------------------------


def test_three_classes_with_unseen_categories_accepted(tmp_path: Path) -> None:
    directory = saved(data_sets.multiclass(rows=400), tmp_path)
    row = {"rain_mm": 600, "height_m": 10, "soil": "moss"}
    with serving(directory, tmp_path / "log", "--unseen", "accept", "--max-body", "200", loop="fields") as running:
        before = running.samples()
        status, said = running.post("/v1/models/fields:predict", {"instances": [row]})
        (prediction,) = said["predictions"]
        assert (status, set(prediction)) == (200, {"label", "score", "probabilities"})
        assert set(prediction["probabilities"]) == {"barley", "oats", "rye"}
        assert prediction["score"] == max(prediction["probabilities"].values())
        assert prediction["score"] == prediction["probabilities"][prediction["label"]]
        assert running.gained(before)['serinus_feature_bin_total{bin="unseen",feature="soil"}'] == 1
        assert running.post("/v1/models/fields:predict", {"instances": [row] * 5})[0] == 413
        outputs = json.loads(running.get("/v2/models/fields")[1])["outputs"]
        assert [(o["name"], o["shape"]) for o in outputs] == [
            ("label", [-1]),
            ("score", [-1]),
            ("probabilities", [-1, 3]),
        ]


def test_a_regression_answers_values(tmp_path: Path) -> None:
    directory = saved(data_sets.regression(rows=400), tmp_path)
    row = {"people": 3, "garden_m2": None, "heating": "oil"}
    with serving(directory, tmp_path / "log", loop="water") as running:
        status, said = running.post("/v1/models/water:predict", {"instances": [row]})
        assert (status, [set(p) for p in said["predictions"]]) == (200, [{"value"}])
        assert 100 < said["predictions"][0]["value"] < 600


# --- a model that misbehaves -----------------------------------------------------------------------------------------

FAULTY = '''
import sys, threading, time
from pathlib import Path
import numpy as np
from sklearn.base import BaseEstimator, ClassifierMixin

TOGETHER = threading.Barrier(3)
GATE = Path(__file__).with_name("gate")

class Faulty(ClassifierMixin, BaseEstimator):
    """Answers 0.5, but for some prices."""

    def fit(self, X, y):
        self.classes_ = np.unique(y)
        return self

    def predict_proba(self, X):
        price = X["price"].iloc[0]
        answers = np.full((len(X), 2), 0.5)
        if price == 1001:
            raise ValueError("a secret of the house")
        if price == 1002:
            sys.exit(3)
        if price == 1003:
            answers[:] = np.nan
        if price == 1004:
            answers = answers[:0]
        if price == 1005:
            TOGETHER.wait(timeout=20)
        if price == 1006:
            end = time.monotonic() + 60
            while not GATE.exists() and time.monotonic() < end:
                time.sleep(0.01)
        return answers

def fit(X, y, params):
    return Faulty().fit(X, y)
'''


@pytest.fixture(scope="module")
def faulty(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A model of a user's own type, and beside it the folder with its code."""
    folder = tmp_path_factory.mktemp("faulty")
    (folder / "code").mkdir()
    (folder / "code" / "faulty_predictor_types.py").write_text(FAULTY)
    training = {"python": "faulty_predictor_types:fit", "trust": ["faulty_predictor_types.Faulty"]}
    return saved(data_sets.binary(rows=200, training=training), folder, folder / "code")


def own_code(directory: Path) -> list[str]:
    return ["--trust", "faulty_predictor_types.Faulty", "--code", str(directory.parent / "code")]


@pytest.fixture
def gate(faulty: Path) -> Iterator[Path]:
    """The file that lets the requests go which wait in the model."""
    path = faulty.parent / "code" / "gate"
    yield path
    path.unlink(missing_ok=True)


def test_a_model_that_fails_is_a_500_without_its_secrets_and_everything_goes_on(faulty: Path, gate: Path) -> None:
    with serving(faulty, faulty.parent / "log1", *own_code(faulty)) as running, ThreadPoolExecutor(8) as pool:
        assert running.predict()[0] == 200
        socket, before = running.connection.sock, running.samples()
        for price in (1001, 1001, 1002, 1003, 1004):
            said = running.predict(price=price)
            assert said == (500, {"error": "the model failed on this request; the server's log says why"})
        assert running.gained(before) == {'serinus_predictions_total{outcome="error"}': 5}
        assert running.connection.sock is socket
        log = running.log.read_text()
        assert (log.count("model failed: id="), log.count("Traceback")) == (5, 4), "a traceback once for each place"

        together = [pool.submit(alone, running, 1005) for _ in range(3)]
        assert [t.result() for t in together] == [200] * 3, "three slow requests are in the model at once"

        waiting = pool.submit(alone, running, 1006)
        until(lambda: running.read() == 10)
        assert (running.get("/v2/health/ready")[0], running.predict()[0], waiting.done()) == (200, 200, False)
        gate.touch()
        assert waiting.result() == 200


def alone(running: Predictor, price: float) -> int:
    """The status of a request on a connection of its own."""
    connection = http.client.HTTPConnection("127.0.0.1", running.port, timeout=60)
    try:
        connection.request("POST", V1, json.dumps({"instances": [{**GOOD, "price": price}]}), JSON)
        return connection.getresponse().status
    finally:
        connection.close()


def test_more_requests_than_may_wait_are_sent_away_and_what_outlasts_the_grace_is_given_up(faulty: Path) -> None:
    few = ["--threads", "1", "--queue", "1", "--drain", "0", "--grace", "1"]
    with serving(faulty, faulty.parent / "log2", *own_code(faulty), *few) as running, ThreadPoolExecutor(2) as pool:
        hung = [pool.submit(alone, running, 1006) for _ in range(2)]
        until(lambda: running.read() == 2)
        before = running.samples()
        running.connection.request("POST", V1, json.dumps({"instances": [GOOD]}), JSON)
        said = running.connection.getresponse()
        assert (said.status, said.headers["retry-after"]) == (503, "1")
        assert "2 requests are in work or waiting" in json.loads(said.read())["error"]
        assert running.gained(before) == {'serinus_predictions_total{outcome="error"}': 1}
        running.process.send_signal(signal.SIGTERM)
        assert running.process.wait(timeout=20) == 1
        assert "gave up 2 requests" in running.log.read_text()
        assert [h.result() for h in hung] == [500, 500]


# --- from start to end -----------------------------------------------------------------------------------------------


def test_a_drain_loses_no_request(parcels: Path, tmp_path: Path) -> None:
    with serving(parcels, tmp_path / "log", "--drain", "60") as running:
        stop = threading.Event()
        statuses: list[int] = []
        goodbyes: list[bool] = []

        def keep_asking() -> None:
            connection = http.client.HTTPConnection("127.0.0.1", running.port, timeout=20)
            while not stop.is_set():
                connection.request("POST", V1, json.dumps({"instances": [GOOD]}), JSON)
                said = connection.getresponse()
                said.read()
                statuses.append(said.status)
                goodbyes.append(said.headers["connection"] == "close")
            connection.close()

        with ThreadPoolExecutor(3) as pool:
            callers = [pool.submit(keep_asking) for _ in range(3)]
            until(lambda: len(statuses) >= 30)
            assert not any(goodbyes)
            running.process.send_signal(signal.SIGTERM)
            until(lambda: running.get("/v2/health/ready")[0] == 503)
            at = len(statuses)
            until(lambda: len(statuses) >= at + 30)  # a router needs a moment to see it; they are answered all the same
            stop.set()
            for caller in callers:
                caller.result()
        assert set(statuses) == {200}
        assert all(goodbyes[-3:])
        assert running.process.poll() is None
        running.process.send_signal(signal.SIGTERM)  # a second one ends the wait
        assert running.process.wait(timeout=20) == 0


def test_a_request_that_outlasts_the_drain_is_answered_before_the_process_ends(faulty: Path, gate: Path) -> None:
    with (
        serving(faulty, faulty.parent / "log3", *own_code(faulty), "--drain", "0.5") as running,
        ThreadPoolExecutor(1) as pool,
    ):
        waiting = pool.submit(alone, running, 1006)
        until(lambda: running.read() == 1)
        signalled = time.monotonic()
        running.process.send_signal(signal.SIGTERM)

        def refused() -> bool:
            try:
                running.get("/v2/health/live")
            except OSError:
                return True
            return False

        until(refused)
        assert time.monotonic() - signalled >= 0.5
        assert not waiting.done()
        gate.touch()
        assert waiting.result() == 200
        assert running.process.wait(timeout=20) == 0


def test_a_tampered_model_is_never_served(parcels: Path, tmp_path: Path) -> None:
    for file in parcels.iterdir():
        (tmp_path / file.name).write_bytes(file.read_bytes())
    model = tmp_path / "model.skops"
    model.write_bytes(model.read_bytes().replace(b"HistGradientBoosting", b"HistGradientBoostinG", 1))
    command = ["--model-dir", str(tmp_path), "--loop", "parcels", "--version", "7", "--port", "0"]
    ended = subprocess.run(
        [sys.executable, "-m", "services.predictor", *command], capture_output=True, text=True, timeout=60, check=False
    )
    assert (ended.returncode, ended.stdout) == (1, "")
    (line,) = ended.stderr.splitlines()
    assert line.startswith(f"predictor: {model}: expected sha256 ")


@pytest.fixture
def spared(monkeypatch: pytest.MonkeyPatch) -> None:
    """`main` runs in our own process: it may empty the command line, but not for good."""
    monkeypatch.setattr(sys, "argv", list(sys.argv))


@pytest.mark.usefixtures("spared")
def test_a_model_that_cannot_be_served_is_said_in_one_line(
    parcels: Path, faulty: Path, predictor: Predictor, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    model = artifact.load(parcels)
    changed = tmp_path / "changed"
    values = {**vars(model.contract), "expected": (0.123, *model.contract.expected[1:])}
    artifact.save(changed, model.estimator, type(model.contract)(**values))
    empty = tmp_path / "empty"
    artifact.save(empty, model.estimator, type(model.contract)(**{**values, "examples": (), "expected": ()}))

    def said(directory: Path, loop: str = "parcels", port: int = 0) -> str:
        arguments = ["--model-dir", str(directory), "--loop", loop, "--version", "7", "--port", str(port)]
        assert main(arguments) == 1
        (line,) = capsys.readouterr().err.splitlines()
        return line.removeprefix("predictor: ")

    assert said(parcels, loop="other") == f"{parcels}: expected a model of loop 'other', got one of 'parcels'"
    assert said(changed).startswith(
        f"{changed}: expected the score 0.123 for example 0 as when the model was made, got "
    )
    assert said(empty).startswith(f"{empty}: expected examples with a score each to try the model on, got 0 examples")
    assert "holds types that nobody allowed: faulty_predictor_types.Faulty" in said(faulty)
    assert said(parcels, port=predictor.port).startswith(
        f"cannot bind 127.0.0.1:{predictor.port}: Address already in use"
    )
