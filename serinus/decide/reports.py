"""What the jobs that watch production report of a loop: drift, quality, new data; `requests.fold` hands it here."""

from __future__ import annotations

from dataclasses import replace
from datetime import datetime

from serinus.decide import findings, runs
from serinus.decide.draft import Draft
from serinus.decide.quality import asks
from serinus.decide.retrain import data_asks, enough_data
from serinus.facts import Change, DataCount, DriftFinding, QualityFinding, Request, RunRecord

_WINDOWS = 20  # drift findings that are kept at least, for people to look at
_CHANGED = {
    "concept": "the same inputs are answered worse (concept drift)",
    "data": "the inputs are others, and harder (data drift)",
    "both": "the same inputs are answered worse, and the inputs are others (concept drift and data drift)",
    "unclear": "whether the inputs or their answers changed cannot be told yet",
}


def drift(draft: Draft, request: Request) -> bool:
    """Keep the finding, say what changed, and follow the run that the drift job asked the runner for."""
    finding = request.finding
    if finding is None:
        draft.say("RequestIgnored", f"{request.by} reported drift without a finding", by=request.by)
        return True
    _say_drift(draft, finding, request.by)
    asked = draft.spec.spec.drift
    before = tuple(findings.bare(one) for one in draft.status.drift)
    draft.set(drift=_kept((*before, findings.kept(finding)), asked.retrain.of if asked is not None else 0))
    if request.run and _unheard(draft, request.run):
        known = draft.status.run or RunRecord(request.run, "drift", request.at, recipe=runs.recipe(draft.spec))
        draft.set(run=replace(known, requested=request.at, why=findings.why(finding)))
        draft.say("RunRequested", f"{request.run}: {finding.verdict.reason}", by=request.by)
    return True


def quality(draft: Draft, request: Request) -> bool:
    """Keep the finding, say when quality falls and when it is back, and ask for a run when the rule says so.

    A finding about a version that does not serve everyone any more changes nothing.
    """
    finding = request.quality
    if finding is None:
        draft.say("RequestIgnored", f"{request.by} reported quality without a finding", by=request.by)
        return True
    if finding.version != draft.status.champion:
        return True
    draft.set(quality=finding)
    if draft.spec.spec.quality is None:
        return True
    _say_quality(draft, finding, request.by)
    if asked := asks(draft.spec, finding, _last_ended(draft), _running(draft), draft.now):
        runs.ask(draft, "quality", finding.since or finding.window.end, asked.reason, request.by)
    return True


def data(draft: Draft, request: Request) -> bool:
    """Keep the count, say once that there is enough new data, and ask for a run when the rule says so.

    A count against the dataset of a version that does not serve everyone any more changes nothing. The same job pulls
    labels; how far it came is kept here for its next start.
    """
    if request.pulled is not None:
        draft.set(pulled=max(request.pulled, draft.status.pulled or request.pulled))
    if request.rows is not None and request.version is not None:
        _counted(draft, request, request.version, request.rows)
    elif request.pulled is None:
        said = f"{request.by} reported new data without saying how much, or of which version"
        draft.say("RequestIgnored", said, by=request.by)
    return True


def _counted(draft: Draft, request: Request, version: int, rows: int) -> None:
    spec, status = draft.spec.spec.new_data, draft.status
    if spec is None or version != status.champion:
        return
    before = status.data if status.data is not None and status.data.version == version else None
    count = DataCount(version, request.at, rows, request.learned)
    if before is not None:
        count = replace(count, asked=before.asked, said=before.said)
    enough, sentence = enough_data(spec, count)
    if enough and not count.said:
        figures = {"rows": float(count.rows), "learned": float(count.learned or 0)}
        draft.say("DataGrown", sentence, count.version, request.by, **figures)
        count = replace(count, said=True)
    if asked := data_asks(spec, count, _last_ended(draft), _running(draft), draft.now):
        count = replace(count, asked=count.rows, said=False)
        runs.ask(draft, "data", request.at, asked.reason, request.by)
    draft.set(data=count)


def _kept(findings: tuple[DriftFinding, ...], of: int) -> tuple[DriftFinding, ...]:
    """The latest findings; where one has to go, a window that was not decided goes before one that was."""
    if len(findings) <= max(of, _WINDOWS):
        return findings
    quiet = (i for i, f in enumerate(findings[:-1]) if f.verdict.outcome not in ("pass", "fail"))
    gone = next(quiet, 0)
    return (*findings[:gone], *findings[gone + 1 :])


def _unheard(draft: Draft, key: str) -> bool:
    """Whether nobody has told the loop yet who asked for this run, and why.

    The runner may be seen to have it before the request is: who looks reads the requests first.
    """
    status = draft.status
    if status.run is not None:
        return status.run.key == key and status.run.why is None
    return status.last_run is None or status.last_run.key != key


def _say_drift(draft: Draft, finding: DriftFinding, by: str) -> None:
    """An event when drift begins and when it is over, not for every window of it."""
    before = draft.status.drift[-1].verdict.outcome if draft.status.drift else "pass"
    outcome = finding.verdict.outcome
    if outcome == "fail" and before != "fail":
        draft.say("DriftFound", finding.verdict.reason, finding.version, by, **finding.verdict.figures)
    elif outcome == "pass" and before == "fail":
        draft.say("DriftGone", finding.verdict.reason, finding.version, by, **finding.verdict.figures)


def _say_quality(draft: Draft, finding: QualityFinding, by: str) -> None:
    """An event when a version is found worse than allowed, and when the one that serves is not; windows that nobody
    could decide in between say neither.
    """
    outcome, fell, change = finding.verdict.outcome, draft.status.quality_fell, finding.change
    if outcome == "fail" and fell != finding.version:
        figures = {**finding.verdict.figures, **_shares(change)}
        draft.say("QualityFell", f"{finding.verdict.reason}{_because(change)}", finding.version, by, **figures)
        draft.set(quality_fell=finding.version)
    elif outcome == "pass" and fell is not None:
        draft.say("QualityBack", finding.verdict.reason, finding.version, by, **finding.verdict.figures)
        draft.set(quality_fell=None)


def _because(change: Change | None) -> str:
    return f"; {_CHANGED[change.kind]}: {change.reason}" if change is not None else ""


def _shares(change: Change | None) -> dict[str, float]:
    return {"concept": change.concept, "data": change.data} if change is not None else {}


def _last_ended(draft: Draft) -> datetime | None:
    return draft.status.last_run.ended if draft.status.last_run is not None else None


def _running(draft: Draft) -> bool:
    """Whether a run of the loop is in flight, as far as anybody knows; the runner itself lets no second one in."""
    return draft.status.run is not None or any(run.active for run in draft.world.runs or ())
