"""Knative mode: which version the one InferenceService should name next, and which share its revision should have.

KServe 0.20 sends `canaryTrafficPercent` to the latest revision that is READY, whichever the spec names, and the rest to
the one that had everything before. So a new version is named at 0 % and gets its share when it is the ready one:
else its predecessor, a canary thrown back maybe, would have it in the meantime.
"""

from __future__ import annotations

from dataclasses import dataclass

from serinus.facts import Routing


@dataclass(frozen=True)
class Revisions:
    """What KServe says, as versions; None is not known (yet)."""

    latest: int  # what the InferenceService names
    ready: int | None = None  # the latest revision that is ready
    rolled_out: int | None = None  # the latest one that had everything
    before: int | None = None  # the one that had everything before that

    @property
    def rest(self) -> int | None:
        """Who has what the latest revision has not. Below 100 %, one that had everything makes room for its
        predecessor: that is KServe's roll back.
        """
        rest = self.before if self.rolled_out == self.latest else self.rolled_out
        return rest if rest != self.latest else None


def step(routing: Routing, now: Revisions | None) -> tuple[int, int | None]:
    """The version to name and its percent (None: everything, and the first deployment, which ignores percents).

    routing: not empty. now: None before the first deployment. Two versions at most have a share in Knative mode; of
    those without one, one is kept ready at most.
    """
    shares = {v.version: v.weight for v in routing.variants if v.weight > 0}
    most = max(shares, key=lambda version: (shares[version], -version))
    if now is None or now.rolled_out is None:
        # Nobody has had everything yet, so nothing can be split: first the one that should have most of it.
        return most, None
    named = _named(routing, shares, most, now)
    if now.ready != named:
        return named, 0
    others = shares.keys() - {named}
    # The rest can only go to the one that had everything; another one has to have it first.
    return named, routing.weight(named) if others and now.rest in others else None


def _named(routing: Routing, shares: dict[int, int], most: int, now: Revisions) -> int:
    """Who should be the latest revision."""
    if len(shares) > 1:
        if now.latest in shares and now.rest in shares:
            return now.latest
        return next((v for v in sorted(shares) if v != now.rolled_out), most) if now.rolled_out in shares else most
    waiting = [v.version for v in routing.variants if v.weight == 0 and v.version > most]
    if now.latest == most:
        # Everybody is with the latest revision; the next one, if there is one, gets ready behind it.
        return max(waiting) if waiting and now.rolled_out == most else most
    if now.rest == most and now.latest in {v.version for v in routing.variants}:
        return now.latest  # kept ready without a share
    return max(waiting) if waiting and now.rest == most else most
