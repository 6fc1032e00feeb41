"""Callers of a loop's endpoint at a steady rate, and what came of every single request."""

from __future__ import annotations

import contextlib
import http.client
import json
import threading
import time
from collections import Counter
from collections.abc import Iterator
from dataclasses import dataclass, field
from typing import Any

from tests.servers.loops import Loop


@dataclass(frozen=True)
class Answer:
    """One request: when it was sent and answered (monotonic seconds), the status (0: none), who answered, and what."""

    sent: float
    done: float
    status: int
    version: int
    problem: str = ""
    id: str = ""  # of the prediction
    label: str = ""  # its answer, of a classification


@dataclass
class Calls:
    """What came of the requests so far."""

    answers: list[Answer] = field(default_factory=list)

    def since(self, moment: float) -> list[Answer]:
        """Those sent at `moment` (monotonic) or later."""
        return [answer for answer in list(self.answers) if answer.sent >= moment]

    def failed(self, status: int | None = None) -> list[Answer]:
        """Those that were not answered with 200; `status` is one that is no failure either."""
        return [answer for answer in list(self.answers) if answer.status not in (200, status)]

    def by_version(self, since: float = 0.0) -> Counter[int]:
        """How many each version answered."""
        return Counter(answer.version for answer in self.since(since) if answer.status == 200)


@dataclass(frozen=True)
class Door:
    """Where a loop is asked; `name` is the Host header where a gateway tells loops apart by it."""

    loop: str
    host: str
    port: int
    name: str = ""


def calls(
    loop: Loop, rows: list[dict[str, Any]], rate: float = 60.0, callers: int = 4
) -> contextlib.AbstractContextManager[Calls]:
    """`calls_at` the local loop's own Envoy."""
    return calls_at(Door(loop.name, "127.0.0.1", loop.addresses.envoy), rows, rate, callers)


@contextlib.contextmanager
def calls_at(door: Door, rows: list[dict[str, Any]], rate: float = 60.0, callers: int = 4) -> Iterator[Calls]:
    """`rate` requests a second, one row each, from `callers` keep-alive connections, until the block ends."""
    got, over = Calls(), threading.Event()
    bodies = [json.dumps({"instances": [row]}).encode() for row in rows]
    path, headers = f"/v1/models/{door.loop}:predict", {"content-type": "application/json"}
    if door.name:
        headers["host"] = door.name

    def call(number: int) -> None:
        connection = http.client.HTTPConnection(door.host, door.port, timeout=30)
        due, turn = time.monotonic() + number / rate, number
        while not over.wait(max(0.0, due - time.monotonic())):
            got.answers.append(_ask(connection, path, headers, bodies[turn % len(bodies)]))
            turn += callers
            due = max(due + callers / rate, time.monotonic() - 1.0)  # after a stall, catch up with a second at most
        connection.close()

    threads = [threading.Thread(target=call, args=(number,)) for number in range(callers)]
    for thread in threads:
        thread.start()
    try:
        yield got
    finally:
        over.set()
        for thread in threads:
            thread.join()


def _ask(connection: http.client.HTTPConnection, path: str, headers: dict[str, str], body: bytes) -> Answer:
    sent = time.monotonic()
    try:
        connection.request("POST", path, body, headers)
        response = connection.getresponse()
        content = response.read()
    except (OSError, http.client.HTTPException) as error:
        connection.close()
        return Answer(sent, time.monotonic(), 0, -1, repr(error))
    done, version = time.monotonic(), int(response.getheader("x-serinus-version") or -1)
    if response.status != 200:
        return Answer(sent, done, response.status, version, content[:200].decode(errors="replace"))
    said = json.loads(content)
    number = int(said["model_version"])
    prediction: dict[str, Any] = next(iter(said.get("predictions", ())), {})
    problem = "" if number == version else f"the header says version {version}"
    id, label = response.getheader("x-prediction-id") or "", str(prediction.get("label", ""))
    return Answer(sent, done, 200, number, problem, id, label)
