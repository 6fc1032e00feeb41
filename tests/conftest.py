"""What every test needs before anything heavy is imported."""

from __future__ import annotations

import os

# OpenMP threads that spin while they wait starve each other when tests run side by side: a fit of a second takes
# a minute. Programs that the tests start inherit it.
os.environ.setdefault("OMP_WAIT_POLICY", "PASSIVE")
