"""One thread at a time imports a large package.

MLflow and KFP import themselves in circles. Two threads that begin at once each see a half-made module: "partially
initialized module 'mlflow' has no attribute 'version'". Python's own lock is per module, and gives way rather than deadlock.
"""

from __future__ import annotations

import threading

LOCK = threading.RLock()
