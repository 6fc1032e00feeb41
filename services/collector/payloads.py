"""A request and its response, as KServe's payload logger saw them, as predictions; V1 and V2, one row or many.

Our own predictor answers `{"label", "score"}` or `{"value"}` (V2: tensors of these names). Other runtimes answer with a
class, a number, or a list of probabilities a row; what these mean is said by `Reading`.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any

import orjson

from serinus.facts import Prediction
from serinus.facts.records import Value
from services.collector.reading import LONGEST_VALUE, MOST_FEATURES, number, shown, text

MOST_ROWS = 10_000


@dataclass(frozen=True)
class Reading:
    """What payloads do not say of themselves."""

    columns: tuple[str, ...] = ()  # keep these only; and the names of the places of a row that is a list
    hash: tuple[str, ...] = ()  # columns of which keyed hashes are kept
    key: str = ""  # the column with the business key
    classes: tuple[str, ...] = ()  # in the order of a list of probabilities; of two, the second is the positive one
    regression: bool = False  # a bare number is a value; else a class, or with two classes the positive's probability
    version: int | None = None  # of what is not named {loop}-v{n}


@dataclass(frozen=True)
class Answer:
    """One row's."""

    score: float
    answer: str


def predictions(
    identity: str, request: bytes, response: bytes, version: int, time: datetime, reading: Reading
) -> list[Prediction]:
    """The rows of one request. Raises ValueError that says what the payloads lack."""
    asked, said = _object("request", request), _object("response", response)
    rows = list(_tensor_rows("inputs", asked) if "inputs" in asked else _instances(asked, reading))
    answers = list(_tensor_answers(said, reading) if "outputs" in said else _predicted(said, reading))
    if len(rows) != len(answers):
        raise ValueError(f"expected as many answers as rows, got {len(rows)} rows and {len(answers)} answers")
    if not 1 <= len(rows) <= MOST_ROWS:
        raise ValueError(f"expected 1 to {MOST_ROWS} rows, got {len(rows)}")
    alone = len(rows) == 1
    return [
        _prediction(identity if alone else f"{identity}/{place}", version, time, row, answer, reading)
        for place, (row, answer) in enumerate(zip(rows, answers, strict=True))
    ]


def _prediction(
    identity: str, version: int, time: datetime, row: dict[str, Any], answer: Answer, reading: Reading
) -> Prediction:
    key = row.get(reading.key) if reading.key else None
    if reading.key not in reading.columns:
        row.pop(reading.key, None)
    kept = {name: row[name] for name in reading.columns if name in row} if reading.columns else row
    features = {text("a feature's name", name): _feature(name, value) for name, value in kept.items()}
    if len(features) > MOST_FEATURES:
        raise ValueError(f"expected at most {MOST_FEATURES} features, got {len(features)}")
    named = "" if key is None else text(reading.key, _written(key))
    return Prediction(text("id", identity), version, time, features, answer.score, answer.answer, named)


def _object(what: str, body: bytes) -> dict[str, Any]:
    try:
        found = orjson.loads(body)
    except orjson.JSONDecodeError as error:
        raise ValueError(f"{what}: expected JSON; {error.msg} at character {error.pos}") from None
    if not isinstance(found, dict):
        raise ValueError(f"{what}: expected an object, got {shown(found)}")
    return found


# --- V1 ----------------------------------------------------------------------------------------------------------


def _instances(asked: Mapping[str, Any], reading: Reading) -> Iterator[dict[str, Any]]:
    for row in _list("request.instances", asked.get("instances")):
        if isinstance(row, dict):
            yield dict(row)
        else:
            cells = row if isinstance(row, list) else [row]
            yield dict(zip(_places("feature", len(cells), reading), cells, strict=True))


def _predicted(said: Mapping[str, Any], reading: Reading) -> Iterator[Answer]:
    for answer in _list("response.predictions", said.get("predictions")):
        if not isinstance(answer, dict):
            yield _meant(answer, reading)
        elif "value" in answer:
            yield Answer(number("value", answer["value"]), "")
        else:
            yield _labelled(answer.get("label"), answer.get("score"))


# --- V2 ----------------------------------------------------------------------------------------------------------


def _tensor_rows(where: str, asked: Mapping[str, Any]) -> Iterator[dict[str, Any]]:
    """A tensor [n] or [n, 1] is a column, one [n, k] the columns NAME_0 to NAME_{k-1}."""
    columns: dict[str, Sequence[Any]] = {}
    for name, rows in _tensors(f"request.{where}", asked[where]).items():
        wide = len(rows[0]) if rows else 1
        for place in range(wide):
            columns[name if wide == 1 else f"{name}_{place}"] = [row[place] for row in rows]
        if len(columns) > MOST_FEATURES:
            raise ValueError(f"expected at most {MOST_FEATURES} features, got more")
    if len({len(cells) for cells in columns.values()}) > 1:
        raise ValueError("expected inputs of one length, got several")
    for cells in zip(*columns.values(), strict=True):
        yield dict(zip(columns, cells, strict=True))


def _tensor_answers(said: Mapping[str, Any], reading: Reading) -> Iterator[Answer]:
    tensors = _tensors("response.outputs", said["outputs"])
    if "value" in tensors:
        yield from (Answer(number("value", row[0]), "") for row in tensors["value"])
    elif "label" in tensors and "score" in tensors:
        if len(tensors["label"]) != len(tensors["score"]):
            raise ValueError("response.outputs: expected as many labels as scores")
        yield from (_labelled(a[0], b[0]) for a, b in zip(tensors["label"], tensors["score"], strict=True))
    elif len(tensors) == 1:
        (rows,) = tensors.values()
        yield from (_meant(row[0] if len(row) == 1 else row, reading) for row in rows)
    else:
        raise ValueError(f"response.outputs: expected label and score, value, or one tensor; got {len(tensors)}")


def _tensors(where: str, given: Any) -> dict[str, list[list[Any]]]:
    """Name -> rows of cells."""
    found: dict[str, list[list[Any]]] = {}
    for tensor in _list(where, given):
        if not isinstance(tensor, dict):
            raise ValueError(f"{where}: expected objects, got {shown(tensor)}")
        name, data = text(f"{where}.name", tensor.get("name")), _list(f"{where}.data", tensor.get("data"))
        shape = tensor.get("shape")
        if not isinstance(shape, list) or not shape or not all(type(n) is int and n > 0 for n in shape):
            raise ValueError(f"{where}.{name}: expected a shape of whole numbers above 0, got {shown(shape)}")
        cells = [cell for part in data for cell in part] if data and isinstance(data[0], list) else data
        wide = shape[1] if len(shape) == 2 else 1
        if len(shape) > 2 or shape[0] * wide != len(cells) or name in found:
            raise ValueError(f"{where}.{name}: expected its data once and of shape [n] or [n, k], got {shape}")
        found[name] = [cells[start : start + wide] for start in range(0, len(cells), wide)]
    return found


# --- what a bare answer means --------------------------------------------------------------------------------------


def _meant(answer: Any, reading: Reading) -> Answer:
    if isinstance(answer, list):
        return _probable([number("a probability", p) for p in answer], reading)
    if reading.regression:
        return Answer(number("a value", answer), "")
    if isinstance(answer, float) and len(reading.classes) == 2:
        positive = number("a probability", answer)
        return Answer(positive, reading.classes[positive >= 0.5])
    return Answer(1.0, text("a class", _written(answer)))  # how sure it was, it does not say


def _probable(shares: list[float], reading: Reading) -> Answer:
    classes = reading.classes or tuple(str(place) for place in range(len(shares)))
    if len(shares) < 2 or len(classes) != len(shares):
        raise ValueError(f"expected a probability for each of {len(classes)} classes, got {len(shares)}")
    best = shares.index(max(shares))
    return Answer(shares[1] if len(shares) == 2 else shares[best], classes[best])


def _labelled(label: Any, score: Any) -> Answer:
    return Answer(number("score", score), text("label", _written(label)))


def _feature(name: str, value: Any) -> Value:
    if value is None or isinstance(value, str):
        if value is not None and (len(value) > LONGEST_VALUE or "\0" in value):
            raise ValueError(f"{name}: expected a text of at most {LONGEST_VALUE} characters, got {shown(value)}")
        return value
    return _written(value) if isinstance(value, bool) else number(name, value)


def _written(value: Any) -> Any:
    """A class or a key as text, where it is a number or a boolean."""
    return str(value) if isinstance(value, int | float) else value


def _places(stem: str, wide: int, reading: Reading) -> Sequence[str]:
    if reading.columns and len(reading.columns) != wide:
        raise ValueError(f"expected rows of {len(reading.columns)} cells as the columns say, got {wide}")
    return reading.columns or [f"{stem}_{place}" for place in range(wide)]


def _list(what: str, given: Any) -> list[Any]:
    if not isinstance(given, list):
        raise ValueError(f"{what}: expected a list, got {shown(given)}")
    return given
