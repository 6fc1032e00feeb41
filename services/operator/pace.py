"""When a loop is looked at next, if nothing wakes it before. Pure: `now` is an argument."""

from __future__ import annotations

import hashlib
from datetime import UTC, datetime, timedelta

from croniter import CroniterError, croniter

from serinus.facts import Status
from serinus.spec import ModelLoop
from services.driver import Looked

QUICK = timedelta(seconds=2)  # while something is on its way
STEADY = timedelta(minutes=5)  # while all is as it should be; what changes wakes the loop before that
LONGEST = timedelta(minutes=1)  # between two tries while something fails
LONGEST_ROLLOUT = timedelta(seconds=15)  # the same in mid-rollout: a canary's health is seen whatever else is away


def after(spec: ModelLoop, looked: Looked, now: datetime, scrape: timedelta, failures: int) -> timedelta:
    """How long from `now` until the next look.

    failures: how many looks in a row, this one included, something could not be seen or done.
    """
    if failures:
        return backoff(failures, LONGEST_ROLLOUT if looked.plan.status.rollout is not None else LONGEST)
    return _wanted(spec, looked, now, scrape)


def backoff(failures: int, longest: timedelta = LONGEST) -> timedelta:
    """2 s, 4 s, 8 s, ... up to `longest`, for the first, second, third, ... failure in a row."""
    return min(QUICK * float(2 ** (min(failures, 10) - 1)), longest)


def spread(wait: timedelta, key: str) -> timedelta:
    """`wait` less up to a tenth of it, by `key`: loops that began together do not look together for ever."""
    share = int.from_bytes(hashlib.sha256(key.encode()).digest()[:4], "big") / 2**32
    return wait * (1 - share / 10)


def _wanted(spec: ModelLoop, looked: Looked, now: datetime, scrape: timedelta) -> timedelta:
    status = looked.plan.status
    if status.rollout is not None or status.run is not None or not _settled(looked):
        return QUICK
    if status.watch is not None:
        # Only counters tell anything now, and they change with the scrapes. Its end is looked at in time.
        return min(max(QUICK, scrape / 2), max(status.watch.until - now, QUICK))
    return min(STEADY, _until_scheduled(spec, status, now))


def _settled(looked: Looked) -> bool:
    """Whether every version that should serve is ready and has its share."""
    if looked.plan.routing is None:
        return True
    if looked.world.routing is None:
        return False
    seen = {v.version: (v.weight, v.ready) for v in looked.world.routing.variants}
    return seen == {v.version: (v.weight, True) for v in looked.plan.routing.variants}


def _until_scheduled(spec: ModelLoop, status: Status, now: datetime) -> timedelta:
    schedule = spec.spec.training.schedule
    if schedule is None or status.last_scheduled is None:
        return STEADY
    try:
        slot: datetime = croniter(schedule, now.astimezone(UTC), ret_type=datetime).get_next()
    except CroniterError:
        return STEADY  # a valid expression that no date satisfies
    return max(slot - now, QUICK / 2)
