"""A loop whose file begins to say `collect`: answers are kept, labels come, people ask, and are forgotten."""

from __future__ import annotations

import json
import signal
import sqlite3
from collections.abc import Iterator
from contextlib import suppress
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from typing import Any

import httpx
import pandas as pd
import psutil
import pytest

from serinus.adapters.collector_api import CollectorClient
from serinus.errors import Unavailable
from serinus.facts import Record, TallyQuestion
from tests.servers import loops
from tests.servers.callers import calls
from tests.servers.loops import Loop
from tests.unit.cli_state import serinus

pytestmark = [pytest.mark.xdist_group("supervisor-collecting"), pytest.mark.timeout(400)]

SPEC: dict[str, Any] = {
    "collect": {"key": "order", "hash": ["shop"]},
    "labels": {"delay": "0s"},
    "quality": {"metric": "accuracy", "window": "1d"},
    "rollout": {
        **loops.FAST["rollout"],
        "strategy": "shadow",
        "guardrails": {"errors": {"margin": 0.1}, **dict.fromkeys(("rejections", "latency", "slowdown", "scores"))},
    },
    "training": {"estimator": "logistic-regression", "trust": ["afraid_of_a_user.Afraid"]},
    "value": {"unit": "EUR", "worth": {"kept": {"kept": 2.0}, "returned": {"kept": -10.0}}},
}

AFRAID = '''
"""A model that fails on what is heavier than what it has seen."""

from sklearn.linear_model import LogisticRegression


class Afraid(LogisticRegression):
    def predict_proba(self, X):
        if (X["weight"] > 90).any():
            raise KeyError("no such weight")
        return super().predict_proba(X[["price"]])

    def fit(self, X, y):
        return super().fit(X[["price"]], y)


def fit(X, y, params):
    return Afraid().fit(X, y)
'''


@pytest.fixture(scope="module")
def loop(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Loop]:
    """Up without `collect`, which the file gets later."""
    with loops.furnished(tmp_path_factory.mktemp("collecting") / "loop") as running:
        (running.code / "afraid_of_a_user.py").write_text(AFRAID)
        running.up()
        running.serves(1)
        assert "collector" not in running.pids()
        with calls(running, running.rows(8), rate=20) as got:
            running.edit(**SPEC)
            running.until(lambda: "collector" in running.pids(), "the collector runs")
            keyed = [{**running.rows(1)[0], "order": "first"}]
            running.until(lambda: running.predict(keyed).status_code == 200, "a predictor that knows of it serves")
        assert got.failed() == [], "nobody notices that the predictor was replaced"
        yield running


def client(loop: Loop) -> CollectorClient:
    return CollectorClient(loop.addresses.url("collector"), by="a test")


def kept(loop: Loop, *keys: str, ids: tuple[str, ...] = (), count: int = 1) -> tuple[Record, ...]:
    """The records with these keys and ids, once they are there."""
    with_these: list[tuple[Record, ...]] = []

    def there() -> bool:
        with suppress(Unavailable):  # it is being started again
            with_these.append(client(loop).find(loop.name, ids, keys))
        return bool(with_these) and len(with_these[-1]) == count

    loop.until(there, f"{count} records are kept")
    return with_these[-1]


def rows_since(loop: Loop, since: datetime) -> int:
    """How many answered rows are kept from then on."""
    hour = timedelta(hours=1)
    return sum(t.rows for t in client(loop).tally(loop.name, TallyQuestion(since, since + hour, hour.total_seconds())))


def answered_by(loop: Loop, version: int) -> float:
    """How many requests the version's predictor has answered, copies included, as Prometheus knows."""
    query = {"query": f'sum(serinus_predictions_total{{version="{version}"}})'}
    url = loop.addresses.url("prometheus") + "/api/v1/query"
    result = httpx.get(url, params=query, timeout=5, trust_env=False).json()["data"]["result"]
    return float(result[0]["value"][1]) if result else 0.0


def said(loop: Loop, *words: object, code: int = 0) -> str:
    """What a command says, on both streams."""
    result = serinus(*words, "--state", loop.state)
    assert result.exit_code == code, result.output
    return result.output


def answered(loop: Loop, *words: object, code: int = 0) -> Any:
    """The same as JSON."""
    result = serinus(*words, "--state", loop.state, "-o", "json")
    assert result.exit_code == code, result.output
    return json.loads(result.stdout)


@dataclass(frozen=True)
class Given:
    """Twelve answers to one row with keys order-0 ..., and a request of two rows; 9 of the 12 turn out to be right."""

    ids: list[str]
    batch: str
    row: dict[str, Any]
    answer: str
    by_id: dict[str, Any]  # what became of six labels as CSV, one for nobody yet, one that is none
    by_key: dict[str, Any]  # of six as Parquet
    again: dict[str, Any]  # of the same file, added again

    @property
    def other(self) -> str:
        """The wrong answer."""
        return "returned" if self.answer == "kept" else "kept"


@pytest.fixture(scope="module")
def given(loop: Loop) -> Given:
    row, ids = loop.rows(1)[0], []
    for number in range(12):
        said = loop.predict([{**row, "order": f"order-{number}"}]).json()
        ids.append(said["id"])
    answer = said["predictions"][0]["label"]
    batch = loop.predict([row, row]).json()["id"]
    kept(loop, *(f"order-{n}" for n in range(12)), ids=(f"{batch}/0", f"{batch}/1"), count=14)
    truths = [answer] * 9 + ["returned" if answer == "kept" else "kept"] * 3
    by_id, by_key = loop.folder / "labels.csv", loop.folder / "labels.parquet"
    lines = [f"{id},{truth}" for id, truth in zip(ids[:6], truths, strict=False)]
    by_id.write_text("\n".join(["id,truth", *lines, f"a-later-one,{answer}", ",kept", ""]))
    keys = [f"order-{n}" for n in range(6, 12)]
    pd.DataFrame({"o": keys, "t": truths[6:], "w": pd.Timestamp.now("UTC")}).to_parquet(by_key)
    words = ("labels", "add", by_key, "--key", "o", "--value", "t", "--time", "w")
    first = answered(loop, "labels", "add", by_id, code=1)
    return Given(ids, batch, row, answer, first, answered(loop, *words), answered(loop, *words))


def test_answers_are_kept_under_their_ids_and_keys_and_hashed_columns_cannot_be_read(loop: Loop, given: Given) -> None:
    (one,) = kept(loop, "order-0")
    rows = kept(loop, ids=(f"{given.batch}/0", f"{given.batch}/1"), count=2)
    assert (one.prediction.id, one.prediction.version, one.prediction.answer) == (given.ids[0], 1, given.answer)
    assert one.prediction.features["price"] == given.row["price"]
    assert one.prediction.features["shop"] not in (given.row["shop"], None)
    assert {row.prediction.features["shop"] for row in rows} == {one.prediction.features["shop"]}


def test_labels_come_by_id_and_by_key_from_files_and_each_has_its_outcome(loop: Loop, given: Given) -> None:
    assert given.by_id["outcomes"] == {"joined": 6, "waiting": 1, "invalid": 1}
    assert given.by_id["problems"] == ["line 9: id: expected an id or a business key, got nothing"]
    assert (given.by_key["outcomes"], given.again["outcomes"]) == ({"joined": 6}, {"same": 6})

    def scraped() -> float:
        query = {"query": 'sum(serinus_labels_total{loop="parcels",outcome="joined"})'}
        url = loop.addresses.url("prometheus") + "/api/v1/query"
        found = httpx.get(url, params=query, trust_env=False).json()["data"]["result"]
        return float(found[0]["value"][1]) if found else 0.0

    loop.until(lambda: scraped() == 12, "Prometheus has scraped the collector", 30)


def test_which_says_what_answered_made_of_what_and_what_was_true(loop: Loop, given: Given) -> None:
    (found,) = answered(loop, "which", given.ids[0])
    assert (found["record"]["prediction"]["id"], found["record"]["truth"]) == (given.ids[0], given.answer)
    assert found["version"]["number"] == 1
    assert found["version"]["dataset"] == found["contract"]["dataset"]["version"]
    text = said(loop, "which", f"{given.batch}/1")
    for words in ("not known yet", "rows of made up", found["version"]["trigger"]):
        assert words in text
    both = answered(loop, "which", given.batch)
    assert [each["record"]["prediction"]["id"] for each in both] == [f"{given.batch}/0", f"{given.batch}/1"]
    assert "keeps nothing of prediction nobody" in said(loop, "which", "nobody", code=1)


def test_quality_counts_what_was_right_what_is_labelled_and_what_it_was_worth(loop: Loop, given: Given) -> None:
    found = answered(loop, "quality", "--last", "2")
    windows = [w for w in found["versions"]["1"]["windows"] if w["labelled"]]
    assert (found["metric"], found["unit"], found["champion"]) == ("accuracy", "EUR", 1)
    assert sum(w["labelled"] for w in windows) == 12
    assert sum(w["measured"]["value"] * w["labelled"] for w in windows) == pytest.approx(9)
    right, wrong = (2.0, -10.0) if given.answer == "kept" else (0.0, 0.0)
    assert sum(w["worth"] for w in windows) == 9 * right + 3 * wrong
    text = said(loop, "quality", "--window", "365d", "--by", "shop")
    for words in ("0.750", "worth, EUR", "12 of "):
        assert words in text


def test_somebody_is_forgotten_for_good_with_who_and_why(loop: Loop, given: Given) -> None:
    row = {**given.row, "order": "gone"}
    assert loop.predict([row]).status_code == 200
    kept(loop, "gone")
    assert "--yes says so" in said(loop, "erase", "--key", "gone", "-m", "asked for", code=1)
    assert kept(loop, "gone")
    text = said(loop, "erase", "--key", "gone", "--reason", "asked for on paper", "--by", "ann", "--yes")
    assert "1 predictions of parcels were erased" in text
    assert "No version was made from production" in text
    assert "or was erased" in said(loop, "which", "--key", "gone", code=1)
    labels = loop.folder / "more.jsonl"
    labels.write_text(json.dumps({"key": "gone", "truth": given.other}))
    assert answered(loop, "labels", "add", labels)["outcomes"] == {"erased": 1}
    deeds = [json.loads(line)["deed"] for line in (loop.state / "audit.jsonl").read_text().splitlines()]
    (deed,) = [deed for deed in deeds if deed["kind"] == "Erased"]
    assert (deed["by"], "asked for on paper" in deed["message"], "gone" in deed["message"]) == ("ann", True, False)


def test_a_collector_killed_in_the_middle_costs_no_answer_and_nothing_that_it_had_acknowledged(loop: Loop) -> None:
    since = datetime.now(UTC)
    rows = [{**row, "order": "under-load"} for row in loop.rows(8)]
    with calls(loop, rows, rate=100) as got:
        loop.until(lambda: len(got.answers) > 50, "requests are answered")
        loop.until(lambda: len(client(loop).find(loop.name, (), ["under-load"])) > 0, "some are kept")
        before = client(loop).find(loop.name, (), ["under-load"])
        loop.kill("collector")
        loop.until(lambda: "collector" in loop.pids(), "it is started again")
        more = len(got.answers) + 50
        loop.until(lambda: len(got.answers) > more, "requests go on")
    assert got.failed() == []
    after = kept(loop, "under-load", count=len(got.answers))
    assert {r.prediction.id for r in before} <= {r.prediction.id for r in after}
    assert rows_since(loop, since) == len(got.answers), "each row once"
    assert any("collector had ended (SIGKILL" in line for line in loop.log.read_text().splitlines())


def test_a_shadow_that_fails_is_rolled_back_and_neither_callers_nor_records_know_of_it(loop: Loop) -> None:
    at, champion = datetime.now(UTC), loop.status.champion
    version = loop.register(python="afraid_of_a_user:fit", params={}, trust=["afraid_of_a_user.Afraid"])
    rows = [{**row, "order": "copied"} for row in [*loop.rows(3), {**loop.rows(1)[0], "weight": 99.0}]]
    with calls(loop, rows, rate=40) as got:
        started = loop.happens("RolloutStarted", at, 180)
        event = loop.happens("RolledBack", at)
    assert started.message == f"version {version} now gets a copy of 100 % of the requests: its server is ready"
    assert "errors: canary" in event.message
    assert (got.failed(), [*got.by_version()], loop.status.champion) == ([], [champion], champion)
    assert answered_by(loop, version) > 0
    kept(loop, "copied", count=len(got.answers))
    assert rows_since(loop, at) == len(got.answers), "those of the version that answered, each once"


def test_a_shadow_that_is_found_safe_answers_everybody_and_is_kept_from_then_on(loop: Loop) -> None:
    at, champion = datetime.now(UTC), loop.status.champion
    version = loop.register()
    with calls(loop, [{**row, "order": "safe"} for row in loop.rows()], rate=40) as got:
        started, _ = loop.happens("RolloutStarted", at, 180), loop.happens("Promoted", at, 180)
        loop.until(lambda: version in got.by_version(), "it answers callers")
    assert "now gets a copy of 100 % of the requests" in started.message
    assert (got.failed(), sorted(got.by_version())) == ([], [champion, version])
    both = got.by_version()[version] + loop.spec.spec.rollout.min_requests
    loop.until(lambda: answered_by(loop, version) >= both, "it has answered callers, and copies before", 30)
    records = kept(loop, "safe", count=len(got.answers))
    assert {r.prediction.id: r.prediction.version for r in records} == {a.id: a.version for a in got.answers}
    assert rows_since(loop, at) == len(got.answers), "each row once"


def test_the_last_answers_before_the_end_are_kept_and_nothing_is_left_running(loop: Loop) -> None:
    answer = loop.predict([{**loop.rows(1)[0], "order": "last"}])
    assert answer.status_code == 200
    key, mode = loop.state / "collector" / "hash-key", 0o600
    assert key.stat().st_mode & 0o777 == mode
    family = loop.family()
    assert loop.signal(signal.SIGTERM) == 0
    assert not [p for p in family if p.is_running() and p.status() != psutil.STATUS_ZOMBIE]
    with sqlite3.connect(loop.state / "collector" / "records.db") as database:
        assert database.execute("select count(*) from predictions where key = 'last'").fetchone() == (1,)
