"""One thread at a time imports a large package.

MLflow and KFP import themselves in circles. A thread that begins in the middle of another's import meets half a module:
"cannot import name ... from partially initialized module 'mlflow.tracking'". Python locks module by module, and gives
way rather than deadlock.
"""

from __future__ import annotations

import threading

LOCK = threading.RLock()
