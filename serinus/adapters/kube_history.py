"""A loop's latest events as an array of the ModelLoop's status, for `kubectl` and dashboards. Pure."""

from __future__ import annotations

import json
import math
from collections.abc import Sequence

from serinus import wire
from serinus.adapters.kube import Object
from serinus.decide.audit import short
from serinus.facts import Event

EVENTS = 100
BYTES = 64 * 1024  # of all events as JSON; the object is sent to every watcher at each write


def added(history: Sequence[Object], events: Sequence[Event]) -> list[Object]:
    """The history with `events` at its end, without the oldest that no longer fit."""
    kept: list[Object] = []
    room = BYTES
    for item in reversed([*history, *map(_item, events)][-EVENTS:]):
        room -= len(json.dumps(item))
        if room < 0 and kept:
            break
        kept.append(item)
    return kept[::-1]


def event_of(item: Object) -> Event:
    """An event of the history. Raises Fatal when it is none."""
    return wire.load(Event, json.dumps(item).encode())


def _item(event: Event) -> Object:
    """JSON has no word for figures that are no numbers: they are left out."""
    item: Object = json.loads(wire.dump(event))
    item["figures"] = {name: value for name, value in event.figures.items() if math.isfinite(value)}
    item["message"] = short(event.message)
    return {key: value for key, value in item.items() if value is not None and (key, value) != ("by", "")}
