"""Filters, orders and pages of the lists, as the backend has them."""

from __future__ import annotations

import base64
import json
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any
from urllib.parse import unquote

Object = dict[str, Any]
_KEYS = (
    "display_name", "name", "state", "created_at", "finished_at", "storage_state", "experiment_id", "description",
    "run_id", "pipeline_id", "pipeline_version_id", "recurring_run_id", "namespace",
)  # fmt: skip
_NUMBERS = {
    1: "EQUALS", 2: "NOT_EQUALS", 3: "GREATER_THAN", 5: "GREATER_THAN_EQUALS", 6: "LESS_THAN", 7: "LESS_THAN_EQUALS",
    8: "IN", 9: "IS_SUBSTRING",
}  # fmt: skip
_LARGEST, _DEFAULT = 200, 10


@dataclass
class Refused(Exception):
    """An error as the API answers it."""

    status: int
    message: str


def page(key: str, items: Sequence[Object], query: Mapping[str, str], within: str) -> Object:
    """One page of the list. within: what else bounds it (experiment, namespace), which a page's token is bound to."""
    text = unquote(query.get("filter", ""))  # a second time: the query string was decoded once already
    test = _filter(text)
    field, descending = _sort(query.get("sort_by", ""))
    rows = sorted((i for i in items if test(i)), key=lambda i: (str(i.get(field, "")), _id(i)), reverse=descending)
    start = 0
    token = query.get("page_token", "")
    bound = [text, within, field, descending]
    if token:
        try:
            *given, last = json.loads(base64.urlsafe_b64decode(token))
        except ValueError:
            raise Refused(400, "Invalid input error: the page token is invalid") from None
        if given != bound:
            raise Refused(400, "Invalid input error: the page token does not belong to this filter and sort order")
        start = next((n + 1 for n, row in enumerate(rows) if _id(row) == last), len(rows))
    size = min(int(query.get("page_size", "") or 0) or _DEFAULT, _LARGEST)
    shown = rows[start : start + size]
    answer: Object = {key: shown, "total_size": len(rows)} if rows else {}
    if start + size < len(rows):
        answer["next_page_token"] = base64.urlsafe_b64encode(json.dumps([*bound, _id(shown[-1])]).encode()).decode()
    return answer


def _id(item: Object) -> str:
    kinds = ("run_id", "pipeline_version_id", "experiment_id", "pipeline_id")
    return str(next(item[kind] for kind in kinds if kind in item))


def _sort(text: str) -> tuple[str, bool]:
    """The oldest first, unless the query says otherwise; one key only."""
    words = text.split()
    if len(words) > 2 or "," in text or (words and words[0] not in _KEYS):
        raise Refused(400, f"Invalid input error: invalid sort_by {text!r}")
    return (words[0] if words else "created_at"), len(words) == 2 and words[1] == "desc"


def _filter(text: str) -> Callable[[Object], bool]:
    if not text:
        return lambda _item: True
    try:
        predicates = json.loads(text).get("predicates", [])
        tests = [_predicate(predicate) for predicate in predicates]
    except (ValueError, AttributeError, TypeError) as error:
        raise Refused(400, f"Invalid input error: invalid filter {text!r}: {error}") from error
    return lambda item: all(test(item) for test in tests)


def _predicate(predicate: Object) -> Callable[[Object], bool]:
    key, operation = predicate.get("key"), predicate.get("operation")
    if isinstance(operation, int):  # in the client's own questions
        operation = _NUMBERS.get(operation)
    if key not in _KEYS:
        raise Refused(400, f"Invalid input error: unrecognized filter key {key!r}")
    value = next((predicate[k] for k in ("stringValue", "string_value", "timestampValue") if k in predicate), None)
    several = predicate.get("stringValues") or predicate.get("string_values") or {}
    values = several.get("values", [])

    def has(item: Object) -> str:
        return str(item.get(key, "")).casefold()  # MySQL compares without regard to case

    wanted = str(value).casefold()
    if operation == "IN" and isinstance(values, list):
        allowed = {str(each).casefold() for each in values}
        return lambda item: has(item) in allowed
    tests: dict[object, Callable[[Object], bool]] = {
        "EQUALS": lambda item: has(item) == wanted,
        "NOT_EQUALS": lambda item: has(item) != wanted,
        "IS_SUBSTRING": lambda item: wanted in has(item),
        "GREATER_THAN": lambda item: has(item) > wanted,
        "GREATER_THAN_EQUALS": lambda item: has(item) >= wanted,
        "LESS_THAN": lambda item: has(item) < wanted,
        "LESS_THAN_EQUALS": lambda item: has(item) <= wanted,
    }
    if value is None or operation not in tests:
        raise Refused(400, f"Invalid input error: invalid predicate {predicate!r}")
    return tests[operation]
