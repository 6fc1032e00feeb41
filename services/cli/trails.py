"""The audit trail, where a word finds it: a laptop's file, a cluster's collector, or an exported file."""

from __future__ import annotations

import tempfile
from collections.abc import Iterable, Iterator
from contextlib import ExitStack, contextmanager
from pathlib import Path
from typing import TYPE_CHECKING

from serinus.decide import audit
from serinus.errors import Fatal
from serinus.facts import AuditEntry
from serinus.ports import Audit

if TYPE_CHECKING:
    from services.cli.records import Where

FILE = "audit.jsonl"
_PAGE = 1000
_TIMEOUT = 60.0  # seconds for one page


@contextmanager
def trail(where: Where) -> Iterator[tuple[Audit, str]]:
    """The trail, and where it is. Raises Fatal when nobody says where."""
    with ExitStack() as stack:
        if where.collector:
            from serinus.adapters.collector_api import CollectorClient

            token = _token(where, stack)
            client = CollectorClient(where.collector, token_path=token, timeout=_TIMEOUT)
            stack.callback(client.close)
            yield client, where.collector
        elif where.loop is not None:
            raise Fatal("expected --collector URL beside --loop: a cluster's audit trail is the collector's")
        else:
            yield in_file(where.state / FILE), str(where.state / FILE)


def in_file(path: Path) -> Audit:
    """The trail in a file: a laptop's, or what `serinus audit export` wrote. Raises Fatal when there is none."""
    from serinus.adapters.audit_file import FileAudit

    if not path.is_file():
        raise Fatal(f"there is no audit trail at {path}; `serinus up FILE` begins one, --state names another folder")
    return FileAudit(path)


def pages(trail: Audit) -> Iterator[tuple[AuditEntry, ...]]:
    """All entries, in the order in which they are stored."""
    after = 0
    while page := trail.entries(after, _PAGE):
        yield page
        if page[-1].number <= after:
            return  # somebody rewrote it; `audit.verify` says where
        after = page[-1].number


class Checked:
    """Entries as they go by, and what is wrong with them by then."""

    def __init__(self, pages: Iterable[tuple[AuditEntry, ...]]) -> None:
        self._pages = pages
        self.last: AuditEntry | None = None
        self.problem = ""

    def __iter__(self) -> Iterator[AuditEntry]:
        for page in self._pages:
            self.problem = self.problem or audit.verify(page, self.last) or ""
            self.last = page[-1]
            yield from page


def _token(where: Where, stack: ExitStack) -> str:
    """The file of the token to show: the one that was named, or a copy of the kubeconfig's. "" for none."""
    if where.token is not None:
        return str(where.token)
    if where.loop is None and where.context is None:
        return ""  # a collector that asks for none
    from serinus.adapters.kube import Kube

    held = Kube.connect(where.context).token()
    if not held:
        raise Fatal("the kubeconfig knows you by no token: name a file with one by --token")
    path = Path(stack.enter_context(tempfile.TemporaryDirectory())) / "token"
    path.touch(mode=0o600)
    path.write_text(held)
    return str(path)
