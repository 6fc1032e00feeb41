"""What every test needs before anything heavy is imported."""

from __future__ import annotations

import os

from hypothesis import HealthCheck, settings

# OpenMP threads that spin while they wait starve each other when tests run side by side: a fit of a second takes
# a minute. Programs that the tests start inherit it.
os.environ.setdefault("OMP_WAIT_POLICY", "PASSIVE")

# How long an example takes says how busy the machine is, not whether the property holds: 30 ms became 390 beside
# other tests, and hypothesis counts over 200 as a failure.
settings.register_profile("busy machine", deadline=None, suppress_health_check=[HealthCheck.too_slow])
settings.load_profile("busy machine")
