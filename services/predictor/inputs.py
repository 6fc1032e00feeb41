"""What callers may send: bodies of the V1 and V2 protocols, checked against a model's contract. Pure.

A body is checked column by column: one pass gives each value, its bin, and the culprit with its place in the body.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Literal

from serinus.facts import MISSING, Contract
from services.predictor.columns import Column, Refused, Value, at, column, said, short, take

Protocol = Literal["v1", "v2"]

ID_LENGTH = 128
KEY_LENGTH = 200  # characters; the collector takes no longer ones
_INTEGERS = frozenset(f"{sign}INT{bits}" for sign in ("", "U") for bits in (8, 16, 32, 64))
_NUMBERS = _INTEGERS | {"FP16", "FP32", "FP64"}
_KEYS = _INTEGERS | {"BYTES"}


@dataclass(frozen=True)
class Rows:
    """Rows that fit the contract. `bins[f][r]` is the position of row r in `Bins.labels()` of the f-th field."""

    rows: tuple[Mapping[str, Value], ...]
    bins: tuple[Sequence[int], ...]
    id: str | None = None  # the caller's own, V2 only
    outputs: tuple[str, ...] = ()  # the tensors that the caller asked for, V2 only; empty means all
    keys: tuple[str, ...] = ()  # each row's business key, "" where it has none; empty: nobody has


@dataclass(frozen=True)
class Inputs:
    """The checks of one contract; made by `inputs`, used by `read`."""

    columns: tuple[Column, ...]
    names: frozenset[str]
    accept_unseen: bool
    max_rows: int
    key: str = ""  # a column with the business key, which callers may send beside the features


def inputs(contract: Contract, accept_unseen: bool, max_rows: int, key: str = "") -> Inputs:
    """The checks that `contract` asks for. A batch of more than `max_rows` rows is refused."""
    bins = {b.name: b for b in contract.profile.features}
    columns = tuple(column(f, bins[f.name], contract.dataset.schema.get(f.name, "")) for f in contract.fields)
    return Inputs(columns, frozenset(c.field.name for c in columns), accept_unseen, max_rows, key)


def read(checks: Inputs, protocol: Protocol, body: object) -> Rows:
    """The rows in `body`, which is JSON already parsed. Raises Refused, which names the first culprit.

    V1: {"instances": [{feature: value, ...}, ...]}.
    V2: {"inputs": [{"name": feature, "shape": [rows], "datatype": ..., "data": [...]}, ...], "id"?, "outputs"?}.
    The business key, where the checks know one, may stand beside the features; it is taken out of V1's `body`.
    """
    if not isinstance(body, dict):
        key = "instances" if protocol == "v1" else "inputs"
        raise Refused("", f"expected a JSON object with the key {key!r}, got {said(body)}")
    if protocol == "v1":
        return _rows(checks, _v1(checks, body))
    identity, outputs = _identity(body.get("id")), _outputs(body.get("outputs"))
    return _rows(checks, _v2(checks, body), identity, outputs)


@dataclass(frozen=True)
class _Taken:
    """A body's columns, in the order of the checks."""

    values: list[list[Value]]
    bins: list[list[int]]
    keys: tuple[str, ...]


# --- V1 --------------------------------------------------------------------------------------------------------------


def _v1(checks: Inputs, body: Mapping[str, object]) -> _Taken:
    _only(body, "instances")
    instances = _list(body, "instances", "a list of objects")
    _check_count(checks, "instances", len(instances))
    keys = _keys_v1(checks, instances) if checks.key else ()
    for index, row in enumerate(instances):
        if not isinstance(row, dict):
            raise Refused("instances", f"instances[{index}]: expected an object, got {said(row)}")
        if not checks.names.issuperset(row):
            raise _extra(checks, next(k for k in row if k not in checks.names), f"instances[{index}]")
    taken = []
    for col in checks.columns:
        name = col.field.name
        try:
            raw = [row[name] for row in instances]  # type: ignore[index]  # every row is a dict, checked above
        except KeyError:
            absent = [i for i, row in enumerate(instances) if name not in row]  # type: ignore[operator]
            message = f"instances[{absent[0]}].{name}: expected {col.wanted}, the field is missing"
            raise Refused(name, message, MISSING, len(absent)) from None
        taken.append(take(col, raw, ("instances[", f"].{name}"), checks.accept_unseen))
    return _Taken([values for values, _ in taken], [bins for _, bins in taken], keys)


def _keys_v1(checks: Inputs, instances: Sequence[object]) -> tuple[str, ...]:
    """Each row's business key; it stays in the row only where it is a feature as well."""
    name, read = checks.key, dict.get if checks.key in checks.names else dict.pop
    raw = [read(row, name, None) if isinstance(row, dict) else None for row in instances]
    return _keys(name, raw, ("instances[", f"].{short(name)}"))


# --- V2 --------------------------------------------------------------------------------------------------------------


def _v2(checks: Inputs, body: Mapping[str, object]) -> _Taken:
    _only(body, "id", "inputs", "outputs", "parameters")
    tensors = _by_name(checks, _list(body, "inputs", "a list with one tensor for each feature"))
    raw_keys = _tensor(checks.key, _KEYS, tensors[checks.key]) if checks.key and checks.key in tensors else ()
    keys = _keys(checks.key, raw_keys, (f"inputs[{checks.key}].data[", "]"))
    count: int | None = None
    taken = []
    for col in checks.columns:
        name = col.field.name
        if name not in tensors:
            raise Refused(name, f"inputs: expected a tensor {name!r} with {col.wanted}, it is missing", MISSING, 1)
        raw = _tensor(name, _datatypes(col), tensors[name])
        if count is None:
            count = len(raw)
            _check_count(checks, f"inputs[{name}].data", count)
        if len(raw) != count:
            first = checks.columns[0].field.name
            raise Refused(name, f"inputs[{name}].shape: expected {count} rows as in {first!r}, got {len(raw)}")
        taken.append(take(col, raw, (f"inputs[{name}].data[", "]"), checks.accept_unseen))
    if raw_keys and len(raw_keys) != count:
        raise Refused(
            checks.key, f"inputs[{checks.key}].shape: expected {count} rows as in the features, got {len(raw_keys)}"
        )
    return _Taken([values for values, _ in taken], [bins for _, bins in taken], keys)


def _by_name(checks: Inputs, tensors: Sequence[object]) -> dict[str, Mapping[str, object]]:
    """The tensors by their feature, each once."""
    if not tensors:
        raise Refused("inputs", "inputs: expected a list with one tensor for each feature, got an empty list")
    named: dict[str, Mapping[str, object]] = {}
    for index, tensor in enumerate(tensors):
        if not isinstance(tensor, dict):
            raise Refused("inputs", f"inputs[{index}]: expected an object, got {said(tensor)}")
        name = tensor.get("name")
        if not isinstance(name, str):
            raise Refused("inputs", f"inputs[{index}].name: expected the name of a feature, got {said(name)}")
        if name not in checks.names and not (name and name == checks.key):
            raise _extra(checks, name, f"inputs[{index}]")
        if name in named:
            raise Refused(name, f"inputs[{index}]: expected each feature once, got {name!r} again")
        named[name] = tensor
    return named


def _tensor(name: str, datatypes: frozenset[str], tensor: Mapping[str, object]) -> Sequence[object]:
    """The tensor's values, flat. Shape [n] or [n, 1]; the data may be nested as the shape is."""
    where = f"inputs[{name}]"
    for key in tensor:
        if key not in ("name", "shape", "datatype", "parameters", "data"):
            raise Refused(name, f"{where}.{short(key)}: expected only name, shape, datatype, parameters and data")
    datatype = _datatype(name, datatypes, tensor.get("datatype"))
    shape, data = tensor.get("shape"), tensor.get("data")
    sides = shape if isinstance(shape, list) else []
    if not sides or not all(type(side) is int and side >= 0 for side in sides) or sides[1:] not in ([], [1]):
        got = short(str(shape)) if sides else said(shape)
        raise Refused(name, f"{where}.shape: expected [rows] or [rows, 1], got {got}")
    if not isinstance(data, list):
        raise Refused(name, f"{where}.data: expected a list, got {said(data)}")
    if len(sides) == 2 and data and all(isinstance(item, list) and len(item) == 1 for item in data):
        data = [item[0] for item in data]
    if len(data) != sides[0]:
        raise Refused(name, f"{where}.data: expected {sides[0]} values as the shape says, got {len(data)}")
    if datatype in _INTEGERS:
        for index, item in enumerate(data):
            if type(item) is float or (type(item) is int and item < 0 and datatype.startswith("U")):
                raise Refused(name, f"{where}.data[{index}]: expected {datatype}, got {said(item)}")
    return data


def _datatypes(col: Column) -> frozenset[str]:
    """Those that hold values of the column."""
    allowed = _NUMBERS if col.field.kind == "numeric" else {"BYTES", *(_INTEGERS if col.integers else ())}
    return frozenset(allowed | ({"BOOL"} if col.booleans else set()))


def _datatype(name: str, allowed: frozenset[str], given: object) -> str:
    if isinstance(given, str) and given in allowed:
        return given
    wanted = ", ".join(sorted(allowed))
    raise Refused(name, f"inputs[{name}].datatype: expected {wanted}; got {said(given)}")


def _identity(given: object) -> str | None:
    if given is None:
        return None
    if isinstance(given, str) and 0 < len(given) <= ID_LENGTH and all("!" <= c <= "~" for c in given):
        return given
    raise Refused("id", f"id: expected 1 to {ID_LENGTH} printable ASCII characters without spaces, got {said(given)}")


def _outputs(given: object) -> tuple[str, ...]:
    if given is None:
        return ()
    if isinstance(given, list) and all(isinstance(o, dict) and isinstance(o.get("name"), str) for o in given):
        return tuple(o["name"] for o in given)
    raise Refused("outputs", f"outputs: expected a list of objects with a name, got {said(given)}")


# --- both ------------------------------------------------------------------------------------------------------------


def _only(body: Mapping[str, object], *keys: str) -> None:
    for key in body:
        if key not in keys:
            name = short(key)
            raise Refused(name, f"{name}: expected nothing beside {', '.join(keys)}; take it out")


def _list(body: Mapping[str, object], key: str, what: str) -> Sequence[object]:
    value = body.get(key)
    if isinstance(value, list):
        return value
    raise Refused(key, f"{key}: expected {what}, got {said(value) if key in body else 'nothing'}")


def _check_count(checks: Inputs, where: str, count: int) -> None:
    key = where.partition("[")[0]
    if count == 0:
        raise Refused(key, f"{where}: expected at least one row, got an empty list")
    if count > checks.max_rows:
        raise Refused(key, f"{where}: expected at most {checks.max_rows} rows, got {count}; send them in parts")


def _extra(checks: Inputs, name: str, where: str) -> Refused:
    names = ", ".join(c.field.name for c in checks.columns)
    said_name = short(name)
    return Refused(said_name, f"{where}.{said_name}: expected only the model's features ({names}); take it out")


def _keys(name: str, raw: Sequence[object], where: tuple[str, str]) -> tuple[str, ...]:
    """Business keys as text, "" for null. Raises Refused."""
    keys = []
    for index, item in enumerate(raw):
        key = "" if item is None else str(item) if type(item) is int else item
        if not isinstance(key, str) or len(key) > KEY_LENGTH or not key.isprintable():
            wanted = f"a string of at most {KEY_LENGTH} printable characters, a whole number or null"
            raise Refused(short(name), f"{at(where, index)}: expected {wanted}, got {said(item)}")
        keys.append(key)
    return tuple(keys)


def _rows(checks: Inputs, taken: _Taken, identity: str | None = None, outputs: tuple[str, ...] = ()) -> Rows:
    names = [c.field.name for c in checks.columns]
    rows = tuple(dict(zip(names, row, strict=True)) for row in zip(*taken.values, strict=True))
    return Rows(rows, tuple(taken.bins), identity, outputs, taken.keys)
