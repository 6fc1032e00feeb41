"""From text to ModelLoop, and from mistakes to sentences: which key, what was expected, what came, what was meant."""

from __future__ import annotations

import difflib
import json
import re
import types
import typing
from collections.abc import Iterator, Sequence
from datetime import timedelta
from pathlib import Path

from pydantic import BaseModel, ValidationError
from pydantic_core import ErrorDetails

from serinus import documents
from serinus.errors import SpecError
from serinus.spec import NAME, REFERENCE, ModelLoop
from serinus.spec.budget import PATTERN as BUDGET
from serinus.spec.ratios import COUNTER, LABEL, RATIO
from serinus.spec.strategies import KNOWN_BY

_MAX_BYTES = 1_000_000
_HEAD = {"apiVersion": "serinus.dev/v1alpha1", "kind": "ModelLoop"}
_PATTERNS = {
    NAME: "lower case letters, digits and dashes, a letter first, no dash last, at most 40 characters",
    REFERENCE: "a function as package.module:function",
    COUNTER: "a metric's name such as shop_orders_total",
    LABEL: "a label's name such as version",
    RATIO: "a name of lower case letters, digits and dashes, a letter first, no dash last",
    KNOWN_BY: "a header's or a cookie's name of letters, digits, dots, dashes and underscores",
    BUDGET: "a budget such as '1 per 90d'",
}
_EXPECTED = {
    "string_type": "text",
    "string_too_short": "text that is not empty",
    "int_type": "a whole number",
    "int_from_float": "a whole number",
    "float_type": "a number",
    "finite_number": "a finite number",
    "bool_type": "true or false",
    "tuple_type": "a list",
    "dict_type": "a mapping of keys to values",
    "model_type": "a mapping of keys to values",
    "too_long": "a pair such as [0, 1]",
    "greater_than": "a number over {gt}",
    "greater_than_equal": "a number of at least {ge}",
    "less_than": "a number under {lt}",
    "less_than_equal": "a number of at most {le}",
}
# A feature whose name holds one of these words comes round in this time.
_SEASONS = {
    "minute": (timedelta(hours=1), "1h"),
    "hour": (timedelta(days=1), "1d"),
    "weekday": (timedelta(days=7), "7d"),
    "month": (timedelta(days=365), "365d"),
}

Path_ = Sequence[int | str]


def read(file: Path) -> ModelLoop:
    """The ModelLoop in a YAML file. Raises SpecError with a sentence for each mistake."""
    try:
        with file.open(encoding="utf-8") as opened:
            text = opened.read(_MAX_BYTES)
    except FileNotFoundError:
        raise SpecError([f"{file}: no such file; write one with `serinus schema --example > {file.name}`"]) from None
    except (OSError, UnicodeDecodeError) as error:
        raise SpecError([f"{file}: expected a YAML file in UTF-8, got {error}"]) from None
    return parse(text, str(file))


def parse(text: str, where: str = "the file") -> ModelLoop:
    """The ModelLoop in a YAML text. Raises SpecError with a sentence for each mistake."""
    document = documents.parse(text, where)
    if not isinstance(document, dict):
        raise SpecError(
            [f"{where}: expected a mapping with apiVersion, kind, metadata and spec, got {_shown(document)}"]
        )
    return of(document)


def of(document: dict[str, object]) -> ModelLoop:
    """The ModelLoop in a parsed document. Raises SpecError with a sentence for each mistake."""
    problems = [f"{key}: expected {value}, got nothing" for key, value in _HEAD.items() if key not in document]
    try:
        # As JSON, since strictness means the same there as for the API of a cluster: no text for a number, no list
        # for a mapping, and only the keys as they are documented.
        loop = ModelLoop.model_validate_json(json.dumps(document), strict=True, by_alias=True, by_name=False)
    except ValidationError as error:
        raise SpecError([*problems, *_sentences(error.errors(include_url=False))]) from None
    if problems:
        raise SpecError(problems)
    return loop


def held(found: dict[str, typing.Any]) -> ModelLoop:
    """The ModelLoop in an object that an API server holds. Raises SpecError as `of` does."""
    about = {key: found["metadata"][key] for key in ("name", "namespace", "uid")}
    return of({"apiVersion": found["apiVersion"], "kind": found["kind"], "metadata": about, "spec": found["spec"]})


def warnings(loop: ModelLoop) -> list[str]:
    """What is allowed but probably not meant."""
    drift = loop.spec.drift
    if drift is None:
        return []
    found = []
    for feature in (*loop.spec.data.features.numeric, *loop.spec.data.features.categorical):
        season = _season(feature)
        if season is not None and drift.window < season[0]:
            found.append(
                f"spec.drift.window: shorter than the season of feature {feature!r}, which will always look "
                f"drifted; give it at least {season[1]}"
            )
    if drift.window < drift.every:
        found.append("spec.drift.window: shorter than drift.every, so that some traffic is never looked at")
    if drift.detector == "alibi-detect":
        found.append(
            "spec.drift.detector: alibi-detect may not be used in commercial production without its vendor's licence "
            "(Business Source License 1.1); `scipy` gives the same p-values"
        )
    return found


def _season(feature: str) -> tuple[timedelta, str] | None:
    words = feature.lower().replace("-", "_").split("_")
    return next((season for word, season in _SEASONS.items() if word in words), None)


def _sentences(details: Sequence[ErrorDetails]) -> list[str]:
    """One sentence for each mistake; the branches of a union are one mistake."""
    found: dict[tuple[str, str], list[str]] = {}
    for detail in details:
        for where, wanted, came in _said(_written(detail["loc"]), detail):
            before = found.setdefault((where, came), [])
            before.append(wanted.removeprefix("expected ") if before and came else wanted)
    return [
        f"{where}: {said}{came}"
        for (where, came), wanted in found.items()
        for said in ([" or ".join(wanted)] if came else wanted)
    ]


def _said(path: Path_, detail: ErrorDetails) -> Iterator[tuple[str, str, str]]:
    """Where, what was expected, what came."""
    where, came = _dotted(path), f", got {_shown(detail['input'])}"
    context = detail.get("ctx", {})
    match detail["type"]:
        case "extra_forbidden":
            yield where, _meant(path), ""
        case "missing" if isinstance(path[-1], int):
            yield _dotted(path[:-1]), "expected a pair such as [0, 1]", came
        case "missing":
            yield where, f"expected {_description(path)}; got nothing", ""
        case "value_error":
            for message in str(context["error"]).split("\n"):
                # A part's own rule names the key inside the part.
                inner = re.match(r"([A-Za-z][\w.-]*): (.*)", message, re.DOTALL)
                yield (f"{where}.{inner[1]}", inner[2], "") if inner else (where, message, "")
        case "literal_error":
            wanted = str(context["expected"])
            near = difflib.get_close_matches(str(detail["input"]), re.findall(r"'([^']*)'", wanted), n=1)
            yield where, f"expected {wanted}", came + (f"; did you mean {near[0]!r}?" if near else "")
        case "string_pattern_mismatch":
            yield where, f"expected {_PATTERNS[context['pattern']]}", came
        case "string_type":
            number = isinstance(detail["input"], int | float) and path == detail["loc"]
            quote = "; put it in quotes" if number else ""
            yield where, "expected text", came + quote
        case kind:
            bounds = {name: f"{value:,.12g}" for name, value in context.items() if isinstance(value, int | float)}
            words = _EXPECTED[kind].format(**bounds) if kind in _EXPECTED else detail["msg"].lower()
            yield where, f"expected {words}", came


def _written(path: Path_) -> Path_:
    """The path as somebody wrote it. pydantic adds which of the types of `positive` it tried, and that it is a key."""
    return path[:-1] if path[-1] == "[key]" or "positive" in path[:-1] else path


def _dotted(path: Path_) -> str:
    return ".".join(str(part) for part in path) or "the file"


def _shown(value: object) -> str:
    text = json.dumps(value, ensure_ascii=False) if not isinstance(value, str) else repr(value)
    return text if len(text) <= 80 else text[:77] + "..."


def _meant(path: Path_) -> str:
    """What the writer of an unknown key may have meant: a key with nearly the name, or the key of another part."""
    name, known = str(path[-1]), [*_keys(path[:-1])]
    alike = {key.lower(): key for key in known}
    near = difflib.get_close_matches(name.replace("_", "").lower(), alike, n=1, cutoff=0.6)
    if near:
        return f"unknown key; did you mean {alike[near[0]]!r}?"
    elsewhere = [place for place in _places(ModelLoop, "", name) if place]
    moved = f"; {name!r} belongs to {' or '.join(elsewhere)}" if elsewhere else ""
    return f"unknown key; expected one of {', '.join(known)}{moved}"


def _keys(path: Path_) -> Iterator[str]:
    """The keys that the part of the file at `path` knows."""
    model: type[BaseModel] = ModelLoop
    for part in path:
        model = next(inner for key, inner in _inner(model) if key == part)
    for name, field in model.model_fields.items():
        yield field.alias or name


def _places(model: type[BaseModel], path: str, name: str) -> Iterator[str]:
    """The parts of the file that know the key `name`."""
    if any((field.alias or key) == name for key, field in model.model_fields.items()):
        yield path
    for key, inner in _inner(model):
        yield from _places(inner, f"{path}.{key}".lstrip("."), name)


def _description(path: Path_) -> str:
    """What the key at `path` is for, as its part of the spec says."""
    model: type[BaseModel] = ModelLoop
    for part in path[:-1]:
        model = next(inner for key, inner in _inner(model) if key == part)
    field = next(f for n, f in model.model_fields.items() if (f.alias or n) == path[-1])
    text = (field.description or "").rstrip(".")
    return text[:1].lower() + text[1:]


def _inner(model: type[BaseModel]) -> Iterator[tuple[str, type[BaseModel]]]:
    """The parts inside a part, by their keys."""
    for name, field in model.model_fields.items():
        inner = model_in(field.annotation)
        if inner is not None:
            yield field.alias or name, inner


def model_in(annotation: object) -> type[BaseModel] | None:
    """The part of the file that a field holds: its type, or the one in `Part | None`; None when it holds a value."""
    if isinstance(annotation, type) and issubclass(annotation, BaseModel):
        return annotation
    if typing.get_origin(annotation) in (typing.Union, types.UnionType):
        return next((m for m in map(model_in, typing.get_args(annotation)) if m is not None), None)
    return None
