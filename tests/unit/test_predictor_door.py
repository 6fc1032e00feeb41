from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, MutableMapping
from types import SimpleNamespace
from typing import Any, cast

import orjson
import pytest
from prometheus_client import CollectorRegistry

from services.predictor.door import Door, Life, Limits
from services.predictor.metrics import counters
from services.predictor.model import ModelFailed, Predictor, Question
from tests.unit.test_predictor_inputs import contract

Message = MutableMapping[str, Any]


class _Nobody:
    """A data plane that no request of these tests should reach."""

    async def infer(self, *_: object) -> object:
        raise RuntimeError("a secret of the house")


def asked(
    *messages: Message,
    limits: Limits | None = None,
    headers: tuple[tuple[bytes, bytes], ...] = (),
    life: Life | None = None,
    plane: _Nobody | None = None,
) -> tuple[list[Message], dict[str, float]]:
    """What the door sends for a body that comes as `messages`, and the outcomes it has counted."""
    registry = CollectorRegistry()
    model = SimpleNamespace(version="7", counters=counters(contract(), "7", 0.25, registry))
    sent: list[Message] = []

    async def arriving() -> AsyncIterator[Message]:
        for message in messages:
            yield message
        await asyncio.Event().wait()  # nothing more will come

    source = arriving()

    async def send(message: Message) -> None:
        sent.append(message)

    async def inner(*_: object) -> None:
        raise AssertionError("not for KServe's own routes")

    door = Door(inner, plane or _Nobody(), cast(Predictor, model), limits or Limits(), life or Life())
    scope = {"type": "http", "method": "POST", "path": "/v1/models/parcels:predict", "headers": headers}
    asyncio.run(door(scope, lambda: anext(source), send))
    outcomes = {
        sample.labels["outcome"]: sample.value
        for metric in registry.collect()
        for sample in metric.samples
        if sample.name == "serinus_predictions_total"
    }
    return sent, outcomes


def part(body: bytes, more: bool = False) -> Message:
    return {"type": "http.request", "body": body, "more_body": more}


def closes(sent: list[Message]) -> bool:
    return (b"connection", b"close") in sent[0]["headers"]


def test_a_body_that_never_ends_is_given_up_and_its_connection_closed() -> None:
    sent, outcomes = asked(part(b"{", more=True), limits=Limits(upload=0.05))
    assert (sent[0]["status"], closes(sent), outcomes["invalid"]) == (408, True, 1)
    assert orjson.loads(sent[1]["body"]) == {"error": "expected the whole body within 0.05 s, got 1 bytes of it"}


def test_a_caller_that_hangs_up_in_the_middle_of_its_body_is_not_counted() -> None:
    sent, outcomes = asked(part(b"{", more=True), {"type": "http.disconnect"})
    assert (sent, sum(outcomes.values())) == ([], 0)


@pytest.mark.parametrize(("size", "closed"), [(11, False), (20, False), (21, True)])
def test_a_body_that_is_too_large_is_read_to_its_end_up_to_a_bound(size: int, closed: bool) -> None:
    parts = [part(b"x", more=True)] * (size - 1) + [part(b"x")]
    sent, outcomes = asked(*parts, limits=Limits(body=10, drain=20))
    assert (sent[0]["status"], closes(sent), outcomes["invalid"]) == (413, closed, 1)


def test_a_body_that_announces_itself_as_far_too_large_is_not_read_at_all() -> None:
    sent, _ = asked(limits=Limits(body=10, drain=20), headers=((b"content-length", b"21"),))
    assert (sent[0]["status"], closes(sent)) == (413, True)


def test_one_request_more_than_may_wait_is_told_to_come_back() -> None:
    sent, outcomes = asked(part(b"{}"), limits=Limits(open=2), life=Life(open=2))
    assert (sent[0]["status"], outcomes["error"]) == (503, 1)
    assert (b"retry-after", b"1") in sent[0]["headers"]
    assert (b"x-serinus-version", b"7") in sent[0]["headers"]


def test_an_error_that_nobody_foresaw_is_a_500_without_its_text() -> None:
    life = Life()
    sent, outcomes = asked(part(b"{}"), life=life)
    assert (sent[0]["status"], outcomes["error"], life.open) == (500, 1, 0)
    assert orjson.loads(sent[1]["body"]) == {"error": "the server failed on this request; its log says why"}


def test_while_draining_every_answer_asks_the_caller_to_leave() -> None:
    sent, _ = asked(part(b"no json"), life=Life(draining=True))
    assert (sent[0]["status"], closes(sent)) == (400, True)


@pytest.mark.parametrize(
    ("host", "copy"),
    [
        (b"flights.models.local-shadow", True),
        (b"127.0.0.1-shadow:8080", True),
        (b"flights.models.local", False),
        (b"127.0.0.1:8080", False),
        (b"flights-shadow.models.local:80", False),
        (b"", False),
    ],
)
def test_a_copy_of_a_request_is_known_by_its_host(host: bytes, copy: bool) -> None:
    questions: list[bool] = []

    class Plane(_Nobody):
        async def infer(self, _model: str, question: Question) -> object:  # type: ignore[override]
            questions.append(question.copy)
            raise ModelFailed

    asked(part(b"{}"), headers=((b"host", host),) if host else (), plane=Plane())
    assert questions == [copy]
