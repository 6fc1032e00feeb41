"""The jobs of a local loop: drift and quality in this process, the intake, which runs the user's code, in its own."""

from __future__ import annotations

import sys
import threading
import time
from collections.abc import Callable
from datetime import datetime, timedelta
from pathlib import Path

from serinus.adapters.collector_api import CollectorClient
from serinus.adapters.file_ledger import FileLedger
from serinus.adapters.mlflow import MlflowRegistry
from serinus.adapters.prometheus import PrometheusMetrics
from serinus.errors import Unavailable
from serinus.spec import ModelLoop
from services.drift import job as drift
from services.driver import Ports
from services.local.addresses import Addresses
from services.local.processes import Command, Processes
from services.quality import job as quality

INTAKE = "intake"
TIMEOUT = 30.0  # seconds for a question about a whole window; nobody waits for it
_LONGEST = 1800.0  # seconds for the intake: reading a source of the user's
LOOKBACK = timedelta(seconds=60)  # far more than a scrape that came late, far less to read than Prometheus' 5 minutes


class Jobs:
    """What the clocks call. `ending` is set when the supervisor ends; `ports` gives those of the newest spec."""

    def __init__(
        self,
        file: Path,
        state: Path,
        addresses: Addresses,
        ledger: FileLedger,
        store: MlflowRegistry,
        processes: Processes,
        ending: threading.Event,
        ports: Callable[[], Ports],
    ) -> None:
        self._file, self._state, self._addresses = file, state, addresses
        self._ledger, self._store, self._processes = ledger, store, processes
        self._ending, self._ports = ending, ports
        self._models = state / "models"
        self._metrics = PrometheusMetrics(addresses.url("prometheus"), TIMEOUT, lookback=LOOKBACK)
        self._records = CollectorClient(addresses.url("collector"), timeout=TIMEOUT)

    def close(self) -> None:
        """Close the connections."""
        self._metrics.close()
        self._records.close()

    def drift(self, spec: ModelLoop, now: datetime) -> None:
        """One look of the drift job."""
        drift.check(
            spec,
            self._ledger,
            self._store,
            self._metrics,
            self._ports().runner,
            now,
            models=self._models,
            records=lambda: self._records,
        )

    def quality(self, spec: ModelLoop, now: datetime) -> None:
        """One look of the quality job."""
        quality.check(spec, self._ledger, self._store, self._records, now, models=self._models)

    def intake(self, _: ModelLoop, __: datetime) -> None:
        """One run of the intake as a child; raises Unavailable with its last words when it fails or takes too long.

        A supervisor that ends does not wait for it: it is ended like every other child, and begins anew the next time.
        """
        self._processes.start(intake_command(self._file, self._state, self._addresses))
        deadline = time.monotonic() + _LONGEST
        while self._processes.alive(INTAKE):
            if self._ending.wait(0.1):
                return
            if time.monotonic() > deadline:
                self._processes.stop(INTAKE)
                raise Unavailable(f"it took longer than {_LONGEST:.0f} s and was ended; see {self._log}")
        if self._processes.code(INTAKE) not in (0, None):
            raise Unavailable(f"{self._processes.obituary(INTAKE)}; see {self._log}")

    @property
    def _log(self) -> Path:
        return self._state / "logs" / "intake.log"


def intake_command(file: Path, state: Path, addresses: Addresses) -> Command:
    """How the intake is started."""
    argv = [
        *(sys.executable, "-m", "services.intake"),
        *("--loop-file", str(file), "--state", str(state)),
        *("--mlflow", addresses.url("mlflow"), "--collector", addresses.url("collector")),
    ]
    return Command(INTAKE, argv, state / "logs" / "intake.log")
