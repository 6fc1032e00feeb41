"""KServe's payload logger: CloudEvents over HTTP, in binary mode as it sends them, or structured, alone or in batches.

A request and its response are two events of one id, in either order. They are not sent twice, and carry no token.
"""

from __future__ import annotations

import base64
import binascii
import re
from collections.abc import Mapping
from datetime import datetime
from typing import Any
from urllib.parse import parse_qs, unquote

import orjson

from serinus.adapters.payload_halves import Half, Side
from services.collector.payloads import Reading
from services.collector.reading import Parsed, Refused, each, moment, shown, text

SIDES: Mapping[str, Side] = {
    "org.kubeflow.serving.inference.request": "request",
    "org.kubeflow.serving.inference.response": "response",
}
_NAME = re.compile(r"[a-z0-9]([a-z0-9-]{0,61}[a-z0-9])?")
_OURS = re.compile(r"(.+)-v([1-9][0-9]{0,8})")
_WANTED = ("id", "type", "inferenceservicename", "namespace", "time")
MOST_EVENTS = 1000


def place_of(headers: Mapping[str, str], query: str) -> tuple[str, str]:
    """Namespace and loop that an event in binary mode names; "" where events are in the body. Raises Refused."""
    if _structured_kind(headers):
        return "", ""
    namespace, service = (unquote(headers.get(f"ce-{name}", "")) for name in ("namespace", "inferenceservicename"))
    return namespace, named(service, reading_of(query))[0]


def halves(headers: Mapping[str, str], body: bytes, query: str, now: datetime) -> Parsed[Half]:
    """The events of one HTTP request; `headers` by their names in lower case. Raises Refused."""
    reading = reading_of(query)
    if kind := _structured_kind(headers):
        return each(_structured(kind, body), lambda event: _half(event, reading, query, now))
    if headers.get("ce-specversion", "1.0").partition(".")[0] != "1" or "ce-type" not in headers:
        raise Refused("expected a CloudEvent 1.0: headers ce-type, ce-id, ce-inferenceservicename, ce-namespace", 400)
    event: dict[str, Any] = {name: unquote(headers.get(f"ce-{name}", "")) for name in _WANTED}
    return each([("the event", {**event, "body": body})], lambda event: _half(event, reading, query, now))


def reading_of(query: str) -> Reading:
    """What the URL's query says of the payloads: column, class, hash (repeated), key, task, version. Raises Refused."""
    known = ("column", "class", "hash", "key", "task", "version")
    try:
        given = parse_qs(query, keep_blank_values=True, strict_parsing=bool(query), max_num_fields=2000)
    except ValueError:
        raise Refused("expected parameters as name=value&name=value") from None
    if unknown := sorted(set(given) - set(known)):
        raise Refused(f"expected the parameters {', '.join(known)}; got {unknown[0][:40]!r}")
    once = {name: given[name][-1] for name in ("key", "task", "version") if name in given}
    if once.get("task", "regression") not in ("regression", "classification"):
        raise Refused(f"task: expected regression or classification, got {shown(once['task'])}")
    version = once.get("version")
    if version is not None and not re.fullmatch(r"[0-9]{1,9}", version):
        raise Refused(f"version: expected a whole number from 0, got {shown(version)}")
    return Reading(
        columns=tuple(given.get("column", ())),
        hash=tuple(given.get("hash", ())),
        key=once.get("key", ""),
        classes=tuple(given.get("class", ())),
        regression=once.get("task") == "regression",
        version=None if version is None else int(version),
    )


def _structured_kind(headers: Mapping[str, str]) -> str:
    kind = headers.get("content-type", "").partition(";")[0].strip().lower()
    return kind if kind.startswith("application/cloudevents") else ""


def _structured(kind: str, body: bytes) -> list[tuple[str, Any]]:
    try:
        given = orjson.loads(body)
    except orjson.JSONDecodeError as error:
        raise Refused(f"expected JSON; {error.msg} at character {error.pos}") from None
    many = "batch" in kind
    if many and (not isinstance(given, list) or len(given) > MOST_EVENTS):
        raise Refused(f"expected a list of at most {MOST_EVENTS} events, got {shown(given)}")
    events = given if many else [given]
    return [(f"events[{place}]", event) for place, event in enumerate(events)]


def _half(event: Any, reading: Reading, query: str, now: datetime) -> Half:
    if not isinstance(event, dict):
        raise ValueError(f"expected an event, got {shown(event)}")
    side = SIDES.get(str(event.get("type")))
    if side is None:
        raise ValueError(f"type: expected {' or '.join(SIDES)}, got {shown(event.get('type'))}")
    service, namespace = event.get("inferenceservicename"), event.get("namespace")
    for what, name in (("inferenceservicename", service), ("namespace", namespace)):
        if not isinstance(name, str) or not _NAME.fullmatch(name):
            raise ValueError(f"{what}: expected a name of Kubernetes, got {shown(name)}")
    loop, version = named(str(service), reading)
    at = event.get("time")
    return Half(
        namespace=str(namespace),
        loop=loop,
        version=version,
        id=text("id", event.get("id")),
        side=side,
        time=moment("time", at) if at else now,
        body=_body(event),
        query=query,
    )


def named(service: str, reading: Reading) -> tuple[str, int]:
    """Loop and version of an InferenceService: `{loop}-v{n}` as ours are called; else its name, and version 0."""
    ours = _OURS.fullmatch(service)
    if ours and reading.version is None:
        return ours[1], int(ours[2])
    return service, reading.version or 0


def _body(event: Mapping[str, Any]) -> bytes:
    if "body" in event and isinstance(event["body"], bytes):
        return event["body"]
    if isinstance(encoded := event.get("data_base64"), str):
        try:
            return base64.b64decode(encoded, validate=True)
        except binascii.Error:
            raise ValueError("data_base64: expected base64") from None
    data = event.get("data")
    if data is None:
        raise ValueError("expected data or data_base64, got neither")
    return data.encode() if isinstance(data, str) else orjson.dumps(data)
