"""A pydantic model as the structural OpenAPI schema that Kubernetes asks of a CRD.

Structural means: every value has one type, outside of any `anyOf`; no `$ref`; unknown keys are dropped unless a schema
says otherwise, so that `additionalProperties: false` is neither needed nor allowed. Rules that JSON Schema has no
words for are CEL (`x-kubernetes-validations`), see serinus/render/rules.py.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from datetime import timedelta
from typing import Any  # schemas are JSON

from pydantic import BaseModel
from pydantic.json_schema import GenerateJsonSchema, JsonSchemaValue

from serinus import durations

Schema = dict[str, Any]
_KEPT = (
    "type", "enum", "pattern", "minLength", "maxLength", "minItems", "maxItems", "minProperties", "maxProperties",
    "minimum", "maximum", "multipleOf", "required",
)  # fmt: skip
_TRANSLATED = (
    "description", "default", "nullable", "exclusiveMinimum", "exclusiveMaximum", "properties", "additionalProperties",
    "propertyNames", "items", "prefixItems",
)  # fmt: skip
_POSITIVE = "x-positive"
_LEFT_OUT = ("$ref", "$defs", "title", _POSITIVE)
_UNITS = ("w", "d", "h", "m", "s", "ms")
_LONGEST = 64  # characters of a duration; more digits say nothing


def structural(
    model: type[BaseModel],
    rules: Mapping[str, Sequence[Schema]] | None = None,
    limits: Mapping[str, Schema] | None = None,
) -> Schema:
    """The schema of `model`, written with its aliases, its defaults among it.

    rules: path (`data.source`; "" is the whole, `[]` a list's items, `{}` a mapping's values) -> its CEL rules.
    limits: path -> words that only the cluster needs, such as the sizes that bound what CEL may cost.
    Raises KeyError when a path of either is no part of the model, ValueError for a word that has no translation here.
    """
    whole = model.model_json_schema(by_alias=True, mode="validation", schema_generator=_Generator)
    made = _converted(whole, whole.get("$defs", {}))
    for path, found in (limits or {}).items():
        at(made, path).update(found)
    for path, more in (rules or {}).items():
        part = at(made, path)
        part["x-kubernetes-validations"] = [*part.get("x-kubernetes-validations", []), *more]
    return made


def at(schema: Schema, path: str) -> Schema:
    """The part of a schema at `path`. Raises KeyError when there is none."""
    part = schema
    for key in filter(None, path.split(".")):
        name = key.removesuffix("[]").removesuffix("{}")
        part = part["properties"][name]
        if key.endswith("[]"):
            part = part["items"]
        if key.endswith("{}"):
            part = part["additionalProperties"]
    return part


def milliseconds(value: str) -> str:
    """The CEL expression of how long a duration is that stands in `value`."""
    units = ", ".join(f"'{unit}': {durations.parse(f'1{unit}') // timedelta(milliseconds=1)}" for unit in _UNITS)
    number, unit = "int(p.find('^[0-9]+'))", f"{{{units}}}[p.find('[a-z]+$')]"
    return f"{value}.findAll('[0-9]+(ms|[wdhms])').map(p, {number} * {unit}).sum()"


class _Generator(GenerateJsonSchema):
    """pydantic's, which writes durations' defaults as ISO 8601 and keeps nothing of validators."""

    def encode_default(self, dft: Any) -> Any:
        if isinstance(dft, timedelta):
            return durations.render(dft)
        if isinstance(dft, BaseModel):  # whole, since CEL sees a default before the parts' own defaults are filled in
            return dft.model_dump(mode="json", by_alias=True, exclude_none=True)
        return super().encode_default(dft)

    def generate_inner(self, schema: Any) -> JsonSchemaValue:
        made = super().generate_inner(schema)
        if made.get("pattern") == durations.PATTERN and schema["type"] == "function-after":
            # What is asked of a duration beyond its form is that it is longer than nothing.
            return {**made, _POSITIVE: True}
        return made


def _converted(schema: Schema, definitions: Mapping[str, Schema]) -> Schema:
    if "$ref" in schema:
        schema = {**definitions[schema["$ref"].rpartition("/")[2]], **schema}
    if "anyOf" in schema:
        schema = _united(schema, definitions)
    unknown = schema.keys() - {*_KEPT, *_TRANSLATED, *_LEFT_OUT}
    if unknown:
        raise ValueError(f"expected words that this file knows how to write for Kubernetes, got {', '.join(unknown)}")
    return {**_itself(schema), **_inside(schema, definitions)}


def _itself(schema: Schema) -> Schema:
    """What is said of the value as a whole."""
    made = {word: schema[word] for word in _KEPT if word in schema}
    if "description" in schema:
        made["description"] = " ".join(schema["description"].split())
    if schema.get("default") is not None:
        made["default"] = schema["default"]
    if schema.get("nullable"):
        made["nullable"] = True
        if "enum" in made:  # which would refuse the null
            made |= _listed(made.pop("enum"))
    for word, bound in (("exclusiveMinimum", "minimum"), ("exclusiveMaximum", "maximum")):
        if word in schema:
            made |= {bound: schema[word], word: True}  # OpenAPI 3.0 writes a flag beside the bound
    if made.get("type") == "integer":
        made["format"] = "int64"
    if schema.get("pattern") == durations.PATTERN:
        made |= _duration(positive=_POSITIVE in schema)
    return made


def _inside(schema: Schema, definitions: Mapping[str, Schema]) -> Schema:
    """What is said of the keys of a mapping, the items of a list."""
    more, each = schema.get("additionalProperties"), schema.get("prefixItems", [schema.get("items")])[0]
    made: Schema = {"items": _converted(each, definitions)} if each is not None else {}  # a pair is one of alike
    if "properties" in schema:
        parts = {
            # pydantic says nothing about a default that is made by a function: an empty mapping.
            name: {**_converted(part, definitions), **({} if _said(name, part, schema) else {"default": {}})}
            for name, part in schema["properties"].items()
        }
        made |= {"properties": parts} if parts else {}  # an API server drops an empty one
    elif "propertyNames" in schema:
        names = schema["propertyNames"]["enum"]
        made["properties"] = {name: _converted(schema["additionalProperties"], definitions) for name in names}
    elif more is True:
        made["x-kubernetes-preserve-unknown-fields"] = True
    elif more is not None:
        made["additionalProperties"] = _converted(more, definitions)
    return made


def _said(name: str, part: Schema, whole: Schema) -> bool:
    return "default" in part or name in whole.get("required", ())


def _united(schema: Schema, definitions: Mapping[str, Schema]) -> Schema:
    """One type of several. Null is allowed where the file allows it: server-side apply keeps what it is given."""
    options = [option for option in schema["anyOf"] if option != {"type": "null"}]
    about = {word: value for word, value in schema.items() if word != "anyOf"}
    if len(options) == 1:
        option = options[0]
        inner = definitions[option["$ref"].rpartition("/")[2]] if "$ref" in option else option
        return {**inner, **about, "nullable": len(options) < len(schema["anyOf"])}
    # Scalars of several types, for which a structural schema has no word: no list and no mapping is both empty and not.
    limits = {"minItems": 1, "maxItems": 0, "minProperties": 1, "maxProperties": 0, "multipleOf": 1}
    return {**about, **limits, "nullable": True, "additionalProperties": True}


def _listed(values: list[str]) -> Schema:
    message = f"expected one of {', '.join(values)}"
    longest = max(map(len, values))
    return {"maxLength": longest, "x-kubernetes-validations": [{"rule": f"self in {values}", "message": message}]}


def _duration(positive: bool) -> Schema:
    took, longest = milliseconds("self"), durations.LONGEST // timedelta(milliseconds=1)
    rule, some = (f"{took} > 0 && ", "longer than nothing and ") if positive else ("", "")
    message = f"expected a duration {some}of at most {durations.render(durations.LONGEST)}"
    return {
        "maxLength": _LONGEST,
        "x-kubernetes-validations": [{"rule": f"{rule}{took} <= {longest}", "message": message}],
    }
