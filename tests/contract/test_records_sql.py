"""What the database of records promises beyond its ports: hashes, writers at once, migrations, errors that tell."""

from __future__ import annotations

import sqlite3
from collections import Counter
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from random import Random

import pytest
import sqlalchemy as sa
from alembic import command
from alembic.autogenerate import compare_metadata
from alembic.migration import MigrationContext

from serinus.adapters import migrations, records_sql, sql_engine
from serinus.adapters.records_sql import SqlRecords
from serinus.adapters.records_tables import METADATA
from serinus.errors import Fatal, Unavailable
from serinus.facts import Record, RowsQuestion, Taken, Value
from tests.contract.records_cases import ALWAYS, label, later, prediction, said, truths
from tests.servers.postgres import Postgres, postgres

__all__ = ["postgres"]  # a fixture
KEY = b"0123456789abcdef"


@pytest.fixture(params=["sqlite", "postgres"])
def url(request: pytest.FixtureRequest, tmp_path: Path) -> str:
    """Of a database without any table."""
    if request.param == "sqlite":
        return f"sqlite:///{tmp_path}/records.db"
    server: Postgres = request.getfixturevalue("postgres")
    return server.empty()


@pytest.fixture
def engine(url: str) -> Iterator[sa.Engine]:
    """A database of the newest tables."""
    made = sql_engine.connect(url)
    migrations.up(made)
    yield made
    made.dispose()


@pytest.fixture
def records(engine: sa.Engine) -> SqlRecords:
    return SqlRecords(engine, "ns", KEY)


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


def test_a_writer_that_waits_too_long_for_another_says_so(url: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(sql_engine, "PATIENCE", 1.0)
    engine = sql_engine.connect(url)
    migrations.up(engine)
    records = SqlRecords(engine, "ns", KEY)
    with sql_engine.writing(engine, "records/ns/a"), pytest.raises(Unavailable, match=r"lock"):
        records.add("a", [prediction()])
    assert records.add("a", [prediction()]) == Taken({"new": 1})
    engine.dispose()


# --- migrations --------------------------------------------------------------------------------------------------


def test_the_migrations_make_the_tables_that_the_code_knows(engine: sa.Engine) -> None:
    with engine.connect() as connection:
        context = MigrationContext.configure(connection, opts={"version_table": "serinus_schema"})
        assert compare_metadata(context, METADATA) == []
    primary = {name: sa.inspect(engine).get_pk_constraint(name)["constrained_columns"] for name in METADATA.tables}
    assert primary == {name: [c.name for c in table.primary_key] for name, table in METADATA.tables.items()}


def test_programs_that_start_at_once_migrate_once(url: str) -> None:
    engines = [sql_engine.connect(url) for _ in range(4)]
    with ThreadPoolExecutor(4) as pool:
        list(pool.map(migrations.up, engines))
    assert SqlRecords(engines[0], "ns").add("a", [prediction()]) == Taken({"new": 1})
    migrations.up(engines[1])
    assert truths(SqlRecords(engines[2], "ns"), "p") == [None]
    for engine in engines:
        engine.dispose()


def test_a_migration_that_fails_leaves_nothing_behind(url: str) -> None:
    engine = sql_engine.connect(url)
    with engine.connect() as connection:
        connection.exec_driver_sql("CREATE TABLE audit (mine TEXT)")
        connection.commit()
    with pytest.raises(Fatal, match="audit"):
        migrations.up(engine)
    assert sa.inspect(engine).get_table_names() == ["audit"]
    with engine.connect() as connection:
        connection.exec_driver_sql("DROP TABLE audit")
        connection.commit()
    migrations.up(engine)
    engine.dispose()


def test_the_tables_can_be_taken_back_and_made_anew(engine: sa.Engine) -> None:
    with sql_engine.writing(engine, "migrations") as connection:
        command.downgrade(migrations.config(connection), "base")
    assert sa.inspect(engine).get_table_names() == ["serinus_schema"]
    migrations.up(engine)
    assert set(METADATA.tables) < set(sa.inspect(engine).get_table_names())


def test_a_database_of_a_newer_release_is_not_touched(engine: sa.Engine) -> None:
    with sql_engine.writing(engine, "meddling") as connection:
        connection.exec_driver_sql("UPDATE serinus_schema SET version_num = '9999'")
    with pytest.raises(Fatal, match="update this program"):
        migrations.up(engine)


# --- errors ------------------------------------------------------------------------------------------------------


def test_a_database_without_tables_is_no_passing_trouble(url: str) -> None:
    engine = sql_engine.connect(url)
    with pytest.raises(Fatal, match="predictions"):
        SqlRecords(engine).find("a", ["p"])
    engine.dispose()


def test_a_file_that_is_no_database_and_one_that_may_not_be_written_are_told(tmp_path: Path) -> None:
    (tmp_path / "text.db").write_text("no database " * 1000)
    with pytest.raises(Fatal, match="not a database"):
        migrations.up(sql_engine.connect(f"sqlite:///{tmp_path}/text.db"))


def test_nobody_else_may_read_a_database_file(tmp_path: Path) -> None:
    engine = sql_engine.connect(f"sqlite:///{tmp_path}/deep/records.db")
    migrations.up(engine)
    assert {path.name: path.stat().st_mode & 0o777 for path in (tmp_path / "deep").iterdir()} == dict.fromkeys(
        ["records.db", "records.db-wal", "records.db-shm"], 0o600
    )
    raw = sqlite3.connect(tmp_path / "deep" / "records.db")
    assert raw.execute("PRAGMA journal_mode").fetchone() == ("wal",)
    with engine.connect() as connection:
        assert connection.exec_driver_sql("PRAGMA synchronous").scalar() == 2
    raw.close()
    engine.dispose()


@pytest.mark.parametrize("where", ["password", "database"])
def test_a_server_that_lets_nobody_in_is_away_and_no_password_is_told(postgres: Postgres, where: str) -> None:
    url = postgres.url("postgres", "hush") if where == "password" else postgres.url("nowhere")
    with pytest.raises(Unavailable) as caught:
        SqlRecords(sql_engine.connect(url)).find("a", ["p"])
    assert "127.0.0.1" in str(caught.value)
    assert "hush" not in str(caught.value)
    assert "s3:cr" not in str(caught.value)


@pytest.mark.parametrize(
    "wrong",
    [
        "mysql://ann:hush@host/name",
        "postgresql://ann:hush@host:port/name",
        "hush",
        "",
        "sqlite://",
        "sqlite:///:memory:",
    ],
)
def test_a_url_that_is_none_of_ours_is_told_without_it(wrong: str) -> None:
    with pytest.raises(Fatal, match=r"expected (the database as|a file for) SQLite|sqlite:////") as caught:
        sql_engine.connect(wrong)
    assert "hush" not in str(caught.value)


@pytest.mark.parametrize(
    "ask",
    [
        lambda records: records.add("a", [prediction()]),
        lambda records: records.label("a", [label(id="p")]),
        lambda records: records.rows("a", RowsQuestion(ALWAYS)),
    ],
    ids=["add", "label", "rows"],
)
def test_a_connection_that_was_cut_is_made_anew(postgres: Postgres, ask: Callable[[SqlRecords], object]) -> None:
    engine = sql_engine.connect(postgres.fresh())
    records = SqlRecords(engine, "ns", KEY)
    records.find("a", ["p"])
    with engine.connect() as connection:
        others = "SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE datname = current_database()"
        with pytest.raises(sa.exc.OperationalError):
            connection.exec_driver_sql(others)
    ask(records)
    engine.dispose()
