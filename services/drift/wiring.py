"""The drift job over the ports that every job has, and the counters, which it alone reads."""

from __future__ import annotations

import contextlib
from datetime import datetime

from serinus.adapters.prometheus import PrometheusMetrics
from serinus.decide.counts import LABELLED
from serinus.errors import Fatal
from services import jobs
from services.drift import job

TIMEOUT = 30.0  # seconds for a question about a whole window; nobody waits for it


def check(at: jobs.At, now: datetime, prometheus: str = "") -> job.Look:
    """One look. prometheus: its URL; "" for the one that `at` knows. Raises what `job.check` does, and Fatal when
    nobody knows one.
    """
    url = prometheus or at.prometheus_url
    if not url:
        raise Fatal(f"expected Prometheus' URL for {at.spec.name}, got none; name it by --prometheus")
    # Labels are counted by the collector, in its own namespace and for all.
    instead = {LABELLED: {"loop_namespace": at.where["namespace"]}} if "namespace" in at.where else {}
    with contextlib.closing(PrometheusMetrics(url, TIMEOUT, where=at.where, instead=instead)) as metrics:
        return job.check(
            at.spec, at.ledger, at.store, metrics, at.runner(), now, models=at.models, records=at.collector
        )
