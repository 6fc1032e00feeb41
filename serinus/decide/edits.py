"""Edits of the spec as events: which fields, from which digest to which, by whom as far as that is known.

The digest is the sha256 of `ModelLoop.for_run()`, which every version keeps as its origin's `spec`: so a version is
matched with the edit that it was made under.
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Iterator, Mapping

from serinus.decide.draft import Draft
from serinus.facts import SpecKept

_LONGEST = 60  # characters of a value that an event tells
_ABSENT = object()
_HIDDEN = "source"  # what is below it is told by name alone: an address may hold a password, and the trail is for ever
_UNSET = "the default"


def follow(draft: Draft) -> None:
    """Remember the spec that counts from this look on, and say how it differs from the one before."""
    text, writer, before = draft.spec.for_run(), draft.world.writer, draft.status.spec
    if before is not None and before.text == text:
        return
    draft.set(spec=SpecKept(text, writer.generation))
    if before is not None:
        said = f"; {writer.said}" if writer.said else ""
        whose = _generations(before.generation, writer.generation)
        parts = "; ".join(differences(before.text, text)) or "the order of keys alone"
        draft.say("SpecChanged", f"digest {digest(before.text)} to {digest(text)}{whose}{said}: {parts}", by=writer.by)


def digest(text: str) -> str:
    """The sha256 of a spec as `ModelLoop.for_run` writes it, in hexadecimal."""
    return hashlib.sha256(text.encode()).hexdigest()


def differences(before: str, after: str) -> Iterator[str]:
    """A few words for each field that differs, in the order of their paths. Both are what `ModelLoop.for_run` writes,
    which leaves defaults out.
    """
    old, new = (dict(_leaves(json.loads(text))) for text in (before, after))
    for path in sorted(old.keys() | new.keys()):
        was, now = old.get(path, _ABSENT), new.get(path, _ABSENT)
        if was != now:
            hidden = _HIDDEN in path
            yield ".".join(path) + ("" if hidden else f" {_shown(was)} to {_shown(now)}")


def _leaves(value: object, path: tuple[str, ...] = ()) -> Iterator[tuple[tuple[str, ...], object]]:
    """What is no mapping, by the keys that lead to it; a mapping that is empty counts as a value."""
    if isinstance(value, Mapping) and value:
        for key, below in value.items():
            yield from _leaves(below, (*path, key))
    else:
        yield path, value


def _shown(value: object) -> str:
    text = _UNSET if value is _ABSENT else json.dumps(value, ensure_ascii=False)
    return text if len(text) <= _LONGEST else f"{text[: _LONGEST - 1]}…"


def _generations(before: int | None, after: int | None) -> str:
    """How many edits there may have been between two looks, by the API server's count."""
    return f", generation {before} to {after}" if before is not None and after is not None else ""
