"""Callers that ask a loop's endpoint without pause, and what came of every single request."""

from __future__ import annotations

import contextlib
import http.client
import json
import math
import threading
import time
from collections import Counter
from collections.abc import Iterator
from dataclasses import dataclass, field

PATH = "/v1/models/flights:predict"


@dataclass(frozen=True)
class Answer:
    """One request: when it was sent (monotonic seconds), the status (0: none), who answered, what went wrong."""

    sent: float
    status: int
    version: int
    problem: str = ""


def ask(connection: http.client.HTTPConnection, body: bytes = b"{}", path: str = PATH) -> Answer:
    """Send one prediction request; a body whose version is not the header's is a problem."""
    sent = time.monotonic()
    try:
        connection.request("POST", path, body, {"content-type": "application/json"})
        response = connection.getresponse()
        content = response.read()
        version = int(json.loads(content).get("version", -1))
    except (OSError, http.client.HTTPException, ValueError) as error:
        connection.close()
        return Answer(sent, 0, -1, repr(error))
    if response.status == 200 and response.getheader("x-serinus-version") != str(version):
        return Answer(sent, 200, version, f"header says version {response.getheader('x-serinus-version')}")
    return Answer(sent, response.status, version, "" if response.status == 200 else content.decode())


@dataclass
class Load:
    """What the callers got so far."""

    answers: list[Answer] = field(default_factory=list)

    def since(self, moment: float) -> list[Answer]:
        return [a for a in list(self.answers) if a.sent >= moment]

    def failed(self) -> list[Answer]:
        return [a for a in list(self.answers) if a.status != 200 or a.problem]


@contextlib.contextmanager
def load(port: int, callers: int = 8, pause: float = 0.004) -> Iterator[Load]:
    """`callers` ask at once, `pause` seconds after their last answer; one request in sixteen takes 50 ms."""
    got, over = Load(), threading.Event()

    def call(slow: bytes = b'{"seconds": 0.05}') -> None:
        connection = http.client.HTTPConnection("127.0.0.1", port, timeout=10)
        turn = 0
        while not over.wait(pause):
            got.answers.append(ask(connection, slow if turn % 16 == 0 else b"{}"))
            turn += 1
        connection.close()

    threads = [threading.Thread(target=call) for _ in range(callers)]
    for thread in threads:
        thread.start()
    try:
        yield got
    finally:
        over.set()
        for thread in threads:
            thread.join()


def plausible(answers: list[Answer], version: int, percent: int) -> bool:
    """Whether the version's count is within five standard deviations of its share (2 in 3.5 million by chance)."""
    count, n, p = Counter(a.version for a in answers)[version], len(answers), percent / 100
    return abs(count - n * p) <= 5 * math.sqrt(n * p * (1 - p))
