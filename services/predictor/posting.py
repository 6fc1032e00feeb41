"""The collector as the predictor's thread reaches it: a POST over one kept-alive connection, and what came of it."""

from __future__ import annotations

import http.client
import ssl
from dataclasses import dataclass
from pathlib import Path
from urllib.parse import quote, urlsplit

import orjson

from serinus.errors import Fatal
from services.predictor.columns import short


@dataclass(frozen=True)
class Answer:
    """What became of a post; status 0: there was no answer."""

    status: int
    said: str
    invalid: int = 0  # rows that were refused though the batch was taken


class Post:
    """Posts batches over one kept-alive connection."""

    def __init__(self, url: str, namespace: str, loop: str, token: Path | None) -> None:
        """token: a file with a bearer token. Raises Fatal when the address is none."""
        parts = urlsplit(url)
        if parts.scheme not in ("http", "https") or not parts.hostname:
            raise Fatal(f"--collector: expected an address such as http://127.0.0.1:8090, got {url!r}")
        self._path = f"{parts.path.rstrip('/')}/loops/{quote(namespace)}/{quote(loop)}/predictions"
        self._token = token
        self._connection = (
            http.client.HTTPSConnection(parts.hostname, parts.port, context=ssl.create_default_context())
            if parts.scheme == "https"
            else http.client.HTTPConnection(parts.hostname, parts.port)
        )

    def __call__(self, body: bytes, seconds: float) -> Answer:
        """The collector's answer within so many seconds."""
        kept_alive = self._connection.sock is not None
        try:
            return self._ask(body, seconds)
        except (OSError, http.client.HTTPException) as error:
            self._connection.close()
            if not (kept_alive and isinstance(error, (ConnectionError, http.client.BadStatusLine))):
                return Answer(0, f"{type(error).__name__}: {error}")
        try:  # the collector had closed the connection while it was idle; rows that come twice are kept once
            return self._ask(body, seconds)
        except (OSError, http.client.HTTPException) as error:
            self._connection.close()
            return Answer(0, f"{type(error).__name__}: {error}")

    def _ask(self, body: bytes, seconds: float) -> Answer:
        headers = {"content-type": "application/json"}
        if self._token is not None:
            headers["authorization"] = f"Bearer {self._token.read_text().strip()}"
        self._connection.timeout = seconds
        if self._connection.sock is not None:
            self._connection.sock.settimeout(seconds)
        self._connection.request("POST", self._path, body, headers)
        response = self._connection.getresponse()
        content = response.read()
        said = f"status {response.status}: {short(content.decode(errors='replace'), 300)}"
        return Answer(response.status, said, _invalid(content) if response.status == http.client.OK else 0)


def _invalid(content: bytes) -> int:
    """How many rows the collector says are invalid."""
    try:
        return int(orjson.loads(content)["outcomes"].get("invalid", 0))
    except (ValueError, TypeError, KeyError, AttributeError):
        return 0  # whoever answers 200 without outcomes has nothing to complain about
