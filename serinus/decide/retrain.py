"""When a loop needs a new model: because the world drifted, because there is much new data, or because its schedule
says so. Falling quality asks in decide/quality.py.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from math import ceil

from croniter import CroniterBadCronError, CroniterBadDateError, croniter

from serinus.errors import SpecError
from serinus.facts import DataCount, DriftFinding
from serinus.spec import DriftSpec, NewData


@dataclass(frozen=True)
class Ask:
    """Whether drift asks for a retrain, and why or why not, in a sentence. True or false like `asked`."""

    asked: bool
    reason: str

    def __bool__(self) -> bool:
        return self.asked


def drift_asks(
    spec: DriftSpec,
    findings: Sequence[DriftFinding],
    last_run_ended: datetime | None,
    running: bool,
    now: datetime,
) -> Ask:
    """Whether `findings` (of one version, oldest first, the newest look last) ask for a retrain.

    They do when the newest look is in violation and so are `violations` of the last `of` windows, `cooldown` has
    passed since the last run ended, and no run is in flight. The rule is Databricks mlops-stacks'.

    Windows that were not decided (`undecided`, `error`) are no windows: no data is neither drift nor its absence, so
    they neither count as violations nor push real windows out of the last `of`. But they never ask either: a look that
    saw nothing does not act on what an older one saw. Looks less than half of `every` apart are one window, the newer
    of them, so that a job that is repeated or called by hand does not make two violations out of the same rows.
    """
    if not findings:
        return Ask(False, "there is no window to go by")
    newest = findings[-1].verdict
    if newest.outcome != "fail":
        return Ask(False, f"the latest window is not in violation ({newest.outcome})")
    windows = _distinct(findings, spec.every / 2)[: spec.retrain.of]
    violations = sum(f.verdict.outcome == "fail" for f in windows)
    count = f"{violations} of the last {len(windows)} windows in violation, the latest among them"
    if violations < spec.retrain.violations:
        return Ask(False, f"{count}; {spec.retrain.violations} of {spec.retrain.of} ask for a retrain")
    return unless_busy(count, spec.cooldown, last_run_ended, running, now)


def enough_data(spec: NewData, count: DataCount) -> tuple[bool, str]:
    """Whether so much is known now that the version of `count` did not learn from, in a sentence.

    Once a run was asked for because of it, as much again has to come before the next: a candidate that was no better
    would be none the next time either.
    """
    if spec.rows is not None:
        needed, wanted = spec.rows, f"{spec.rows:,}"
    elif spec.share is not None and count.learned is not None:
        needed, wanted = ceil(spec.share * count.learned), f"{spec.share:g} of its {count.learned:,} rows"
    else:
        return False, f"{_grown(count)}; how many rows that has is not known"
    more = f" since a run was asked for at {count.asked:,}" if count.asked else ""
    return count.rows - count.asked >= needed, f"{_grown(count)}; {wanted}{more} ask for a retrain"


def data_asks(spec: NewData, count: DataCount, last_run_ended: datetime | None, running: bool, now: datetime) -> Ask:
    """Whether new data asks for a retrain: there is enough of it, `cooldown` has passed, and no run is in flight."""
    enough, sentence = enough_data(spec, count)
    return unless_busy(sentence, spec.cooldown, last_run_ended, running, now) if enough else Ask(False, sentence)


def unless_busy(why: str, cooldown: timedelta, last_run_ended: datetime | None, running: bool, now: datetime) -> Ask:
    """Yes because of `why`, unless a run is in flight or the last one ended less than `cooldown` ago."""
    if running:
        return Ask(False, f"{why}, but a run is in flight")
    if last_run_ended is not None and now < last_run_ended + cooldown:
        until = (last_run_ended + cooldown).astimezone(UTC)
        return Ask(False, f"{why}, but the cooldown after the last run lasts until {until:%Y-%m-%d %H:%M:%S} UTC")
    return Ask(True, why)


def _grown(count: DataCount) -> str:
    return f"{count.rows:,} labelled rows newer than the dataset of version {count.version}"


def _distinct(findings: Sequence[DriftFinding], apart: timedelta) -> list[DriftFinding]:
    """The decided windows, newest first, each at least `apart` before the one after it."""
    kept: list[DriftFinding] = []
    for finding in reversed(findings):
        decided = finding.verdict.outcome in ("pass", "fail")
        if decided and (not kept or kept[-1].window.end - finding.window.end >= apart):
            kept.append(finding)
    return kept


def schedule_due(schedule: str | None, last: datetime | None, now: datetime) -> datetime | None:
    """The latest slot of the cron expression `schedule` (UTC) in (last, now], or None when there is none.

    `last` is the slot that was last acted on, or the time of the first look; while it is None nothing is due, so that
    a loop that starts does not make up for slots before it. Slots missed in between are one. Raises SpecError when
    `schedule` is not a cron expression.
    """
    if schedule is None or last is None:
        return None
    try:
        # get_prev answers strictly before its start; a second more lets a slot at `now` itself count.
        start = now.astimezone(UTC).replace(microsecond=0) + timedelta(seconds=1)
        slot: datetime = croniter(schedule, start, ret_type=datetime).get_prev()
    except CroniterBadDateError:
        return None  # a valid expression that no date satisfies, such as 30 February
    except CroniterBadCronError as error:
        raise SpecError(
            [f"spec.training.schedule: expected a cron expression such as '0 4 * * 1', got {schedule!r} ({error})"]
        ) from error
    return slot if slot > last else None
