"""The HTTP door: every request passes here, inference is answered here, other GETs go on to KServe's own routes.

KServe's routes for inference are not used, its data plane is: they answer `[]` or a wrong content type with 500 and
drop the connection on what they do not expect. What they cost pays for the checks and the thread here.
"""

from __future__ import annotations

import asyncio
import logging
import re
from collections.abc import Awaitable, Callable, MutableMapping
from dataclasses import dataclass
from time import perf_counter
from typing import Any

import orjson
from kserve.errors import ModelNotFound
from kserve.protocol.dataplane import DataPlane

from serinus.render.envoy import SHADOW
from services.predictor.columns import Refused, short
from services.predictor.inputs import Protocol
from services.predictor.metrics import Outcome
from services.predictor.model import ModelFailed, Predictor, Question

Scope = MutableMapping[str, Any]
Receive = Callable[[], Awaitable[MutableMapping[str, Any]]]
Send = Callable[[MutableMapping[str, Any]], Awaitable[None]]
App = Callable[[Scope, Receive, Send], Awaitable[None]]
Header = tuple[bytes, bytes]

log = logging.getLogger("serinus.predictor")

_V1 = re.compile(r"/v1/models/([^/:]+):predict")
_V2 = re.compile(r"/v2/models/([^/]+)(?:/versions/([^/]+))?/infer")
_SHADOW = SHADOW.encode()
_JSON = re.compile(rb"application/(?:[\w.-]+\+)?json\s*(?:;.*)?", re.IGNORECASE)


@dataclass(frozen=True)
class Limits:
    """What a caller may ask of us. Bytes and seconds."""

    body: int = 4 * 1024 * 1024
    drain: int = 64 * 1024 * 1024  # so much of a body that is too large is still read, to keep its connection usable
    upload: float = 30.0
    open: int = 64  # requests in work or waiting; one more is answered 503


@dataclass
class Life:
    """Where the process stands."""

    draining: bool = False  # still answering, but no longer to be sent new requests
    open: int = 0  # requests in work or waiting for a thread
    lost: int = 0  # requests given up unanswered when the grace was over


@dataclass(frozen=True)
class Reply:
    """An answer, ready to be sent."""

    status: int
    body: bytes
    outcome: Outcome
    headers: tuple[Header, ...] = ()


@dataclass(frozen=True)
class _Target:
    """What the URL asks."""

    protocol: Protocol
    model: str
    version: str | None = None


class _Denied(Exception):
    """The request is answered with `reply` without asking the model."""

    def __init__(self, reply: Reply) -> None:
        super().__init__(reply.status)
        self.reply = reply


class _Gone(Exception):
    """The caller hung up before its request was whole."""


class Door:
    """The ASGI application."""

    def __init__(self, inner: App, plane: DataPlane, model: Predictor, limits: Limits, life: Life) -> None:
        self.inner = inner
        self.plane = plane
        self.model = model
        self.limits = limits
        self.life = life

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Answer one request."""
        if scope["type"] != "http":
            await self.inner(scope, receive, send)
            return
        path, post = scope["path"], scope["method"] == "POST"
        if post and (found := _V1.fullmatch(path)):
            await self._infer(_Target("v1", found[1]), scope, receive, send)
        elif post and (found := _V2.fullmatch(path)):
            await self._infer(_Target("v2", found[1], found[2]), scope, receive, send)
        elif scope["method"] in ("GET", "HEAD"):
            await self.inner(scope, receive, self._closing(send))
        else:
            # KServe would unload the model for whoever asks (/v2/repository), and has no explainer.
            reply = _refuse(405, f"{scope['method']} {short(path)}: expected a POST to :predict or /infer")
            await self._send(send, reply)

    async def _infer(self, target: _Target, scope: Scope, receive: Receive, send: Send) -> None:
        start = perf_counter()
        try:
            headers = dict(scope["headers"])
            body = await self._body(headers, receive)
            start = perf_counter()  # the caller's upload is not our latency
            _check_headers(headers)
            reply = await self._answer(target, body, _is_copy(headers))
        except _Gone:
            return
        except Exception as error:
            reply = self._apology(error)
        await self._send(send, reply)
        self.model.counters.outcomes[reply.outcome].inc()
        if reply.outcome != "invalid":
            self.model.counters.seconds.observe(perf_counter() - start)

    async def _answer(self, target: _Target, body: bytes, copy: bool) -> Reply:
        if target.version not in (None, self.model.version):
            raise _Denied(_refuse(404, f"{short(target.model)!r} is served in version {self.model.version} here"))
        if self.life.open >= self.limits.open:
            text = f"{self.life.open} requests are in work or waiting already; try again in a second"
            raise _Denied(Reply(503, orjson.dumps({"error": text}), "error", ((b"retry-after", b"1"),)))
        question = Question(target.protocol, orjson.loads(body), len(body), copy)
        self.life.open += 1
        try:
            response, _ = await self.plane.infer(target.model, question)
        except asyncio.CancelledError:
            self.life.lost += 1
            raise
        finally:
            self.life.open -= 1
        said, _ = self.plane.encode(target.model, response, None, {})
        return Reply(200, orjson.dumps(said), "ok", ((b"x-prediction-id", said["id"].encode()),))

    def _apology(self, error: Exception) -> Reply:
        """What the caller is told about `error`: what is wrong when it is theirs to mend, and never a stack trace."""
        match error:
            case _Denied():
                reply = error.reply
            case Refused():
                if error.bin:
                    self.model.counters.features[error.field][error.bin].inc(error.rows)
                reply = _refuse(400, str(error), error.field)
            case orjson.JSONDecodeError():
                reply = _refuse(400, f"the body is not JSON: {error.msg} at character {error.pos}")
            case ModelNotFound():
                reply = _refuse(404, short(str(error), 200))
            case ModelFailed():
                reply = _failed("the model failed on this request; the server's log says why")
            case _:
                log.error("request failed", exc_info=error)
                reply = _failed("the server failed on this request; its log says why")
        return reply

    async def _body(self, headers: dict[bytes, bytes], receive: Receive) -> bytes:
        """The whole body. Raises _Denied (too large, too slow) and _Gone."""
        length = headers.get(b"content-length", b"0")
        if length.isdigit() and int(length) > self.limits.drain:
            raise self._too_large((b"connection", b"close"))
        parts: list[bytes] = []
        size, more = 0, True
        try:
            async with asyncio.timeout(self.limits.upload):
                while more:
                    message = await receive()
                    if message["type"] != "http.request":
                        raise _Gone
                    part = message.get("body", b"")
                    more = message.get("more_body", False)
                    size += len(part)
                    if size > self.limits.drain:
                        raise self._too_large((b"connection", b"close"))
                    if size <= self.limits.body:
                        parts.append(part)
        except TimeoutError:
            text = f"expected the whole body within {self.limits.upload:g} s, got {size} bytes of it"
            raise _Denied(_refuse(408, text, "", (b"connection", b"close"))) from None
        if size > self.limits.body:
            raise self._too_large()
        return parts[0] if len(parts) == 1 else b"".join(parts)

    def _too_large(self, *headers: Header) -> _Denied:
        text = f"the body is too large: expected at most {self.limits.body} bytes; send the rows in parts"
        return _Denied(_refuse(413, text, "", *headers))

    async def _send(self, send: Send, reply: Reply) -> None:
        headers: list[Header] = [
            (b"content-type", b"application/json"),
            (b"content-length", str(len(reply.body)).encode()),
            (b"x-serinus-version", self.model.version.encode()),  # failures too say whose they are
            *reply.headers,
        ]
        if self.life.draining:
            headers.append((b"connection", b"close"))
        await send({"type": "http.response.start", "status": reply.status, "headers": headers})
        await send({"type": "http.response.body", "body": reply.body})

    def _closing(self, send: Send) -> Send:
        """`send` that asks callers to leave while we drain."""
        if not self.life.draining:
            return send

        async def closing(message: MutableMapping[str, Any]) -> None:
            if message["type"] == "http.response.start":
                message["headers"] = [*message.get("headers", ()), (b"connection", b"close")]
            await send(message)

        return closing


def _is_copy(headers: dict[bytes, bytes]) -> bool:
    """Whether a router made this request of another one, whose caller somebody else answers."""
    name, _, port = headers.get(b"host", b"").rpartition(b":")
    return (name if name and port.isdigit() else headers.get(b"host", b"")).endswith(_SHADOW)


def _check_headers(headers: dict[bytes, bytes]) -> None:
    """Raises _Denied for a body that is not plain JSON by its own account."""
    kind = headers.get(b"content-type")
    if kind is not None and not _JSON.fullmatch(kind.strip()):
        raise _unsupported("content-type", "application/json", kind)
    coding = headers.get(b"content-encoding", b"identity")
    if coding.lower() != b"identity":
        raise _unsupported("content-encoding", "none", coding)
    binary = headers.get(b"inference-header-content-length")
    if binary is not None:
        raise _unsupported("inference-header-content-length", "tensors' data as JSON, without this header", binary)


def _unsupported(header: str, expected: str, got: bytes) -> _Denied:
    return _Denied(_refuse(415, f"{header}: expected {expected}, got {short(got.decode('latin-1'))!r}", header))


def _refuse(status: int, text: str, field: str = "", *headers: Header) -> Reply:
    return Reply(
        status, orjson.dumps({"error": text, "field": field} if field else {"error": text}), "invalid", headers
    )


def _failed(text: str) -> Reply:
    return Reply(500, orjson.dumps({"error": text}), "error")
