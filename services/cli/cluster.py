"""A loop on a Kubernetes cluster, by its ModelLoop, with the rights of whoever asks."""

from __future__ import annotations

import re
import uuid
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Any

from serinus import loading
from serinus.adapters import kube
from serinus.adapters.kube import MODEL_LOOPS, Kube, Object
from serinus.adapters.kube_ledger import KubeLedger
from serinus.errors import Fatal, Forbidden, SpecError
from serinus.facts import Event, Request, Status
from services.cli.page import View
from services.cli.place import Asked

if TYPE_CHECKING:
    from serinus.spec import ModelLoop, RolloutSpec

_ROLES = {"modelapprovals": "serinus-approver", "looprequests": "serinus-editor", "modelloops": "serinus-viewer"}
_LACKS = re.compile(r'User "(?P<user>[^"]+)" cannot (?P<verb>\w+) resource "(?P<what>\w+)')


class Cluster:
    """The ModelLoop `name` in `namespace`."""

    pause = 0.5
    patience = 60.0  # the operator hears of it by a watch; it may be busy with other loops, or a new one taking over

    def __init__(self, api: Kube, namespace: str, name: str, options: str = "") -> None:
        self._kube, self._namespace, self.name, self.options = api, namespace, name, options

    @classmethod
    def connect(cls, name: str, namespace: str | None, context: str | None) -> Cluster:
        """By kubeconfig, in the context's namespace when none is named."""
        words = {"--loop": name, "--namespace": namespace, "--context": context}
        options = "".join(f" {word} {value}" for word, value in words.items() if value is not None)
        return cls(Kube.connect(context), namespace or kube.home(context), name, options)

    def status(self) -> Status:
        """What it remembers. Raises Fatal when there is no such ModelLoop."""
        return self._ledger(self._object()).read(self.name).status

    def driven(self) -> None:
        """Raises Fatal when no operator has ever looked at it, or when its spec is not in force."""
        found = self._object()
        if not _looked(found):
            raise Fatal(
                f"no operator has looked at {self._place} yet; is Serinus installed (`helm list --all-namespaces`), "
                "and does it watch this namespace?"
            )
        refused = [c["message"] for c in _conditions(found) if c["reason"] in ("InvalidSpec", "NameTaken")]
        if refused:
            raise Fatal(f"{self._place} is not driven: {refused[0]}")

    def ask(self, kind: Asked, version: int | None = None, reason: str = "") -> str:
        """Put a request into its inbox, in the name that the API server knows us by."""
        with self._plainly():
            ledger = self._ledger(self._object())
            asked = Request(uuid.uuid4().hex, kind, datetime.now(UTC), ledger.user(), version, reason)
            return ledger.put(self.name, asked)

    def step(self, run: str) -> str:
        """The run's phase; its steps are in the Kubeflow UI."""
        now = self.status().run
        return now.phase if now is not None and now.key == run else ""

    def events(self, limit: int) -> tuple[Event, ...]:
        """The latest events, oldest first; the object keeps some hundred."""
        return self._ledger(self._object()).events(self.name, limit)

    def view(self, events: int) -> View:
        """What there is to show."""
        found = self._object()
        status = self._ledger(found).read(self.name).status
        shown = found.get("status") or {}
        address = shown.get("address")
        return View(
            loop=self.name,
            now=datetime.now(UTC),
            status=status,
            up=_looked(found),
            addresses={"predict": f"http://{address}/v1/models/{self.name}:predict"} if address else {},
            weights=_weights(shown, status),
            step=status.run.phase if status.run is not None else "",
            rollout=_rollout_spec(found) if status.rollout is not None else None,
            events=self._ledger(found).events(self.name, events) if events else (),
            where=f"namespace {self._namespace}",
            options=self.options,
            down="no operator has looked at it yet",
            troubles=tuple(_troubles(found)),
        )

    def spec(self) -> ModelLoop:
        """Its ModelLoop as it is now. Raises SpecError."""
        return _spec(self._object())

    @property
    def namespace(self) -> str:
        """Where it is."""
        return self._namespace

    def token(self) -> str:
        """The bearer token that the kubeconfig has for us, "" when it has none."""
        return self._kube.token()

    def more(self) -> Mapping[str, object]:
        """The namespace, and the operator's conditions."""
        return {"namespace": self._namespace, "conditions": _conditions(self._object())}

    @property
    def _place(self) -> str:
        return f"ModelLoop {self._namespace}/{self.name}"

    def _object(self) -> Object:
        with self._plainly():
            found = self._kube.get(MODEL_LOOPS, self._namespace, self.name)
        if found is None:
            raise Fatal(f"there is no {self._place}; `kubectl get modelloops --all-namespaces` lists those there are")
        return found

    def _ledger(self, found: Object) -> KubeLedger:
        """The ledger of the object as it was read just now; what else was asked of the loop does not matter here."""
        return KubeLedger(self._kube, self._namespace, inbox=lambda _: (), cached=lambda _: found)

    @contextmanager
    def _plainly(self) -> Iterator[None]:
        """Say which right lacks, and which role has it."""
        try:
            yield
        except Forbidden as error:
            lacks = _LACKS.search(str(error))
            if lacks is None or lacks["what"] not in _ROLES:
                raise
            raise Forbidden(
                f"{lacks['user']} may not {lacks['verb']} {lacks['what']} in namespace {self._namespace}; "
                f"ask for the role {_ROLES[lacks['what']]} there"
            ) from error


def _looked(found: Object) -> bool:
    return "observedGeneration" in (found.get("status") or {})


def _conditions(found: Object) -> list[dict[str, Any]]:
    return (found.get("status") or {}).get("conditions") or []


def _troubles(found: Object) -> Iterator[tuple[str, str]]:
    """What the operator says is wrong, and an edit that it has not read yet."""
    for condition in _conditions(found):
        kind, state = condition["type"], condition["status"]
        if (kind == "Ready" and state != "True") or (kind == "Degraded" and state == "True"):
            yield ("not ready" if kind == "Ready" else "degraded"), condition["message"]
    observed, generation = (found.get("status") or {}).get("observedGeneration"), found["metadata"]["generation"]
    if observed is not None and observed != generation:
        yield "spec", f"the operator has not read edit {generation} yet; {observed} is in force"


def _weights(shown: Object, status: Status) -> dict[int, int] | None:
    """The shares of traffic as the operator last saw them; None when it could not see them."""
    canary, share = shown.get("canary"), shown.get("weight")
    if canary is not None and share is None:
        return None
    held = status.watch.held if status.watch is not None else 0
    weights = {} if status.previous is None else {status.previous: held}
    if shown.get("champion") is not None:
        weights[shown["champion"]] = 100 - (share or 0) - held
    if canary is not None:
        weights[canary] = share or 0
    return weights


def _rollout_spec(found: Object) -> RolloutSpec | None:
    """How far the canary has to go; None while the spec is not valid."""
    try:
        return _spec(found).spec.rollout
    except SpecError:
        return None


def _spec(found: Object) -> ModelLoop:
    document = {name: found[name] for name in ("apiVersion", "kind", "spec")}
    return loading.of({**document, "metadata": {"name": found["metadata"]["name"]}})
