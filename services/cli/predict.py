"""`serinus predict`: rows to the loop's endpoint, and its answer."""

from __future__ import annotations

import json
import sys
from pathlib import Path

import httpx

from serinus.errors import Fatal, Unavailable
from services.cli import context

_PATIENCE = 60.0  # seconds; the endpoint's own limit is `serving.timeout`


def predict(state: Path, text: str) -> None:
    """Send the rows and print the answer. Raises Fatal when they are refused, Unavailable when nobody answers."""
    body = rows(text)
    card = context.card(state)
    url = f"{card.addresses.url('envoy')}/v1/models/{card.loop}:predict"
    try:
        answer = httpx.post(
            url, content=json.dumps({"instances": body}), headers={"content-type": "application/json"},
            timeout=_PATIENCE, trust_env=False,
        )  # fmt: skip
    except httpx.TransportError as error:
        raise Unavailable(f"{url} did not answer ({type(error).__name__}); `serinus status` says why") from error
    if answer.status_code == httpx.codes.OK:
        context.answer(answer.content)
        return
    said = f"{_reason(answer)} (status {answer.status_code})"
    if answer.status_code >= httpx.codes.INTERNAL_SERVER_ERROR:
        raise Unavailable(f"{card.loop} could not answer: {said}; `serinus status` shows how it is")
    raise Fatal(f"{card.loop} refused the rows: {said}")


def rows(text: str) -> list[object]:
    """The rows in JSON: a file, `-` for standard input, or the JSON itself. One object is one row."""
    raw, where = _read(text)
    try:
        found = json.loads(raw)
    except ValueError as error:
        raise Fatal(f'{where}: expected JSON rows such as [{{"distance": 500}}]; {error}') from None
    if isinstance(found, dict):
        found = found.get("instances", [found])
    if not isinstance(found, list) or not found or not all(isinstance(row, dict) for row in found):
        raise Fatal(f'{where}: expected a list of rows such as [{{"distance": 500}}], got {raw.strip()[:80]!r}')
    return found


def _read(text: str) -> tuple[str, str]:
    if text == "-":
        return sys.stdin.read(), "standard input"
    if text.lstrip()[:1] in ("{", "["):
        return text, "the rows"
    try:
        return Path(text).read_text(encoding="utf-8"), text
    except OSError as error:
        raise Fatal(f"{text}: expected a file, `-` or JSON rows; {error.strerror}") from None
    except UnicodeDecodeError:
        raise Fatal(f"{text}: expected a file with JSON in UTF-8") from None


def _reason(answer: httpx.Response) -> str:
    """What a refusal says: the predictor's sentence, or the body of whoever else answered."""
    try:
        return str(answer.json()["error"])
    except (ValueError, TypeError, KeyError):
        return answer.text.strip() or "no reason given"
