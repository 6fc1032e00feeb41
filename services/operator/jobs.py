"""A loop's jobs and accounts, as the operator keeps them: applied when they have to differ, removed when the spec has
none.
"""

from __future__ import annotations

import json
import time
from collections.abc import Sequence
from dataclasses import dataclass, field

from serinus.adapters.kube import CRON_JOBS, ROLE_BINDINGS, ROLES, SERVICE_ACCOUNTS, Kube, Object
from serinus.render import collecting, jobs, names
from serinus.spec import ModelLoop
from services.platform import Platform

KINDS = (SERVICE_ACCOUNTS, ROLES, ROLE_BINDINGS, CRON_JOBS)
"""In the order in which they are made; they go the other way around, so that whose account is gone is gone whole."""
_AFRESH = 3600.0
"""Seconds after which they are applied anew though they are as they were: somebody may have edited or removed them."""


def surroundings(platform: Platform) -> jobs.Surroundings:
    """What all jobs of an installation have in common."""
    return jobs.Surroundings(
        platform.control_image, platform.environment(), platform.image_pull_policy, platform.kfp_token_path,
        platform.pipeline_image, platform.collector,
    )  # fmt: skip


@dataclass
class LoopJobs:
    """One loop's."""

    kube: Kube
    platform: Platform
    _applied: dict[str, tuple[str, float]] = field(default_factory=dict)  # name -> what is there, and since when
    _swept: tuple[frozenset[str], float] | None = None  # which names were left when all others were taken away

    def admit(self, loop: Object, spec: ModelLoop) -> None:
        """The account of its predictors, before they need it. Raises what Kube does; call it again."""
        if _collects(spec, self.platform):
            about = loop["metadata"]
            made = collecting.predictor_account(spec.name, about["namespace"], about["uid"])
            self._put(names.predictor(spec.name), about["namespace"], made)

    def keep(self, loop: Object, spec: ModelLoop, champion: bool) -> None:
        """Bring its jobs up to `spec`. champion: whether there is one; they are suspended until then.

        Raises what Kube does; call it again.
        """
        about, here = loop["metadata"], surroundings(self.platform)
        wanted = {names.predictor(spec.name)} if _collects(spec, self.platform) else set()
        for job in jobs.jobs(spec, here):
            name, namespace, uid = names.job(spec.name, job.kind), about["namespace"], about["uid"]
            self._put(name, namespace, jobs.objects(spec, job, namespace, here, suspend=not champion, uid=uid))
            wanted.add(name)
        self._sweep(spec.name, about["namespace"], frozenset(wanted))

    def _put(self, name: str, namespace: str, made: Sequence[Object]) -> None:
        text = json.dumps(made, sort_keys=True)
        known, at = self._applied.get(name, ("", 0.0))
        if known == text and time.monotonic() - at < _AFRESH:
            return
        self._applied.pop(name, None)
        for kind, body in zip(KINDS, made, strict=False):
            self.kube.apply(kind, namespace, body)
        self._applied[name] = text, time.monotonic()

    def _sweep(self, loop: str, namespace: str, wanted: frozenset[str]) -> None:
        """Take away what is not wanted any longer. An account is made first and goes last: it tells what is there."""
        if self._swept is not None and self._swept[0] == wanted and time.monotonic() - self._swept[1] < _AFRESH:
            return
        ours = {names.predictor(loop), *(names.job(loop, kind) for kind in jobs.KINDS)}
        there = {each["metadata"]["name"] for each in self.kube.list(SERVICE_ACCOUNTS, namespace, names.labels(loop))}
        for name in sorted((there & ours) - wanted):
            self._applied.pop(name, None)
            for kind in reversed(KINDS):
                self.kube.delete(kind, namespace, name)
        self._swept = wanted, time.monotonic()


def _collects(spec: ModelLoop, platform: Platform) -> bool:
    return spec.spec.collect is not None and platform.collector is not None
