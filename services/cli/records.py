"""What is kept of a loop's answers, where a word finds it: the collector, the versions, the file."""

from __future__ import annotations

import tempfile
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from serinus.adapters.collector_api import CollectorClient
from serinus.errors import Fatal
from serinus.spec import ModelLoop
from services.cli import context
from services.cli.place import Place, find

if TYPE_CHECKING:
    from serinus.facts import Version
    from services.cli.cluster import Cluster
    from services.learned import Learned

_TIMEOUT = 60.0  # seconds for one answer: a question about all windows may take some
_AUDIENCE = "serinus-collector"


@dataclass(frozen=True)
class Where:
    """How people name a loop, and how what is kept of one on a cluster is reached."""

    state: Path
    loop: str | None = None
    namespace: str | None = None
    context: str | None = None
    collector: str = ""  # its address; a local one is known
    token: Path | None = None  # file with a bearer token; unset: the kubeconfig's
    mlflow: str = ""  # its address; a local one is known


@dataclass(frozen=True)
class Who:
    """Who does something, and why."""

    name: str
    reason: str


@dataclass(frozen=True)
class Kept:
    """One loop's records, and what is known of its versions."""

    place: Place
    client: CollectorClient
    spec: ModelLoop
    mlflow: str  # "": cannot be asked
    models: Path  # folder of fetched model directories

    @property
    def loop(self) -> str:
        """The loop's name."""
        return self.place.name

    def version(self, number: int) -> Version | None:
        """What the registry has of it; None where there is no registry, or no such version."""
        if not self.mlflow:
            return None
        from serinus.adapters.mlflow import MlflowRegistry

        return next((v for v in MlflowRegistry(self.mlflow).versions(self.loop) if v.number == number), None)

    def learned(self, number: int) -> Learned | None:
        """What it promises and what its holdout said; None where there is no registry."""
        if not self.mlflow:
            return None
        from serinus.adapters.mlflow import MlflowRegistry
        from services.learned import learned

        return learned(MlflowRegistry(self.mlflow), self.loop, number, self.models)


@contextmanager
def kept(where: Where, person: str = "", reason: str = "") -> Iterator[Kept]:
    """What is kept of that loop. person, reason: who erases, where the collector does not know it better, and why.

    Raises Fatal.
    """
    with ExitStack() as stack:
        place = find(where.state, where.loop, where.namespace, where.context)
        by = Who(person or context.person(), reason)
        if where.loop is None:
            found = _local(place, where.state, by)
        else:
            from services.cli.cluster import Cluster

            assert isinstance(place, Cluster)  # noqa: S101  # `find` with a loop's name
            found = _cluster(place, where, by, Path(stack.enter_context(tempfile.TemporaryDirectory())))
        stack.callback(found.client.close)
        yield found


def _local(place: Place, state: Path, by: Who) -> Kept:
    from serinus import loading

    card = context.card(state)
    spec = loading.read(Path(card.file))
    if spec.spec.collect is None and not context.collects(state):
        raise Fatal(f"{place.name} keeps nothing of its answers; put `collect: {{}}` under `spec` in {card.file}")
    client = CollectorClient(card.addresses.url("collector"), timeout=_TIMEOUT, by=by.name, reason=by.reason)
    return Kept(place, client, spec, card.addresses.url("mlflow"), state / "models")


def _cluster(place: Cluster, where: Where, by: Who, folder: Path) -> Kept:
    if not where.collector:
        raise Fatal(
            "expected --collector URL beside --loop: where the collector answers, such as http://localhost:8085 of"
            " `kubectl port-forward service/serinus-collector 8085`"
        )
    token = where.token
    if token is None:
        held = place.token()
        if not held:
            raise Fatal(
                "the kubeconfig knows you by no token: name a file with one by --token;"
                f" `kubectl create token NAME --audience {_AUDIENCE}` makes one"
            )
        token = folder / "token"
        token.touch(mode=0o600)
        token.write_text(held)
    client = CollectorClient(where.collector, place.namespace, str(token), _TIMEOUT, by=by.name, reason=by.reason)
    return Kept(place, client, place.spec(), where.mlflow, folder / "models")
