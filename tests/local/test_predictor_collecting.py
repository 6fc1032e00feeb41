"""The real predictor and the rows that it hands on."""

from __future__ import annotations

import signal
from pathlib import Path

import pytest

from services.local.addresses import free_port
from services.predictor.__main__ import arguments
from tests import data_sets
from tests.local.test_predictor import GOOD, V1, V2, Predictor, saved, serving, tensors, until
from tests.servers.collecting import taking

pytestmark = pytest.mark.xdist_group("predictor")


@pytest.fixture(scope="module")
def parcels(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return saved(data_sets.binary(rows=400), tmp_path_factory.mktemp("parcels"))


def collected(running: Predictor) -> dict[str, float]:
    return {
        name.removeprefix("serinus_collect_").replace("{}", ""): value
        for name, value in running.samples("serinus_collect").items()
    }


def test_answers_are_handed_on_as_they_were_given_and_the_last_ones_before_the_process_ends(
    parcels: Path, tmp_path: Path
) -> None:
    with (
        taking() as taker,
        serving(parcels, tmp_path / "log", "--collector", taker.url, "--key", "order", "--hash", "shop",
                "--columns", "weight", "--columns", "shop", "--drain", "0.1") as running,
    ):  # fmt: skip
        assert collected(running) == {
            "queue": 0, "sent_total": 0, 'dropped_total{reason="overflow"}': 0,
            'dropped_total{reason="refused"}': 0, 'dropped_total{reason="ended"}': 0,
        }  # fmt: skip
        assert running.predict(price="cheap")[0] == 400
        copied = {"host": f"127.0.0.1-shadow:{running.port}"}
        assert running.post(V1, {"instances": [{**GOOD, "order": "A-16"}]}, copied)[0] == 200
        status, one = running.predict(order="A-17")
        assert status == 200, one
        until(lambda: len(taker.rows) == 1)
        assert {k: v for k, v in taker.rows[0].items() if k != "time"} == {
            "id": one["id"], "version": 7, "features": {"weight": 2.0, "shop": "north"}, "key": "A-17",
            "score": one["predictions"][0]["score"], "answer": one["predictions"][0]["label"],
        }  # fmt: skip
        assert taker.bodies[0]["hash"] == ["shop"]
        mine = {**tensors(), "id": "mine"}
        mine["inputs"].append({"name": "order", "shape": [1], "datatype": "BYTES", "data": ["A-18"]})
        assert running.post(V2, mine)[0] == 200
        _, batch = running.post(V1, {"instances": [GOOD, GOOD]})
        running.process.send_signal(signal.SIGTERM)
        assert running.process.wait(20) == 0
        assert [(row["id"], row["key"]) for row in taker.rows[1:]] == [
            ("mine", "A-18"), (f"{batch['id']}/0", ""), (f"{batch['id']}/1", ""),
        ]  # fmt: skip


def test_a_dead_collector_costs_rows_and_no_answer(parcels: Path, tmp_path: Path) -> None:
    dead = f"http://127.0.0.1:{free_port()}"
    words = ("--collector", dead, "--collector-queue", "5", "--drain", "0.1")
    with serving(parcels, tmp_path / "log", *words) as running:
        assert [running.predict()[0] for _ in range(8)] == [200] * 8
        assert running.post(V1, {"instances": [{**GOOD, "order": "A-17"}]})[1]["field"] == "order", "no --key, no key"
        found = collected(running)
        assert (found["queue"], found['dropped_total{reason="overflow"}'], found["sent_total"]) == (5, 3, 0)
        running.process.send_signal(signal.SIGTERM)
        assert running.process.wait(20) == 0
        assert f"5 answered rows were not taken by the collector at {dead}" in running.log.read_text()


@pytest.mark.parametrize(
    ("words", "text"),
    [
        (("--collector", "http://127.0.0.1:1", "--version", "final"), "expected a whole number beside --collector"),
        (("--sample", "1.5"), "expected a share above 0 and at most 1, got 1.5"),
    ],
)
def test_arguments_that_cannot_be_meant_are_said(
    words: tuple[str, ...], text: str, capsys: pytest.CaptureFixture[str]
) -> None:
    with pytest.raises(SystemExit) as ended:
        arguments(["--model-dir", "x", "--loop", "x", "--version", "1", *words])
    assert ended.value.code == 2
    assert text in capsys.readouterr().err
