"""JSON Schema 2020-12, as far as the ModelLoop's schema uses it: `mistakes` of a value, `words` of a schema."""

from __future__ import annotations

import re
from collections.abc import Iterator
from typing import Any

KNOWN = {
    "$schema", "$defs", "$ref", "title", "description", "default", "type", "const", "enum", "anyOf", "properties",
    "required", "additionalProperties", "propertyNames", "items", "prefixItems", "minItems", "maxItems", "minLength",
    "pattern", "minimum", "maximum", "exclusiveMinimum", "exclusiveMaximum",
}  # fmt: skip
"""What `mistakes` understands."""

_TYPES: dict[str, type | tuple[type, ...]] = {
    "object": dict, "array": list, "string": str, "integer": int, "number": (int, float), "boolean": bool,
    "null": type(None),
}  # fmt: skip


def mistakes(value: Any, schema: Any, root: Any, path: str = "") -> Iterator[str]:
    """What of `value` the schema refuses; `root` holds its definitions."""
    if schema is True:
        return
    if "$ref" in schema:
        yield from mistakes(value, root["$defs"][schema["$ref"].rpartition("/")[2]], root, path)
    if "anyOf" in schema and all(list(mistakes(value, option, root, path)) for option in schema["anyOf"]):
        yield f"{path}: none of anyOf"
    if "type" in schema and not _is(value, schema["type"]):
        yield f"{path}: no {schema['type']}"
        return
    if ("const" in schema and value != schema["const"]) or ("enum" in schema and value not in schema["enum"]):
        yield f"{path}: not allowed"
    if isinstance(value, dict):
        yield from _object(value, schema, root, path)
    elif isinstance(value, list):
        yield from _array(value, schema, root, path)
    elif isinstance(value, str):
        if len(value) < schema.get("minLength", 0) or not re.search(schema.get("pattern", ""), value):
            yield f"{path}: pattern"
    elif value is not None and not _within(value, schema):
        yield f"{path}: bounds"


def words(schema: Any) -> set[str]:
    """Every keyword that the schema uses."""
    if not isinstance(schema, dict):
        return set()
    inner = [schema.get(word, True) for word in ("items", "additionalProperties", "propertyNames")]
    inner += [part for word in ("anyOf", "prefixItems") for part in schema.get(word, [])]
    inner += [part for word in ("properties", "$defs") for part in schema.get(word, {}).values()]
    return set(schema).union(*map(words, inner))


def _is(value: Any, kind: str) -> bool:
    return isinstance(value, _TYPES[kind]) and (kind == "boolean" or not isinstance(value, bool))


def _object(value: dict[str, Any], schema: Any, root: Any, path: str) -> Iterator[str]:
    yield from (f"{path}.{key}: missing" for key in schema.get("required", []) if key not in value)
    known, more = schema.get("properties", {}), schema.get("additionalProperties", True)
    for key, item in value.items():
        yield from mistakes(key, schema.get("propertyNames", True), root, f"{path}.{key}")
        if key not in known and more is False:
            yield f"{path}.{key}: unknown"
        else:
            yield from mistakes(item, known.get(key, more), root, f"{path}.{key}")


def _array(value: list[Any], schema: Any, root: Any, path: str) -> Iterator[str]:
    first = schema.get("prefixItems", [])
    for index, item in enumerate(value):
        each = first[index] if index < len(first) else schema.get("items", True)
        yield from mistakes(item, each, root, f"{path}.{index}")
    if not schema.get("minItems", 0) <= len(value) <= schema.get("maxItems", len(value)):
        yield f"{path}: length"


def _within(value: float, schema: Any) -> bool:
    return bool(
        ("minimum" not in schema or value >= schema["minimum"])
        and ("maximum" not in schema or value <= schema["maximum"])
        and ("exclusiveMinimum" not in schema or value > schema["exclusiveMinimum"])
        and ("exclusiveMaximum" not in schema or value < schema["exclusiveMaximum"])
    )
