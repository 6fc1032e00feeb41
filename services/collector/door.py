"""The HTTP door: what is too much, too slow or too large ends here; what is left is work for threads.

An answer of 200 is sent after the commit. Whoever gets 503 sends the same again: nothing is kept twice.
"""

from __future__ import annotations

import asyncio
import logging
from collections.abc import AsyncIterator, Awaitable, Callable, Mapping, MutableMapping
from concurrent.futures import Executor
from dataclasses import dataclass, field
from time import perf_counter
from typing import Any

from serinus.errors import Retryable, Unavailable
from services.collector.auth import Denied, Guard
from services.collector.metrics import CollectorMetrics
from services.collector.reading import Refused
from services.collector.routes import Ask, Reply, Route, Router, said

Scope = MutableMapping[str, Any]
Message = MutableMapping[str, Any]
Receive = Callable[[], Awaitable[Message]]
Send = Callable[[Message], Awaitable[None]]

log = logging.getLogger("serinus.collector")


@dataclass(frozen=True)
class Limits:
    """What callers may ask of us. Bytes and seconds."""

    body: int = 8 * 1024 * 1024
    open: int = 64  # requests in work or waiting; one more is answered 503
    pending: int = 64 * 1024 * 1024  # bodies of all of these
    drain: int = 32 * 1024 * 1024  # so much of a body that is refused is still read, to keep its connection usable
    upload: float = 30.0


@dataclass
class Life:
    """Where the process stands."""

    draining: bool = False  # still answering, but no longer to be sent new requests
    database: str = "the database is not open yet; ask again in a moment"  # why it cannot be used, "" when it can


@dataclass(frozen=True)
class Crew:
    """Who works: reading a year's tally must not keep predictions waiting, nor the database those who are refused."""

    writers: Executor
    readers: Executor
    guards: Executor


class _Gone(Exception):
    """The caller hung up before its request was whole."""


@dataclass
class _Upload:
    """A request's body on its way here."""

    receive: Receive
    size: int = 0  # bytes that came
    held: int = 0  # bytes of them that we hold
    over: bool = False  # nothing more comes
    slow: bool = False  # nothing more is waited for

    async def parts(self) -> AsyncIterator[bytes]:
        """What comes. Raises _Gone."""
        while not self.over:
            message = await self.receive()
            if message["type"] != "http.request":
                self.over = True
                raise _Gone
            self.over = not message.get("more_body", False)
            part = message.get("body", b"")
            self.size += len(part)
            yield part


@dataclass
class Door:
    """The ASGI application."""

    router: Router
    guard: Guard
    crew: Crew
    metrics: CollectorMetrics
    limits: Limits
    life: Life
    open: int = field(default=0, init=False)
    pending: int = field(default=0, init=False)

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Answer one request."""
        if scope["type"] != "http":
            return
        start = perf_counter()
        route, reply = None, None
        upload = _Upload(receive)
        self.open += 1
        self.metrics.in_flight.set(self.open)
        try:
            route, names = self.router.find(scope["method"], scope["path"])
            reply = await self._answer(route, names, scope, upload)
        except _Gone:
            pass
        except Exception as error:
            reply = await self._apology(error, scope, upload)
        finally:
            self.open -= 1
            self.pending -= upload.held
            self.metrics.in_flight.set(self.open)
            self.metrics.pending.set(self.pending)
        if reply is not None:
            self.metrics.seconds.labels(route.name if route else "none", str(reply.status)).observe(
                perf_counter() - start
            )
            await self._send(send, reply)

    async def _answer(self, route: Route, names: Mapping[str, str], scope: Scope, upload: _Upload) -> Reply:
        loop = asyncio.get_running_loop()
        headers = {name.decode("latin-1"): value.decode("latin-1") for name, value in scope["headers"]}
        ask = Ask(names.get("namespace", ""), names.get("loop", ""), headers, scope["query_string"].decode("latin-1"))
        if route.kind == "probe":
            return await loop.run_in_executor(None, route.work, ask)  # threads that no database keeps
        if self.open > self.limits.open:
            raise _busy(f"{self.open - 1} requests are in work or waiting already")
        right = route.right(ask) if route.right is not None else None
        if right is not None:
            authorization = headers.get("authorization", "")
            ask = ask.by(await loop.run_in_executor(self.crew.guards, self.guard.admit, authorization, right))
        if self.life.database:  # known to be away: no thread has to find that out for each request
            raise Unavailable(self.life.database)
        if scope["method"] == "POST":
            ask = ask.holding(await self._body(headers, upload))
        crew = self.crew.writers if route.kind == "write" else self.crew.readers
        return await loop.run_in_executor(crew, route.work, ask)

    async def _apology(self, error: Exception, scope: Scope, upload: _Upload) -> Reply:
        """What the caller is told about `error`, once its body is read, as far as that is worth it."""
        close = not await self._drain(scope, upload)
        headers: tuple[tuple[bytes, bytes], ...] = ((b"connection", b"close"),) if close else ()
        match error:
            case Refused():
                reply = said(error.status, {"error": str(error)})
            case Denied():
                reply = said(error.status, {"error": str(error)})
                if error.status == 401:
                    headers = (*headers, (b"www-authenticate", b"Bearer"))
            case Retryable():
                reply = said(503, {"error": str(error)})
            case _:
                log.error("request failed", exc_info=error)
                reply = said(500, {"error": "the collector failed on this request; its log says why"})
        if reply.status == 503:
            headers = (*headers, (b"retry-after", b"1"))
        return Reply(reply.status, reply.body, headers=headers)

    async def _body(self, headers: Mapping[str, str], upload: _Upload) -> bytes:
        """The whole body. Raises Refused (too large, too slow), _Gone."""
        if headers.get("content-encoding", "identity").lower() != "identity":
            raise Refused("expected a body that is not compressed", 415)
        length = headers.get("content-length", "")
        if length.isdigit() and int(length) > self.limits.body:
            raise self._too_large()
        parts: list[bytes] = []
        try:
            async with asyncio.timeout(self.limits.upload):
                async for part in upload.parts():
                    upload.held += len(part)
                    self.pending += len(part)
                    self.metrics.pending.set(self.pending)
                    if upload.size > self.limits.body:
                        raise self._too_large()
                    if self.pending > self.limits.pending:
                        raise _busy(f"{self.limits.pending} bytes of requests are in work or waiting already")
                    parts.append(part)
        except TimeoutError:
            upload.slow = True
            text = f"expected the whole body within {self.limits.upload:g} s, got {upload.size} bytes of it"
            raise Refused(text, 408) from None
        return parts[0] if len(parts) == 1 else b"".join(parts)

    async def _drain(self, scope: Scope, upload: _Upload) -> bool:
        """Read what is left of the body; False when that is too much, or too slow."""
        if upload.slow:
            return False
        length = dict(scope["headers"]).get(b"content-length", b"0")
        if length.isdigit() and int(length) > self.limits.drain:
            return False
        try:
            async with asyncio.timeout(self.limits.upload / 6):
                async for _ in upload.parts():
                    if upload.size > self.limits.drain:
                        return False
        except (TimeoutError, _Gone):
            return False
        return True

    def _too_large(self) -> Refused:
        return Refused(f"the body is too large: expected at most {self.limits.body} bytes; send it in parts", 413)

    async def _send(self, send: Send, reply: Reply) -> None:
        headers = [
            (b"content-type", reply.kind),
            (b"content-length", str(len(reply.body)).encode()),
            *reply.headers,
        ]
        if self.life.draining:
            headers.append((b"connection", b"close"))
        await send({"type": "http.response.start", "status": reply.status, "headers": headers})
        await send({"type": "http.response.body", "body": reply.body})


def _busy(why: str) -> Refused:
    return Refused(f"{why}; send it again in a second", 503)
