"""From text to ModelLoop, and from mistakes to sentences: which key, what was expected, what came, what was meant."""

from __future__ import annotations

import difflib
import types
import typing
from collections.abc import Iterator
from datetime import timedelta
from pathlib import Path

import yaml
from pydantic import BaseModel, ValidationError
from pydantic_core import ErrorDetails

from serinus.errors import SpecError
from serinus.spec import ModelLoop

_MAX_BYTES = 1_000_000
_HEAD = {"apiVersion": "serinus.dev/v1alpha1", "kind": "ModelLoop"}
# A feature whose name holds one of these words comes round in this time.
_SEASONS = {
    "minute": (timedelta(hours=1), "1h"),
    "hour": (timedelta(days=1), "1d"),
    "weekday": (timedelta(days=7), "7d"),
    "month": (timedelta(days=365), "365d"),
}


def read(file: Path) -> ModelLoop:
    """The ModelLoop in a YAML file. Raises SpecError with a sentence for each mistake."""
    try:
        text = file.read_text(encoding="utf-8")
    except FileNotFoundError:
        raise SpecError([f"{file}: no such file; write one with `serinus schema --example > {file.name}`"]) from None
    except (OSError, UnicodeDecodeError) as error:
        raise SpecError([f"{file}: could not be read: {error}"]) from None
    return parse(text, str(file))


def parse(text: str, where: str = "the file") -> ModelLoop:
    """The ModelLoop in a YAML text. Raises SpecError with a sentence for each mistake."""
    if len(text) > _MAX_BYTES:
        raise SpecError([f"{where}: expected at most {_MAX_BYTES} characters, got {len(text)}"])
    try:
        document = yaml.safe_load(text)
    except yaml.YAMLError as error:
        raise SpecError([f"{where}: expected YAML; {' '.join(str(error).split())}"]) from None
    if not isinstance(document, dict):
        raise SpecError([f"{where}: expected a mapping with apiVersion, kind, metadata and spec"])
    missing = [f"{key}: missing; expected {value}" for key, value in _HEAD.items() if key not in document]
    if missing:
        raise SpecError(missing)
    try:
        return ModelLoop.model_validate(document)
    except ValidationError as error:
        raise SpecError([_sentence(detail) for detail in error.errors(include_url=False)]) from None


def warnings(loop: ModelLoop) -> list[str]:
    """What is allowed but probably not meant."""
    found = []
    spec = loop.spec
    if spec.drift is not None:
        for feature in (*spec.data.features.numeric, *spec.data.features.categorical):
            season = _season(feature)
            if season is not None and spec.drift.window < season[0]:
                found.append(
                    f"spec.drift.window: shorter than the season of feature {feature!r}, which will always look "
                    f"drifted; give it at least {season[1]}"
                )
        if spec.drift.window < spec.drift.every:
            found.append("spec.drift.window: shorter than drift.every, so that some traffic is never looked at")
    if spec.drift is not None and spec.drift.detector == "alibi-detect":
        found.append(
            "spec.drift.detector: alibi-detect may not be used in commercial production without its vendor's licence "
            "(Business Source License 1.1); `scipy` gives the same p-values"
        )
    return found


def _season(feature: str) -> tuple[timedelta, str] | None:
    words = feature.lower().replace("-", "_").split("_")
    return next((season for word, season in _SEASONS.items() if word in words), None)


def _sentence(detail: ErrorDetails) -> str:
    path = [part for part in detail["loc"] if not _is_union_tag(part)]
    where = ".".join(str(part) for part in path) or "the file"
    given = detail["input"]
    match detail["type"]:
        case "extra_forbidden":
            known = list(_keys(path[:-1]))
            near = difflib.get_close_matches(str(path[-1]), known, n=1, cutoff=0.5)
            hint = f"did you mean {near[0]!r}?" if near else f"expected one of {', '.join(known)}"
            return f"{where}: unknown key; {hint}"
        case "missing":
            return f"{where}: missing; the key is required"
        case "value_error":
            message = str(detail["ctx"]["error"])
            return f"{where}: {message}"
        case "literal_error":
            near = difflib.get_close_matches(
                str(given), str(detail["ctx"]["expected"]).replace("'", "").split(", "), n=1
            )
            hint = f"; did you mean {near[0]!r}?" if near else ""
            return f"{where}: expected {detail['ctx']['expected']}, got {given!r}{hint}"
        case _:
            shown = repr(given)
            return f"{where}: {detail['msg'][0].lower()}{detail['msg'][1:]}, got {shown[:80]}"


def _is_union_tag(part: int | str) -> bool:
    """pydantic names the branch of a union inside the path (`str`, `int`, `Errors`); nobody wrote that key."""
    return isinstance(part, str) and (part in {"str", "int", "bool", "float"} or part[:1].isupper())


def _keys(path: list[int | str]) -> Iterator[str]:
    """The keys that the part of the file at `path` knows."""
    model: type[BaseModel] | None = ModelLoop
    for part in path:
        fields = model.model_fields if model is not None else {}
        annotation = next((f.annotation for n, f in fields.items() if part in (n, f.alias)), None)
        model = _model_in(annotation)
    for name, field in model.model_fields.items() if model is not None else ():
        yield field.alias or name


def _model_in(annotation: object) -> type[BaseModel] | None:
    if isinstance(annotation, type) and issubclass(annotation, BaseModel):
        return annotation
    if typing.get_origin(annotation) in (typing.Union, types.UnionType):
        return next((m for m in map(_model_in, typing.get_args(annotation)) if m is not None), None)
    return None
