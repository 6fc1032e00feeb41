"""What the database of records promises beyond its ports: hashes, writers at once, migrations, errors that tell."""

from __future__ import annotations

from collections import Counter
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace
from pathlib import Path
from random import Random
from typing import Any

import pytest
import sqlalchemy as sa

from serinus.adapters import migrations, records_sql, sql_engine
from serinus.adapters.records_sql import SqlRecords
from serinus.errors import Fatal
from serinus.facts import Label, Prediction, Record, RowsQuestion, Taken, TallyQuestion, Value
from tests.contract.records_cases import ALWAYS, label, later, prediction, said
from tests.servers.databases import engine, url
from tests.servers.postgres import Postgres, postgres
from tests.servers.prometheus import until

__all__ = ["engine", "postgres", "url"]  # fixtures
KEY = b"0123456789abcdef"


@pytest.fixture
def records(engine: sa.Engine) -> SqlRecords:
    return SqlRecords(engine, "ns", KEY)


def test_labels_wait_until_their_prediction_comes(records: SqlRecords) -> None:
    records.add("a", [prediction("p", key="k")])
    records.label("a", [label(id="p"), label(key="k"), label(id="q"), label(id="r"), label(key="other")])
    assert records.waiting("a") == 3
    records.add("a", [prediction("q"), prediction("s", key="other")])
    assert records.waiting("a") == 1
    records.erase("a", ["q"])
    records.expire("a", later(5))
    records.label("a", [label("no", 20, id="r")])
    assert records.waiting("a") == 1, "what is gone does not make its label wait again"
    assert records.waiting("b") == 0


@pytest.mark.parametrize(
    "bad",
    [
        replace(prediction(), time=later(0).replace(tzinfo=None)),
        prediction(score=float("nan")),
        prediction("", score=float("inf")),
        prediction("half \ud800"),
        prediction(features={"half": "\ud800"}),
        prediction(features={"object": {}}),  # type: ignore[dict-item]  # what callers may send all the same
        replace(prediction(), version="1"),  # type: ignore[arg-type]
        replace(prediction(), score="much"),  # type: ignore[arg-type]
        replace(prediction(), id=7),  # type: ignore[arg-type]
    ],
    ids=range(9),
)
def test_what_no_database_could_hold_is_invalid(records: SqlRecords, bad: Prediction) -> None:
    assert said(records.add("a", [bad, prediction("good")])) == ({"invalid": 1, "new": 1}, 1)
    (good,) = records.rows("a", RowsQuestion(ALWAYS))
    assert good.prediction.id == "good"


@pytest.mark.parametrize(
    "bad",
    [
        replace(label(id="p"), at=later(0).replace(tzinfo=None)),
        label(float("nan"), id="p"),
        label(float("-inf"), id="p"),
        label(None, id="p"),  # type: ignore[arg-type]
        label(id="half \ud800"),
    ],
    ids=range(5),
)
def test_a_truth_that_is_none_is_invalid(records: SqlRecords, bad: Label) -> None:
    assert said(records.label("a", [bad, label(id="good")])) == ({"invalid": 1, "waiting": 1}, 1)


def test_features_that_json_does_not_know_are_kept_as_the_nearest_it_knows(records: SqlRecords) -> None:
    given = {"nan": float("nan"), "inf": float("inf"), "yes": True, "whole": 3}
    records.add("a", [prediction(features=given)])
    (record,) = records.find("a", ["p"])
    assert record.prediction.features == {"nan": None, "inf": None, "yes": "True", "whole": 3.0}


def test_names_that_no_database_could_hold_are_nobodys(records: SqlRecords) -> None:
    odd = ["zero\0byte", "half \ud800", ""]
    records.add("a", [prediction("p")])
    assert records.find("a", odd, odd) == ()
    assert records.erase("a", odd, odd) == 0
    assert records.find("a", [*odd, "p"]) == (Record(prediction("p")),)
    for name in odd:
        with pytest.raises(Fatal, match="expected a loop's name"):
            records.add(name, [prediction("p")])


@pytest.mark.parametrize(
    ("question", "what"),
    [
        (TallyQuestion(later(0), later(60), 0.0), "windows of a microsecond"),
        (TallyQuestion(later(0), later(60), float("nan")), "windows of a microsecond"),
        (TallyQuestion(later(0), later(60), 1e13), "windows of a microsecond"),
        (TallyQuestion(later(0), later(60), 60.0, columns=("zero\0byte",)), "features as columns"),
        (TallyQuestion(later(0).replace(tzinfo=None), later(60), 60.0), "time with a timezone"),
    ],
    ids=range(5),
)
def test_a_question_that_makes_no_sense_is_told(records: SqlRecords, question: TallyQuestion, what: str) -> None:
    with pytest.raises(Fatal, match=f"expected .*{what}"):
        records.tally("a", question)


# --- hashes ------------------------------------------------------------------------------------------------------


def test_hashed_columns_are_kept_as_keyed_hashes_that_tell_equal_from_other(engine: sa.Engine) -> None:
    given: list[dict[str, Value]] = [
        {"city": "Zürich", "n": 1.0},
        {"city": "Zürich", "n": 2.0},
        {"city": None, "n": 1.0},
    ]
    for namespace, key in (("one", KEY), ("two", KEY), ("other", b"another key")):
        rows = [prediction(str(n), n, features=row) for n, row in enumerate(given)]
        SqlRecords(engine, namespace, key).add("a", rows, hash=("city", "n"))

    def kept(namespace: str) -> list[dict[str, object]]:
        found = SqlRecords(engine, namespace).find("a", ["0", "1", "2"])
        return [dict(record.prediction.features) for record in found]

    one = kept("one")
    assert one == kept("two")
    assert one[0]["city"] == one[1]["city"] != one[2]["city"] is None
    assert one[0]["n"] == one[2]["n"] != one[1]["n"]
    assert all(len(str(value)) == 32 for value in one[0].values())
    assert one[0] != kept("other")[0]


def test_columns_are_not_hashed_without_a_key(engine: sa.Engine) -> None:
    with pytest.raises(Fatal, match="expected a key for the hashed columns"):
        SqlRecords(engine, "ns").add("a", [prediction()], hash=("city",))
    with pytest.raises(Fatal, match="at most 64 bytes, got 65"):
        SqlRecords(engine, "ns", b"k" * 65)


def test_what_was_erased_is_not_in_the_files_any_more(tmp_path: Path) -> None:
    engine = sql_engine.connect(f"sqlite:///{tmp_path}/records.db")
    migrations.up(engine)
    records = SqlRecords(engine, "ns", KEY)
    records.add("a", [prediction("secret-id", key="secret-key", features={"name": "secret-name"})])
    records.label("a", [label("secret-truth", id="secret-id"), label(key="secret-key")])

    def found() -> set[bytes]:
        kept = b"".join(path.read_bytes() for path in tmp_path.iterdir())
        return {word for word in (b"secret-id", b"secret-key", b"secret-name", b"secret-truth") if word in kept}

    assert len(found()) == 4
    records.erase("a", keys=["secret-key"])
    assert found() == set()
    assert said(records.add("a", [prediction("secret-id")])) == ({"erased": 1}, 1)
    engine.dispose()


# --- what got its first truth ------------------------------------------------------------------------------------


def test_who_labels_gets_the_predictions_that_got_their_first_truth(records: SqlRecords) -> None:
    records.add("a", [prediction("p", 0, key="k"), prediction("q", 1, key="k"), prediction("r", 2)])
    taken, joined = records.label_joined("a", [label("no", id="p"), label(id="early")])
    assert taken == Taken({"joined": 1, "waiting": 1})
    assert joined == (Record(prediction("p", 0, key="k"), "no", later(10)),)
    # p has had its truth; r's is replaced within the batch, and is told once, as it is known behind it.
    batch = [label(key="k"), label("no", 10, id="r"), label("yes", 11, id="r")]
    taken, joined = records.label_joined("a", batch)
    assert taken == Taken({"joined": 2, "changed": 1})
    assert joined == (
        Record(prediction("q", 1, key="k"), "yes", later(10)),
        Record(prediction("r", 2), "yes", later(11)),
    )
    for again in ([label(key="k")], [label("no", 20, id="r")], [label("no", 20, id="q")]):
        assert records.label_joined("a", again)[1] == ()


def test_who_adds_gets_the_predictions_whose_truth_waited(records: SqlRecords) -> None:
    records.label("a", [label("no", id="p"), label("late", id="number"), label(key="k")])
    batch = [
        prediction("p"),
        prediction("q", 1, key="k"),
        prediction("r", 2),
        prediction("number", 3, ""),
        prediction("bad", score=2),
    ]
    taken, joined = records.add_joined("a", batch)
    assert taken.outcomes == {"new": 4, "invalid": 1}
    assert [(record.prediction.id, record.truth) for record in joined] == [("p", "no"), ("q", "yes")]
    assert records.add_joined("a", batch[:2]) == (Taken({"doubled": 2}), ())
    _, joined = records.add_joined("a", [prediction("s", key="k")])
    assert [record.prediction.id for record in joined] == ["s"], "a key's truth is every prediction's"
    taken, joined = records.label_joined("a", [label(2.5, 11, id="number")])
    assert taken == Taken({"changed": 1})
    assert [record.truth for record in joined] == [2.5], "the word was none"


def test_more_items_than_a_transaction_takes_are_several(records: SqlRecords, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(records_sql, "BATCH", 7)
    many = [prediction(f"{n % 20}", n) for n in range(30)]
    assert records.add("a", many) == Taken({"new": 20, "doubled": 10})
    taken, joined = records.label_joined("a", [label(id=f"{n % 25}") for n in range(30)])
    assert taken == Taken({"joined": 20, "waiting": 5, "same": 5})
    assert len(joined) == 20


# --- writers at once ---------------------------------------------------------------------------------------------


def test_writers_at_once_double_nothing_lose_nothing_and_count_each_truth_once(engine: sa.Engine) -> None:
    predictions = [prediction(str(n), n, key=f"k{n % 9}") for n in range(120)]
    labels = [label(id=str(n)) for n in range(0, 120, 2)] + [label(key=f"k{n}") for n in range(0, 9, 3)]
    counted, outcomes = Counter[str](), Counter[str]()

    def write(number: int) -> list[tuple[Taken, tuple[Record, ...]]]:
        records, draw = SqlRecords(engine, "ns", KEY), Random(number)
        done = []
        for size in (1.0 if number < 0 else 0.3, 0.4, 0.5):
            done.append(records.add_joined("a", draw.sample(predictions, int(size * len(predictions)))))
            done.append(records.label_joined("a", draw.sample(labels, int(size * len(labels)))))
        return done

    with ThreadPoolExecutor(4) as pool:
        every = [*pool.map(write, range(4)), write(-1)]
    for taken, joined in (each for done in every for each in done):
        outcomes.update(taken.outcomes)
        counted.update(record.prediction.id for record in joined)
    held = SqlRecords(engine, "ns", KEY).rows("a", RowsQuestion(ALWAYS))
    assert len(held) == outcomes["new"] == 120
    assert outcomes["joined"] + outcomes["waiting"] == len(labels)
    assert counted == Counter(record.prediction.id for record in held if record.truth is not None)
    assert len(counted) == 60 + 20  # every second one, and those of three keys among the others


# --- Postgres without statistics ---------------------------------------------------------------------------------


def test_no_batch_reads_all_of_the_loop_before_the_planner_has_seen_it(postgres: Postgres) -> None:
    engine = sql_engine.connect(postgres.fresh())
    with sql_engine.writing(engine, "settings") as connection:
        for table in ("predictions", "labels"):
            connection.exec_driver_sql(f"ALTER TABLE {table} SET (autovacuum_enabled = off)")
    records = SqlRecords(engine, "ns", KEY)
    for start in range(0, 3000, 500):
        some = range(start, start + 500)
        records.label("a", [label(id=f"{n}") for n in some[:250]])  # these wait
        records.add_joined("a", [prediction(f"{n}", n, key=f"k{n}") for n in some])
        records.label_joined("a", [label(minutes=20, id=f"{n}") for n in some] + [label(key=f"k{n}") for n in some])
        records.erase("a", [f"{start}"], [f"k{start + 1}"])
    assert records.waiting("a") == 0
    engine.dispose()  # what a connection counted is there when it has ended
    engine = sql_engine.connect(str(engine.url.render_as_string(hide_password=False)))

    def scans() -> dict[str, int]:
        with sql_engine.reading(engine) as connection:
            rows = connection.exec_driver_sql("SELECT indexrelname, idx_scan FROM pg_stat_user_indexes")
            return {str(name): int(count) for name, count in rows}

    until(lambda: scans()["predictions_pk"] > 0, "the server has counted", 30)
    found = scans()
    assert found["labels_pk"] > 0
    assert found["predictions_by_key"] > 0
    assert (found["predictions_by_time"], found["labels_by_time"]) == (0, 0)
    engine.dispose()


def test_a_tally_joins_all_labels_at_once_though_the_planner_has_never_seen_the_tables(postgres: Postgres) -> None:
    engine = sql_engine.connect(postgres.fresh())
    with sql_engine.writing(engine, "settings") as connection:
        for table in ("predictions", "labels"):
            connection.exec_driver_sql(f"ALTER TABLE {table} SET (autovacuum_enabled = off)")
    records = SqlRecords(engine, "ns", KEY)
    records.add("a", [prediction(f"{n}") for n in range(3000)])
    records.label("a", [label(id=f"{n}") for n in range(3000)])
    plans: list[str] = []

    @sa.event.listens_for(engine, "before_cursor_execute")
    def explain(connection: Any, cursor: Any, statement: str, given: Any, *_: Any) -> None:
        if "GROUP BY" in statement:
            cursor.execute(f"EXPLAIN {statement}", given)
            plans.append("\n".join(row[0] for row in cursor.fetchall()))

    with sql_engine.reading(engine) as connection:
        seen = "SELECT relname, reltuples FROM pg_class WHERE relname IN ('predictions', 'labels')"
        assert {count for _, count in connection.exec_driver_sql(seen)} == {-1}
    (counted,) = records.tally("a", TallyQuestion(ALWAYS.start, ALWAYS.end, 1e9))
    assert counted.labelled == 3000
    with sql_engine.reading(engine) as connection:
        assert dict(map(tuple, connection.exec_driver_sql(seen))) == {"predictions": 3000, "labels": 3000}
    (plan,) = plans
    assert "Hash" in plan
    assert "Nested Loop" not in plan
    engine.dispose()
