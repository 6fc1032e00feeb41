"""A loop's drift job, as the operator keeps it: applied when it has to differ, removed when the spec has none."""

from __future__ import annotations

import json
import time
from dataclasses import dataclass

from serinus.adapters.kube import CRON_JOBS, ROLE_BINDINGS, ROLES, SERVICE_ACCOUNTS, Kube, Object
from serinus.render import drift_job, names
from serinus.spec import ModelLoop
from services.platform import Platform

KINDS = (SERVICE_ACCOUNTS, ROLES, ROLE_BINDINGS, CRON_JOBS)
_AFRESH = 3600.0
"""Seconds after which it is applied anew though it is as it was: somebody may have edited or removed it."""


def surroundings(platform: Platform) -> drift_job.Surroundings:
    """What all drift jobs of an installation have in common."""
    return drift_job.Surroundings(
        platform.control_image, platform.environment(), platform.image_pull_policy, platform.kfp_token_path
    )


@dataclass
class DriftJob:
    """One loop's."""

    kube: Kube
    platform: Platform
    applied: str = ""  # what is there, as text; "": nobody knows
    at: float = 0.0  # monotonic; when it was applied

    def keep(self, loop: Object, spec: ModelLoop, champion: bool) -> None:
        """Bring it up to `spec`. champion: whether there is one; the job is suspended until then.

        Raises what Kube does; call it again.
        """
        about = loop["metadata"]
        if spec.spec.drift is None:
            wanted = "none"
        else:
            made = drift_job.objects(
                spec, spec.spec.drift, about["namespace"], surroundings(self.platform),
                suspend=not champion, uid=about["uid"],
            )  # fmt: skip
            wanted = json.dumps(made, sort_keys=True)
        if wanted == self.applied and time.monotonic() - self.at < _AFRESH:
            return
        self.applied = ""
        if spec.spec.drift is None:
            for kind in reversed(KINDS):
                self.kube.delete(kind, about["namespace"], names.drift_job(spec.name))
        else:
            for kind, body in zip(KINDS, made, strict=True):
                self.kube.apply(kind, about["namespace"], body)
        self.applied, self.at = wanted, time.monotonic()
