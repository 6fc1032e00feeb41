"""Who may do what: on a laptop whoever reaches loopback, on a cluster whom the API server says.

A bearer token is shown to the API server (TokenReview, for our audience only, so that a token made for something else
is of no use here), and its user's right to the loop is asked for (SubjectAccessReview). Both answers are kept for a
minute at most, in tables of bounded size.
"""

from __future__ import annotations

import hashlib
import threading
import time
from collections import OrderedDict
from collections.abc import Callable, Hashable
from dataclasses import dataclass
from typing import Any, Generic, Literal, Protocol, TypeVar

from serinus.adapters.kube import Kind, Kube
from serinus.render.names import GROUP

V = TypeVar("V")
AUDIENCE = "serinus-collector"
FOR_YES = 60.0  # seconds that an answer is kept: rights that are taken away end by then
FOR_NO = 5.0  # rights that are given are there by then
_MOST = 2000
TOKEN_REVIEWS = Kind("authentication.k8s.io/v1", "tokenreviews", "TokenReview", namespaced=False)
ACCESS_REVIEWS = Kind("authorization.k8s.io/v1", "subjectaccessreviews", "SubjectAccessReview", namespaced=False)

Subresource = Literal["predictions", "labels", "records", "audit"]
Verb = Literal["create", "get", "delete"]


@dataclass(frozen=True)
class Right:
    """To do `verb` with `modelloops/{subresource}` of a loop; namespace "" is all of them, loop "" is any."""

    subresource: Subresource
    verb: Verb
    namespace: str = ""
    loop: str = ""

    def __str__(self) -> str:
        where = f"in namespace {self.namespace}" if self.namespace else "in all namespaces"
        return f"{self.verb} modelloops.{GROUP}/{self.subresource}{f' {self.loop!r}' if self.loop else ''} {where}"


class Denied(Exception):
    """401: who is asking is not known. 403: it is, and may not."""

    def __init__(self, status: int, message: str) -> None:
        super().__init__(message)
        self.status = status


class Guard(Protocol):
    """Says whose request it is."""

    def admit(self, authorization: str, right: Right) -> str:
        """The name of who may do this, "" where nobody has a name. Raises Denied, or Unavailable."""
        ...


class Anybody:
    """Whoever can reach us, which only this machine can."""

    def admit(self, authorization: str, right: Right) -> str:  # noqa: ARG002
        """Nobody in particular."""
        return ""


@dataclass(frozen=True)
class _User:
    name: str
    info: dict[str, Any]  # as a SubjectAccessReview wants it


class Cluster:
    """Those whom a Kubernetes API server knows, with the rights it gives them. For any number of threads."""

    def __init__(self, kube: Kube, clock: Callable[[], float] = time.monotonic) -> None:
        self._kube = kube
        self._users: _Kept[_User | None] = _Kept(clock)
        self._rights: _Kept[str] = _Kept(clock)

    def admit(self, authorization: str, right: Right) -> str:
        """The user's name. Raises Denied; Unavailable when the API server is; Forbidden when we may not ask it."""
        scheme, _, token = authorization.partition(" ")
        token = token.strip()
        if scheme.lower() != "bearer" or not token:
            raise Denied(401, f"expected a bearer token for the audience {AUDIENCE}, got none")
        digest = hashlib.sha256(token.encode()).digest()  # tables hold no tokens
        user = self._users.get(digest, lambda: self._who(token))
        if user is None:
            raise Denied(401, f"expected a valid bearer token for the audience {AUDIENCE}, got another")
        refusal = self._rights.get((digest, right), lambda: self._refusal(user, right))
        if refusal:
            raise Denied(403, refusal)
        return user.name

    def _who(self, token: str) -> tuple[_User | None, float]:
        body = {"apiVersion": TOKEN_REVIEWS.api, "kind": TOKEN_REVIEWS.kind}
        spec = {"token": token, "audiences": [AUDIENCE]}
        status = self._kube.create(TOKEN_REVIEWS, None, {**body, "spec": spec}).get("status") or {}
        # An authenticator that knows nothing of audiences leaves them out: its token is for the API server itself.
        if not status.get("authenticated") or AUDIENCE not in (status.get("audiences") or ()):
            return None, FOR_NO
        user = status.get("user") or {}
        info = {key: user[key] for key in ("groups", "uid", "extra") if user.get(key)}
        return _User(user["username"], {"user": user["username"], **info}), FOR_YES

    def _refusal(self, user: _User, right: Right) -> tuple[str, float]:
        attributes = {
            "group": GROUP,
            "resource": "modelloops",
            "subresource": right.subresource,
            "verb": right.verb,
            "namespace": right.namespace,
            "name": right.loop,
        }
        body = {"apiVersion": ACCESS_REVIEWS.api, "kind": ACCESS_REVIEWS.kind}
        spec = {**user.info, "resourceAttributes": {key: value for key, value in attributes.items() if value}}
        status = self._kube.create(ACCESS_REVIEWS, None, {**body, "spec": spec}).get("status") or {}
        if status.get("allowed") is True:
            return "", FOR_YES
        return f"{user.name} may not {right}", FOR_NO


class _Kept(Generic[V]):
    """Answers until they are old; the longest unused go first when there are too many."""

    def __init__(self, clock: Callable[[], float]) -> None:
        self._clock = clock
        self._lock = threading.Lock()
        self._table: OrderedDict[Hashable, tuple[float, V]] = OrderedDict()

    def get(self, key: Hashable, ask: Callable[[], tuple[V, float]]) -> V:
        asked = self._clock()  # an answer's age counts from the question
        with self._lock:
            until, value = self._table.get(key, (0.0, None))
            if until > asked:
                self._table.move_to_end(key)
                return value  # type: ignore[return-value]  # None is there with until 0 only
        answer, seconds = ask()  # without the lock: two may ask the same, nobody waits for another's question
        with self._lock:
            self._table[key] = (asked + seconds, answer)
            self._table.move_to_end(key)
            while len(self._table) > _MOST:
                self._table.popitem(last=False)
        return answer
