"""What the collector's client makes of answers that are none: of proxies, login pages, and programs that fail."""

from __future__ import annotations

import contextlib
import threading
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path

import pytest

from serinus.adapters.collector_api import BATCH, CollectorClient
from serinus.errors import Fatal, Forbidden, SerinusError, Unavailable
from serinus.facts import Deed, Label, Prediction, RowsQuestion, Taken, TallyQuestion, Window

NOW = datetime(2026, 1, 2, tzinfo=UTC)
WINDOW = Window(NOW, NOW + timedelta(days=1))


@dataclass
class Door:
    """Answers as it is told; of several answers each is given once, the last one for ever."""

    url: str = ""
    answers: list[tuple[int, bytes]] = field(default_factory=list)
    tokens: list[str | None] = field(default_factory=list)
    seconds: float = 0.0
    over: threading.Event = field(default_factory=threading.Event)


@pytest.fixture
def door() -> Iterator[Door]:
    told = Door()

    class Handler(BaseHTTPRequestHandler):
        def do_POST(self) -> None:
            self.rfile.read(int(self.headers.get("content-length", 0)))
            told.tokens.append(self.headers.get("authorization"))
            told.over.wait(told.seconds)
            status, body = told.answers.pop(0) if len(told.answers) > 1 else told.answers[0]
            self.send_response(status)
            self.send_header("Location", "http://login.invalid/")
            self.send_header("Content-Length", str(len(body)))
            self.end_headers()
            with contextlib.suppress(OSError):
                self.wfile.write(body)

        do_GET = do_POST

        def log_message(self, format: str, *args: object) -> None:
            """Nothing."""

    server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    thread = threading.Thread(target=server.serve_forever, args=(0.05,))
    thread.start()
    told.url = f"http://127.0.0.1:{server.server_address[1]}"
    try:
        yield told
    finally:
        told.over.set()
        server.shutdown()
        server.server_close()
        thread.join(10)


ASKED: dict[str, Callable[[CollectorClient], object]] = {
    "add": lambda c: c.add("a", [Prediction("p", 1, NOW, {}, 0.5, "no")]),
    "label": lambda c: c.label("a", [Label("no", NOW, id="p")]),
    "erase": lambda c: c.erase("a", ["p"]),
    "expire": lambda c: c.expire("a", NOW),
    "tally": lambda c: c.tally("a", TallyQuestion(NOW, NOW, 60)),
    "rows": lambda c: c.rows("a", RowsQuestion(WINDOW)),
    "find": lambda c: c.find("a", ["p"]),
    "append": lambda c: c.append([Deed("d", "a", NOW, "Promoted", "ann", "said")]),
    "entries": lambda c: c.entries(),
}


@pytest.mark.parametrize("ask", ASKED.values(), ids=ASKED)
@pytest.mark.parametrize(
    ("status", "body", "error"),
    [
        (200, b"<html>log in</html>", Unavailable),
        (200, b"{}", Unavailable),
        (200, b"null", Unavailable),
        (302, b"", Fatal),
        (400, b'{"error": "the reason"}', Fatal),
        (401, b'{"error": "the reason"}', Forbidden),
        (403, b"plain words", Forbidden),
        (404, b"", Fatal),
        (408, b'{"error": "the reason"}', Unavailable),
        (429, b"[]", Unavailable),
        (500, b'{"error": "the reason"}', Unavailable),
        (502, b"<html>", Unavailable),
        (503, b'{"error": "the reason"}', Unavailable),
    ],
)
def test_every_answer_is_an_error_of_the_family_that_fits(
    door: Door, ask: Callable[[CollectorClient], object], status: int, body: bytes, error: type[SerinusError]
) -> None:
    door.answers = [(status, body)]
    with pytest.raises(error) as caught:
        ask(CollectorClient(door.url))
    assert door.url in str(caught.value) or status == 200
    assert ("the reason" in str(caught.value)) == (b"the reason" in body)


def test_one_that_does_not_answer_in_time_is_unavailable(door: Door) -> None:
    door.answers, door.seconds = [(200, b"[]")], 30
    with pytest.raises(Unavailable, match="did not answer in time"):
        CollectorClient(door.url, timeout=0.2).find("a", ["p"])


def test_a_token_that_was_just_replaced_is_read_again_before_it_is_refused(door: Door, tmp_path: Path) -> None:
    (tmp_path / "token").write_text("first\n")
    door.answers = [(401, b"{}"), (200, b"[]")]
    client = CollectorClient(door.url, token_path=str(tmp_path / "token"))
    assert client.find("a", ["p"]) == ()
    (tmp_path / "token").write_text("second")
    assert client.find("a", ["p"]) == ()
    assert door.tokens == ["Bearer first", "Bearer first", "Bearer second"]


def test_many_items_are_several_requests_and_one_sum(door: Door) -> None:
    door.answers = [(200, b'{"outcomes": {"new": 2}, "problems": ["p"]}')]
    rows = [Prediction(str(n), 1, NOW, {}, 0.5, "no") for n in range(2 * BATCH + 1)]
    assert CollectorClient(door.url).add("a", rows) == Taken({"new": 6}, ("p", "p", "p"))
    assert len(door.tokens) == 3


def test_what_json_cannot_hold_is_invalid_and_the_others_are_sent(door: Door) -> None:
    door.answers = [(200, b'{"outcomes": {"joined": 1}, "problems": []}')]
    taken = CollectorClient(door.url).label("a", [Label("no", NOW, id="half \ud800"), Label("no", NOW, id="p")])
    assert taken.outcomes == {"joined": 1, "invalid": 1}
    assert "labels: expected values that JSON can hold" in taken.problems[0]


def test_a_url_without_a_scheme_is_refused() -> None:
    with pytest.raises(Fatal, match="expected http"):
        CollectorClient("collector:8085")
