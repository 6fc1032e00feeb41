"""The audit trail's chain: how an entry is linked to the one before, and how anybody finds out that one was rewritten.

An entry's digest is the sha256, in hexadecimal, over the digest of the entry before it, a newline, and the deed as
JSON: keys sorted, no blanks, UTF-8, times as ISO 8601 in UTC, numbers of `figures` as floats; fields that are empty
("", null, {}) are left out, so that a field which a later release adds leaves older digests what they were.

The chain shows what was changed, removed or put elsewhere, and not that its end was cut off or that all of it was made
anew: for that, somebody else keeps the number and digest of an entry now and then (`serinus audit verify --noted`).
"""

from __future__ import annotations

import hashlib
import hmac
import json
import math
from collections.abc import Iterable, Sequence
from dataclasses import replace
from datetime import UTC, datetime

from serinus import wire
from serinus.facts import AuditEntry, Deed, Event

GENESIS = "0" * 64  # what the first entry is linked to
LOOP = "serinus"  # who did what nobody asked for: the loop itself
LONGEST = 2_000  # characters of a message; a run's failure may quote a whole log
_NAMED = 20  # erased ids that a deed names; all of them are in its digest


def link(previous: AuditEntry | None, deed: Deed) -> AuditEntry:
    """The entry for `deed` behind `previous` (None: it is the first)."""
    before = previous.digest if previous is not None else GENESIS
    kept = _canonical(deed)
    return AuditEntry(previous.number + 1 if previous is not None else 1, kept, before, _digest(before, kept))


def verify(entries: Iterable[AuditEntry], previous: AuditEntry | None = None) -> str | None:
    """What is wrong with `entries`, which follow `previous` (None: they are the first), by the first one that is not
    what was written; None when nothing is.
    """
    number = previous.number if previous is not None else 0
    digest = previous.digest if previous is not None else GENESIS
    for entry in entries:
        number += 1
        if entry.number != number:
            moved = "was removed or put elsewhere" if entry.number > number else "is there twice, or was put elsewhere"
            which = min(entry.number, number)
            return f"entry {which} {moved}: expected entry {number} here, found entry {entry.number}"
        if entry.previous != digest:
            return (
                f"entry {number} ({_named(entry)}) follows an entry with digest {entry.previous[:12]}…, the one before"
                f" it has {digest[:12]}…: one of the two was changed or replaced"
            )
        if entry.digest != _digest(digest, entry.deed):
            return f"entry {number} ({_named(entry)}) was changed: its content does not have the digest it was given"
        digest = entry.digest
    return None


def deed(loop: str, event: Event, namespace: str = "") -> Deed:
    """The deed for an event. The same event gives the same id, whichever copy of it is read."""
    message = short(event.message)
    figures = {name: value for name, value in event.figures.items() if math.isfinite(value)}
    content = "|".join((namespace, loop, event.at.astimezone(UTC).isoformat(), event.kind, message))
    name = f"{event.kind}-{hashlib.sha256(content.encode(errors='replace')).hexdigest()[:32]}"
    return Deed(name, loop, event.at, event.kind, event.by or LOOP, message, event.version, figures, namespace)


def erased(
    loop: str,
    count: int,
    by: str,
    at: datetime,
    ids: Sequence[str] = (),
    keys: Sequence[str] = (),
    hash_key: bytes = b"",
    namespace: str = "",
    reason: str = "",
) -> Deed:
    """The deed for an erasure of `count` predictions. It names nobody: ids and keys are hashed with `hash_key`.

    Who has the key, and is asked about one person, hashes that person's key and finds the deed. reason: why, in the
    words of who did it, which should name nobody either.
    """
    hashes = [pseudonym(each, hash_key) for each in (*ids, *keys)]
    more = f" and {len(hashes) - _NAMED} more" if len(hashes) > _NAMED else ""
    asked = f"{len(ids)} ids and {len(keys)} keys"
    said = f"{count} predictions were erased, by {asked}: {', '.join(hashes[:_NAMED])}{more}"
    said = short(f"{said}; {reason}" if reason else said)
    figures = {"predictions": float(count), "ids": float(len(ids)), "keys": float(len(keys))}
    return _made("Erased", loop, said, by, at, hashes, figures, namespace)


def labels_changed(
    loop: str,
    count: int,
    by: str,
    at: datetime,
    ids: Sequence[str] = (),
    hash_key: bytes = b"",
    namespace: str = "",
) -> Deed:
    """The deed for `count` truths that replaced others; `ids` (or business keys) of them, where they are known."""
    hashes = [pseudonym(each, hash_key) for each in ids]
    which = f": {', '.join(hashes[:_NAMED])}" if hashes else ""
    more = f" and {len(hashes) - _NAMED} more" if len(hashes) > _NAMED else ""
    said = f"{count} labels were changed{which}{more}"
    return _made("LabelsChanged", loop, said, by, at, hashes, {"labels": float(count)}, namespace)


def pseudonym(text: str, hash_key: bytes = b"") -> str:
    """What stands for an id or a business key: 16 hexadecimal digits of its HMAC-SHA256 under `hash_key`."""
    return hmac.new(hash_key, text.encode(errors="replace"), hashlib.sha256).hexdigest()[:16]


def short(message: str) -> str:
    """A message as ledgers and the trail keep it; cutting it again changes nothing."""
    return message if len(message) <= LONGEST else f"{message[: LONGEST - 1]}…"


def _made(
    kind: str,
    loop: str,
    said: str,
    by: str,
    at: datetime,
    hashes: Sequence[str],
    figures: dict[str, float],
    namespace: str,
) -> Deed:
    content = "|".join((namespace, loop, at.astimezone(UTC).isoformat(), by, *hashes))
    name = f"{kind}-{hashlib.sha256(content.encode(errors='replace')).hexdigest()[:32]}"
    return Deed(name, loop, at, kind, by, said, None, figures, namespace)


def _canonical(deed: Deed) -> Deed:
    """As it comes back from JSON: what was hashed before it was written is what is hashed when it is read."""
    return replace(
        deed,
        id=_text(deed.id),
        by=_text(deed.by),
        message=_text(deed.message),
        at=deed.at.astimezone(UTC),
        figures={name: float(value) for name, value in deed.figures.items()},
    )


def _text(text: str) -> str:
    """Without halves of characters, which a file's name or a log may hold, and JSON in UTF-8 may not."""
    return text.encode(errors="replace").decode()


def _digest(previous: str, deed: Deed) -> str:
    fields = json.loads(wire.dump(_canonical(deed)))
    told = {name: value for name, value in fields.items() if value not in ("", None, {})}
    return hashlib.sha256(f"{previous}\n".encode() + wire.dump(told)).hexdigest()


def _named(entry: AuditEntry) -> str:
    return f"{entry.deed.kind} of {entry.deed.loop}, {entry.deed.at:%Y-%m-%d %H:%M:%S}"
