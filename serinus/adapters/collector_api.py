"""The ports Recorder, Records and Audit over HTTP: what a process says to the collector."""

from __future__ import annotations

import time
from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from datetime import datetime
from pathlib import Path
from typing import Any, TypeVar
from urllib.parse import quote

import httpx
import orjson

from serinus import wire
from serinus.errors import Fatal, Forbidden, Unavailable
from serinus.facts import (
    AuditEntry,
    Deed,
    Label,
    Prediction,
    Record,
    RowsQuestion,
    Taken,
    Tally,
    TallyQuestion,
)

T = TypeVar("T")
BATCH = 1000
"""Items of one request; more of them are several, so that what failed in the middle may be sent again as a whole."""
_PROBLEMS = 20
_MOST_NAMES = 10_000  # ids or keys of one question
_PASSING = (408, 425, 429)
_SECONDS_BETWEEN_TRIES = 0.2


class CollectorClient:
    """The collector at `url`, for the loops of one namespace. For any number of threads.

    token_path: file of a token for the audience serinus-collector, "" for none; read anew for each request, since the
    kubelet replaces it. timeout: seconds for one request. by: who erases, where the collector does not know it
    better; reason: why, without names of people.
    hash: columns of added predictions of which keyed hashes are kept.

    Raises Unavailable (away, slow, 5xx, no answer of the collector's), Forbidden (401, 403), Fatal (what the collector
    refuses, in its words).
    """

    def __init__(
        self,
        url: str,
        namespace: str = "local",
        token_path: str = "",
        timeout: float = 30.0,
        *,
        by: str = "",
        reason: str = "",
        hash: Sequence[str] = (),
    ) -> None:
        if not url.startswith(("http://", "https://")):
            raise Fatal(f"the collector's URL: expected http://... or https://..., got {url!r}")
        self._url = url.rstrip("/")
        self._namespace = namespace
        self._token_path = Path(token_path) if token_path else None
        self._by, self._reason = by, reason
        self._hash = list(hash)
        # The environment's proxies are for the world outside; the collector is a neighbour.
        self._client = httpx.Client(timeout=timeout, trust_env=False, headers={"Accept": "application/json"})

    # --- Recorder ----------------------------------------------------------------------------------------------------

    def add(self, loop: str, predictions: Sequence[Prediction]) -> Taken:
        """Keep answered rows; an id that is held already stays as it is."""
        items = [_prediction(item) for item in predictions]
        return self._give(f"{self._place(loop)}/predictions", "predictions", items, {"hash": self._hash})

    def label(self, loop: str, labels: Sequence[Label]) -> Taken:
        """Keep truths, in the order given, each with one of the outcomes of `LabelOutcome`."""
        return self._give(f"{self._place(loop)}/labels", "labels", [_label(item) for item in labels])

    def erase(self, loop: str, ids: Sequence[str] = (), keys: Sequence[str] = ()) -> int:
        """Forget these predictions and their labels for good; returns how many predictions that were."""
        total = 0
        for some_ids, some_keys in _names(ids, keys):
            body = {"ids": some_ids, "keys": some_keys, "by": self._by, "reason": self._reason}
            total += self._number(self._post(f"{self._place(loop)}/erase", body), "erased")
        return total

    def expire(self, loop: str, before: datetime) -> int:
        """Forget what was answered before that time, and labels known before it; returns how many rows that were."""
        return self._number(self._post(f"{self._place(loop)}/expire", {"before": before.isoformat()}), "expired")

    # --- Records -----------------------------------------------------------------------------------------------------

    def tally(self, loop: str, question: TallyQuestion) -> tuple[Tally, ...]:
        """Counts by version and window, oldest first; a window without rows is left out."""
        return self._ask(tuple[Tally, ...], f"{self._place(loop)}/tally", wire.dump(question))

    def rows(self, loop: str, question: RowsQuestion) -> tuple[Record, ...]:
        """Records of a window, oldest first. The collector gives 100,000 at most."""
        return self._ask(tuple[Record, ...], f"{self._place(loop)}/rows", wire.dump(question))

    def find(self, loop: str, ids: Sequence[str] = (), keys: Sequence[str] = ()) -> tuple[Record, ...]:
        """The records with these ids or business keys, oldest first."""
        found: dict[str, Record] = {}
        for some_ids, some_keys in _names(ids, keys):
            body = orjson.dumps({"ids": some_ids, "keys": some_keys})
            records = self._ask(tuple[Record, ...], f"{self._place(loop)}/find", body)
            found |= {record.prediction.id: record for record in records}
        return tuple(sorted(found.values(), key=lambda record: (record.prediction.time, record.prediction.id)))

    # --- Audit -------------------------------------------------------------------------------------------------------

    def append(self, deeds: Sequence[Deed]) -> int:
        """Keep those whose id is not there yet, in this order, in one step; returns how many those were.

        Deeds of one namespace alone need a right in that namespace alone.
        """
        namespaces = {deed.namespace for deed in deeds}
        alone = namespaces.pop() if len(namespaces) == 1 else ""
        path = f"/audit?namespace={quote(alone, safe='')}" if alone else "/audit"
        return self._number(self._send("POST", path, wire.dump({"deeds": deeds})), "appended")

    def entries(self, after: int = 0, limit: int = 1000) -> tuple[AuditEntry, ...]:
        """Entries with numbers greater than `after`, oldest first, as they are stored."""
        path = f"/audit?after={max(after, 0)}&limit={max(limit, 0)}"
        return _loaded(tuple[AuditEntry, ...], self._send("GET", path))

    def close(self) -> None:
        """Close the connections."""
        self._client.close()

    # --- how ---------------------------------------------------------------------------------------------------------

    def _place(self, loop: str) -> str:
        return f"/loops/{quote(self._namespace, safe='')}/{quote(loop, safe='')}"

    def _give(
        self, path: str, what: str, items: Sequence[Mapping[str, Any]], more: Mapping[str, Any] | None = None
    ) -> Taken:
        outcomes, problems = Counter[str](), list[str]()
        for start in range(0, len(items), BATCH):
            written: list[orjson.Fragment] = []
            for item in items[start : start + BATCH]:
                try:
                    written.append(orjson.Fragment(orjson.dumps(item)))
                except orjson.JSONEncodeError as error:  # half a character, say
                    outcomes["invalid"] += 1
                    problems.append(f"{what}: expected values that JSON can hold: {error}")
            answer = self._post(path, {**(more or {}), what: written})
            try:
                outcomes.update({str(name): int(number) for name, number in answer["outcomes"].items()})
                problems += map(str, answer["problems"])
            except (KeyError, TypeError, ValueError, AttributeError) as error:
                raise self._unavailable(path, f"expected outcomes and problems, got {str(answer)[:80]}") from error
        return Taken(dict(outcomes), tuple(problems[:_PROBLEMS]))

    def _ask(self, kind: type[T], path: str, body: bytes) -> T:
        return _loaded(kind, self._send("POST", path, body))

    def _post(self, path: str, body: Mapping[str, Any]) -> Any:
        return self._read(path, self._send("POST", path, orjson.dumps(body)))

    def _number(self, answer: Any, name: str) -> int:
        found = self._read(name, answer) if isinstance(answer, bytes) else answer
        if not isinstance(found, dict) or not isinstance(found.get(name), int):
            raise self._unavailable(name, f"expected a number, got {str(found)[:80]}")
        return int(found[name])

    def _read(self, path: str, body: bytes) -> Any:
        try:
            return orjson.loads(body)
        except orjson.JSONDecodeError as error:
            raise self._unavailable(path, f"expected JSON, got {body[:60]!r}") from error

    def _send(self, method: str, path: str, body: bytes | None = None) -> bytes:
        """The answer's body. Raises what the class says."""
        answer = self._try(method, path, body)
        if answer.status_code == 401 and self._token_path is not None:
            time.sleep(_SECONDS_BETWEEN_TRIES)  # the kubelet replaces tokens when it likes
            answer = self._try(method, path, body)
        status = answer.status_code
        if status == 200:
            return answer.content
        words = _words(answer)
        if status >= 500 or status in _PASSING:
            raise self._unavailable(path, f"{status}: {words}")
        text = f"the collector at {self._url} refused {method} {path}: {status}: {words}"
        raise (Forbidden if status in (401, 403) else Fatal)(text)

    def _try(self, method: str, path: str, body: bytes | None) -> httpx.Response:
        headers = {"Content-Type": "application/json"} if body is not None else {}
        if self._token_path is not None:
            headers["Authorization"] = f"Bearer {self._token()}"
        try:
            return self._client.request(method, self._url + path, content=body, headers=headers)
        except httpx.TimeoutException as error:
            raise self._unavailable(path, f"it did not answer in time ({type(error).__name__})") from error
        except httpx.HTTPError as error:
            raise self._unavailable(path, str(error) or type(error).__name__) from error

    def _token(self) -> str:
        assert self._token_path is not None  # noqa: S101 - asked above
        try:
            return self._token_path.read_text().strip()
        except OSError as error:
            raise Unavailable(f"{self._token_path}: expected the token for the collector: {error.strerror}") from error

    def _unavailable(self, path: str, why: str) -> Unavailable:
        return Unavailable(f"the collector at {self._url} cannot be asked: {path}: {why}")


def _prediction(item: Prediction) -> dict[str, Any]:
    return {
        "id": item.id,
        "version": item.version,
        "time": item.time.isoformat(),
        "features": dict(item.features),
        "score": item.score,
        "answer": item.answer,
        "key": item.key,
    }


def _label(item: Label) -> dict[str, Any]:
    return {"truth": item.truth, "at": item.at.isoformat(), "id": item.id, "key": item.key}


def _names(ids: Sequence[str], keys: Sequence[str]) -> Iterator[tuple[list[str], list[str]]]:
    """Both, in parts that a request may have; one even when there is nothing."""
    for start in range(0, max(len(ids), len(keys), 1), _MOST_NAMES):
        yield list(ids[start : start + _MOST_NAMES]), list(keys[start : start + _MOST_NAMES])


def _loaded(kind: type[T], body: bytes) -> T:
    try:
        return wire.load(kind, body)
    except Fatal as error:
        raise Unavailable(f"the collector's answer is not one: {error}") from error


def _words(answer: httpx.Response) -> str:
    try:
        return str(orjson.loads(answer.content)["error"])[:500]
    except (orjson.JSONDecodeError, KeyError, TypeError):
        return answer.text[:80]
