"""Files of labels: which columns are meant, what each row says, and what is wrong with those that say nothing."""

from __future__ import annotations

import math
from datetime import UTC, datetime, timedelta, timezone
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest

from serinus.errors import Fatal
from serinus.facts import Label
from services.cli import label_files
from services.cli.label_files import Columns, Part, columns, label, parts
from tests.unit.cli_state import serinus

NOW = datetime(2026, 3, 1, 12, tzinfo=UTC)
AT = datetime(2026, 2, 1, 10, 30, tzinfo=UTC)


def read(file: Path, **named: str) -> list[Part]:
    return list(
        parts(file, lambda names: columns(names, **{**dict.fromkeys(("id", "key", "value", "time"), ""), **named}), NOW)
    )


def written(folder: Path, name: str, text: str) -> Path:
    file = folder / name
    file.write_bytes(text.encode())
    return file


@pytest.mark.parametrize(
    ("names", "asked", "meant"),
    [
        (("id", "truth"), ("", "", "", ""), Columns("truth", id="id")),
        (("key", "truth", "at"), ("", "", "", ""), Columns("truth", key="key", time="at")),
        (("id", "key", "truth"), ("", "key", "", ""), Columns("truth", key="key")),
        (("order", "late", "seen"), ("", "order", "late", "seen"), Columns("late", key="order", time="seen")),
    ],
)
def test_columns_are_those_that_are_named_else_those_with_the_usual_names(
    names: tuple[str, ...], asked: tuple[str, str, str, str], meant: Columns
) -> None:
    assert columns(names, *asked) == meant


@pytest.mark.parametrize(
    ("names", "asked", "text"),
    [
        (("a", "truth"), ("", "", "", ""), "business keys (--key), got neither; the file has a, truth"),
        (("id", "key", "truth"), ("", "", "", ""), "got both"),
        (("id", "truth"), ("id", "id", "", ""), "got both"),
        (("id",), ("", "", "", ""), "expected a column 'truth' (--value), got none; the file has id"),
        (("id", "truth"), ("", "", "", "when"), "expected a column 'when' (--time), got none"),
        ((), ("nr", "", "", ""), "expected a column 'nr' (--id), got none; the file has no columns"),
    ],
)
def test_columns_that_are_not_there_are_said(
    names: tuple[str, ...], asked: tuple[str, str, str, str], text: str
) -> None:
    with pytest.raises(Fatal) as caught:
        columns(names, *asked)
    assert text in str(caught.value)


@pytest.mark.parametrize(
    ("value", "truth"),
    [("late", "late"), ("1", "1"), (1, 1.0), (1.5, 1.5), (True, "True"), (np.float64(2.5), 2.5), (2**60, str(2**60))],
)
def test_truths_are_written_as_training_data_are(value: object, truth: object) -> None:
    assert label({"id": "a", "t": value}, Columns("t", id="id"), NOW) == Label(truth, NOW, "a")  # type: ignore[arg-type]


@pytest.mark.parametrize(
    ("value", "at"),
    [
        ("2026-02-01T10:30:00Z", AT),
        ("2026-02-01 10:30:00", AT),
        (datetime(2026, 2, 1, 10, 30), AT),
        (pd.Timestamp(AT), AT),
        (AT.astimezone(timezone(timedelta(hours=3))), AT),
    ],
)
def test_times_without_an_offset_are_utc(value: object, at: datetime) -> None:
    assert label({"id": "a", "t": "x", "w": value}, Columns("t", id="id", time="w"), NOW).at == at


@pytest.mark.parametrize(("value", "name"), [("a", "a"), (17, "17"), (17.0, "17")])
def test_keys_may_be_whole_numbers(value: object, name: str) -> None:
    assert label({"k": value, "t": "x"}, Columns("t", key="k"), NOW) == Label("x", NOW, key=name)


@pytest.mark.parametrize(
    ("row", "text"),
    [
        ({"t": "x"}, "k: expected an id or a business key, got nothing"),
        ({"k": "", "t": "x"}, "k: expected an id or a business key, got nothing"),
        ({"k": True, "t": "x"}, "k: expected an id or a business key, got True"),
        ({"k": 1.5, "t": "x"}, "k: expected an id or a business key, got 1.5"),
        ({"k": "a"}, "t: expected a class or a number, got nothing"),
        ({"k": "a", "t": math.nan}, "t: expected a class or a number, got nan"),
        ({"k": "a", "t": ["x"]}, "t: expected a class or a number, got ['x']"),
        ({"k": "a", "t": "x", "w": "yesterday"}, "w: expected a time such as 2026-01-31T12:00:00Z, got 'yesterday'"),
        ({"k": "a", "t": "x", "w": 5}, "w: expected a time such as 2026-01-31T12:00:00Z, got 5"),
    ],
)
def test_a_row_that_is_no_label_says_why(row: dict[str, Any], text: str) -> None:
    with pytest.raises(ValueError) as caught:  # noqa: PT011 (the text is compared whole)
        label(row, Columns("t", key="k", time="w" if "w" in row else ""), NOW)
    assert str(caught.value) == text


def test_csv_is_read_with_its_mark_its_quotes_and_its_empty_lines(tmp_path: Path) -> None:
    text = '\ufeffid,truth\r\n"a,1",late\r\n\r\nb,"in\ntime"\r\nc\r\n'
    (part,) = read(written(tmp_path, "x.csv", text))
    assert part.labels == (Label("late", NOW, "a,1"), Label("in\ntime", NOW, "b"))
    assert (part.invalid, part.done) == (1, 1.0)
    assert part.problems == ("line 6: id: expected an id or a business key, got nothing",)


def test_json_lines_are_read_and_a_line_that_is_none_is_one_row(tmp_path: Path) -> None:
    (part,) = read(written(tmp_path, "x.jsonl", '{"key": 7, "truth": 1.5}\n\n{"key"\n[]\n'))
    assert part.labels == (Label(1.5, NOW, key="7"),)
    assert [problem.partition(":")[0] for problem in part.problems] == ["line 3", "line 4"]


def test_parquet_is_read_in_parts_with_their_share(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(label_files, "PART", 2)
    file = tmp_path / "x.parquet"
    pd.DataFrame({"id": list("abcde"), "truth": [True, None, False, True, True], "at": [AT] * 5}).to_parquet(file)
    found = read(file)
    assert [(len(p.labels), p.invalid, p.done) for p in found] == [(1, 1, 0.4), (2, 0, 0.8), (1, 0, 1.0)]
    assert found[0].labels == (Label("True", AT, "a"),)
    assert found[0].problems == ("row 2: truth: expected a class or a number, got nothing",)


@pytest.mark.parametrize(
    ("name", "text", "problem"),
    [
        ("x.txt", "", "expected a file named .csv, .parquet, .jsonl, .ndjson, got .txt"),
        ("x", "", "got no ending"),
        ("x.csv", "", "got neither; the file has no columns"),
        ("x.csv", 'id,truth\n"a,b\n', "expected CSV with a header, in UTF-8: unexpected end of data"),
        ("x.jsonl", "", "the file has no columns"),
        ("x.parquet", "id,truth", "expected Parquet: "),
    ],
)
def test_a_file_that_is_none_is_said(tmp_path: Path, name: str, text: str, problem: str) -> None:
    with pytest.raises(Fatal) as caught:
        read(written(tmp_path, name, text))
    assert problem in str(caught.value)


def test_a_file_in_another_encoding_or_not_there_is_said(tmp_path: Path) -> None:
    (tmp_path / "x.csv").write_bytes("id,truth\na,sp\xe4t\n".encode("latin-1"))
    with pytest.raises(Fatal, match=r"expected CSV with a header, in UTF-8: .*invalid continuation byte"):
        read(tmp_path / "x.csv")
    with pytest.raises(Fatal, match="No such file"):
        read(tmp_path / "y.csv")


@pytest.mark.parametrize(
    ("words", "code", "text"),
    [
        (("labels", "add", "x.csv"), 1, "has no loop yet"),
        (("erase", "--key", "a", "-m", "asked"), 1, "has no loop yet"),
        (("erase", "-m", "asked"), 2, "expected --id or --key of what is to be erased, got neither"),
        (("which",), 2, "expected a prediction's id or --key, got neither"),
        (("which", "a", "--key", "b"), 2, "expected a prediction's id or --key, got both"),
        (("quality", "--window", "soon"), 2, "--window: "),
        (("quality", "--namespace", "a"), 2, "expected --loop NAME beside --namespace"),
    ],
)
def test_words_that_cannot_be_meant_are_said(tmp_path: Path, words: tuple[str, ...], code: int, text: str) -> None:
    result = serinus(*words, "--state", tmp_path / "none")
    assert result.exit_code == code
    assert text in " ".join(result.output.replace("│", " ").split())
