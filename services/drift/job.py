"""One look for drift: counts and profile in, a finding into the ledger, a run requested when the rule says so."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from datetime import UTC, datetime
from pathlib import Path

from serinus.decide.drift import compare, could_not_look, nothing_to_compare, of_labels
from serinus.decide.findings import why
from serinus.decide.keys import run_key
from serinus.decide.retrain import Ask, drift_asks
from serinus.decide.shifts import described, told
from serinus.detectors import TABLE
from serinus.errors import SerinusError, SpecError, Unavailable
from serinus.facts import Bins, DriftFinding, Profile, Reference, Request, RunRequest, RunState, Window
from serinus.ports import Entry, Ledger, Metrics, ModelStore, Open, Runner
from serinus.spec import DriftSpec, ModelLoop
from services.drift import confirm, since, windows
from services.learned import learned

BY = "drift job"


@dataclass(frozen=True)
class Look:
    """What a look found, whether that asks for a retrain, and the run that came of it."""

    finding: DriftFinding
    ask: Ask
    run: RunState | None = None
    problem: str = ""  # why the runner could not be asked, when it could not; the loop asks again

    @property
    def looked(self) -> bool:
        """Whether it could look, whatever it found."""
        return self.finding.verdict.outcome != "error"


def check(
    spec: ModelLoop,
    ledger: Ledger,
    store: ModelStore,
    metrics: Metrics,
    runner: Runner,
    now: datetime,
    *,
    models: Path,
    records: Open | None = None,
) -> Look:
    """Look once at the window that ends `now` and leave the finding in the ledger's inbox, an `error` too.

    When the rule asks for a retrain the request says so before the runner is asked: whatever happens between the two,
    the loop asks again, and the run's key keeps it one run. `models` is the folder of fetched model directories.
    `records` opens the collector's records, for a second look where the spec asks for one.

    Raises what the ledger raises (the finding then is nowhere), and SpecError when the loop has drift switched off.
    """
    drift = _drift(spec)
    entry = ledger.read(spec.name)
    finding = _find(spec, entry, store, metrics, now, models, records)
    known = history(entry, finding)
    ended = entry.status.last_run.ended if entry.status.last_run is not None else None
    ask = drift_asks(drift, known, ended, _running(entry), now)
    key = run_key(spec.name, "drift", finding.window.end) if ask else ""
    name = f"drift-{finding.version}-{now.astimezone(UTC):%Y%m%dT%H%M%S.%fZ}"
    ledger.ask(spec.name, Request(name, "drift", now, BY, finding.version, ask.reason, finding, key))
    if not ask:
        return Look(finding, ask)
    request = RunRequest(key, spec.name, "drift", now, spec.for_run(), why(finding))
    try:
        return Look(finding, ask, runner.submit(request))
    except Unavailable as error:
        return Look(finding, ask, problem=str(error))


def look(
    spec: ModelLoop, version: int, profile: Profile, metrics: Metrics, now: datetime, reference: Reference | None = None
) -> DriftFinding:
    """The window that ends `now`: what `version` answered in it against `profile`. Raises Unavailable.

    reference: of the version, which knows how much the model goes by each feature, the holdout's labels, and how
    unlike each other stretches of training were.

    A version that serves for less than a window is compared by what it has answered so far. Labels are compared once
    there are enough of them in a window: until then they keep nothing from being decided.
    """
    drift = _drift(spec)
    window = Window(now - drift.window, now)
    counters = _counters(spec, version, profile, metrics, reference)
    counts = counters.read(window)
    label = counters.label
    if label is not None and sum(counts[label.name].values()) < drift.min_rows:
        counters, label = replace(counters, label=None), None
    older = windows.before(counters, window)
    known = windows.reference(drift, _beside(profile, label), counters, window, older)

    def compared(parts: Sequence[windows.Counted]) -> DriftFinding:
        return compare(
            drift, version, known, counts, counts[profile.score.name], p_values=TABLE[drift.detector], window=window,
            parts=parts, before=older, stretches=reference.stretches if reference is not None else None,
        )  # fmt: skip

    finding = compared(())
    if finding.verdict.outcome == "fail" and drift.clumps == "measured":
        # Rows that are alike make a change less certain and never more so: what passes needs no closer look.
        finding = compared([counts for _, counts in windows.parts(counters, window)])
    importance = reference.importance if reference is not None else ()
    return described(finding, known, counts, importance)


def history(entry: Entry, finding: DriftFinding) -> tuple[DriftFinding, ...]:
    """Every finding of the same version that the ledger holds, handled or not, and `finding`; oldest first."""
    open_ = (request.finding for request in entry.requests if request.kind == "drift" and request.finding is not None)
    found = {f.window.end: f for f in (*entry.status.drift, *open_) if f.version == finding.version}
    return (*(found[end] for end in sorted(found) if end < finding.window.end), finding)


def _drift(spec: ModelLoop) -> DriftSpec:
    if spec.spec.drift is None:
        raise SpecError(["spec.drift: is null, which switches the drift job off; give it a value to look"])
    return spec.spec.drift


def _find(
    spec: ModelLoop,
    entry: Entry,
    store: ModelStore,
    metrics: Metrics,
    now: datetime,
    models: Path,
    records: Open | None,
) -> DriftFinding:
    window, champion = Window(now - _drift(spec).window, now), entry.status.champion
    if champion is None:
        return nothing_to_compare(window, "no version serves everyone yet, so there is no profile to compare with")
    try:
        known = learned(store, spec.name, champion, models)
        finding = look(spec, champion, known.contract.profile, metrics, now, known.reference)
    except SerinusError as error:
        return could_not_look(champion, window, str(error))
    if finding.verdict.outcome == "fail":
        before = history(entry, finding)[:-1]
        counters = _counters(spec, champion, known.contract.profile, metrics, known.reference)
        profile = _beside(known.contract.profile, counters.label)
        finding = told(since.dated(finding, profile, counters, before[-1] if before else None))
    if finding.verdict.outcome != "fail" or _drift(spec).confirm.detector == "none":
        return finding
    return confirm.second_look(spec, _drift(spec).confirm, known.reference, finding, records)


def _counters(
    spec: ModelLoop, version: int, profile: Profile, metrics: Metrics, reference: Reference | None
) -> windows.Counters:
    cells = reference.cells if reference is not None and _drift(spec).labels else ()
    label = of_labels(spec.spec.data.label, cells)
    return windows.Counters(metrics, spec.name, version, profile.score.name, label)


def _beside(profile: Profile, label: Bins | None) -> Profile:
    return profile if label is None else replace(profile, features=(*profile.features, label))


def _running(entry: Entry) -> bool:
    """Whether a run is in flight, or was asked for by a look that the loop has not heard of yet."""
    return entry.status.run is not None or any(request.run or request.kind == "run" for request in entry.requests)
