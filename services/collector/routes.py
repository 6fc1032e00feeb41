"""What can be asked of the collector: URLs, the right that each needs, and who answers."""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field, replace
from typing import Literal

import orjson

from services.collector.auth import Right
from services.collector.reading import Refused, shown

JSON, TEXT = b"application/json", b"text/plain; charset=utf-8"
NAME = r"[a-z0-9](?:[-a-z0-9]{0,61}[a-z0-9])?"
PLACE = rf"/loops/(?P<namespace>{NAME})/(?P<loop>{NAME})"


@dataclass(frozen=True)
class Ask:
    """One request, as whoever answers it sees it."""

    namespace: str  # "" where the URL names no loop
    loop: str
    headers: Mapping[str, str]  # by their names in lower case
    query: str
    user: str = ""  # whom the API server knows the caller as
    body: bytes = field(default=b"", repr=False)

    def by(self, user: str) -> Ask:
        """The same, asked by `user`."""
        return replace(self, user=user)

    def holding(self, body: bytes) -> Ask:
        """The same with its body."""
        return replace(self, body=body)

    @property
    def kind(self) -> str:
        """The content type, without parameters."""
        return self.headers.get("content-type", "").partition(";")[0].strip().lower()


@dataclass(frozen=True)
class Reply:
    """An answer, ready to be sent."""

    status: int
    body: bytes
    kind: bytes = JSON
    headers: tuple[tuple[bytes, bytes], ...] = ()


@dataclass(frozen=True)
class Route:
    """One of the table. `kind` says who works on it; a probe is answered whatever else waits."""

    name: str
    method: str
    path: str  # regular expression of the whole path
    kind: Literal["probe", "read", "write"]
    work: Callable[[Ask], Reply]
    right: Callable[[Ask], Right | None] | None = None  # None: whoever asks


class Router:
    """Finds the route."""

    def __init__(self, table: tuple[Route, ...]) -> None:
        self._table = [(route, re.compile(route.path)) for route in table]

    def find(self, method: str, path: str) -> tuple[Route, Mapping[str, str]]:
        """The route and the names in its path. Raises Refused: 404, or 405 for another method."""
        wanted = "GET" if method == "HEAD" else method
        there = [(route, match) for route, pattern in self._table if (match := pattern.fullmatch(path))]
        for route, match in there:
            if route.method == wanted:
                return route, match.groupdict()
        if there:
            raise Refused(f"{shown(path)}: expected {' or '.join(r.method for r, _ in there)}, got {method[:20]}", 405)
        raise Refused(f"nothing is at {shown(path)}; loops are at /loops/NAMESPACE/LOOP/...", 404)


def said(status: int, content: object) -> Reply:
    """An answer in JSON."""
    return Reply(status, orjson.dumps(content))
