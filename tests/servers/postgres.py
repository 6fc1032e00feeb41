"""A real Postgres on a free loopback port; `from tests.servers.postgres import postgres` gives tests the session's one.

It never runs as root, which it refuses: started by root it becomes the user `postgres`, else `nobody`.
"""

from __future__ import annotations

import contextlib
import itertools
import os
import pwd
import shutil
import subprocess
import tempfile
import time
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any
from urllib.parse import quote

import psutil
import pytest
import sqlalchemy as sa

from serinus.adapters import migrations, sql_engine
from tests.servers.mlflow import free_port

PASSWORD = "s3:cr@t/%41"  # noqa: S105 - of a server that lives as long as a test, with what a URL has to quote
START_DEADLINE = 60.0  # seconds; one on an idle machine
_ROOT = Path(__file__).parents[2]
_TEMPLATE = "migrated"


@dataclass
class Postgres:
    """A Postgres with a data folder of its own; `stop` or `kill` end it, `start` brings it back on its port and data.

    durable: whether it waits for the disk, as it does by default; without, it is quicker and survives a kill as well.
    """

    folder: Path
    durable: bool = False
    port: int = 0
    process: subprocess.Popen[bytes] | None = None
    numbers: Iterator[int] = field(default_factory=lambda: itertools.count(1))

    def url(self, database: str = "postgres", password: str = PASSWORD) -> str:
        return f"postgresql://serinus:{quote(password, safe='')}@127.0.0.1:{self.port}/{database}"

    def start(self) -> None:
        """Start it and wait until it answers."""
        if not (self.folder / "data").exists():
            self._init()
        deadline = time.monotonic() + START_DEADLINE
        fixed = self.port
        while True:
            self.port = fixed or free_port()
            self._launch()
            if self._answers(deadline):
                return
            self.kill()
            said = (self.folder / "log.txt").read_text()
            # Another test may have taken the port between our look and the server's: that alone is tried again.
            if fixed or "could not create any TCP/IP sockets" not in said:
                raise AssertionError(f"Postgres did not start within {START_DEADLINE:.0f} s:\n{said[-4000:]}")

    def stop(self) -> None:
        """End it as an administrator would who does not wait for its callers."""
        if self.process is not None:
            self.process.send_signal(2)  # fast shutdown
            self.process.wait(60)
            self.process = None

    def kill(self) -> None:
        """kill -9 the server and every process of it, at once."""
        if self.process is not None:
            parent = psutil.Process(self.process.pid)
            family = [parent, *parent.children(recursive=True)]
            for each in family:
                with contextlib.suppress(psutil.NoSuchProcess):
                    each.kill()
            self.process.wait(30)
            psutil.wait_procs(family, timeout=30)
            self.process = None

    def empty(self) -> str:
        """The URL of a new database without any table."""
        return self._created("template0")

    def fresh(self) -> str:
        """The URL of a new database with the newest tables and no rows."""
        with self._connection() as connection:
            names = connection.exec_driver_sql("SELECT datname FROM pg_database").scalars().all()
        if _TEMPLATE not in names:
            with self._connection() as connection:
                connection.exec_driver_sql(f"CREATE DATABASE {_TEMPLATE}")
            engine = sql_engine.connect(self.url(_TEMPLATE))
            migrations.up(engine)
            engine.dispose()
        return self._created(_TEMPLATE)

    def _created(self, template: str) -> str:
        name = f"test_{next(self.numbers)}"
        with self._connection() as connection:
            connection.exec_driver_sql(f"CREATE DATABASE {name} TEMPLATE {template}")
        return self.url(name)

    @contextlib.contextmanager
    def _connection(self) -> Iterator[sa.Connection]:
        # Databases are not made in transactions, and none is made from one that somebody is connected to.
        options = {"isolation_level": "AUTOCOMMIT", "poolclass": sa.NullPool}
        url = sa.make_url(self.url()).set(drivername="postgresql+psycopg2")
        with sa.create_engine(url, connect_args={"connect_timeout": 5}, **options).connect() as connection:
            yield connection

    def _init(self) -> None:
        secret = self.folder / "password"
        secret.write_text(PASSWORD)
        for path in (self.folder, secret):
            if "user" in _identity():
                shutil.chown(path, _identity()["user"], _identity()["group"])
        done = subprocess.run(
            [
                str(_program("initdb")),
                f"--pgdata={self.folder / 'data'}",
                "--username=serinus",
                f"--pwfile={secret}",
                "--auth=scram-sha-256",
                "--encoding=UTF8",
                "--locale=C",
                "--no-sync",
            ],
            capture_output=True,
            text=True,
            check=False,
            cwd=self.folder,
            env=_environment(),
            **_identity(),
        )
        assert done.returncode == 0, done.stderr

    def _launch(self) -> None:
        settings = {
            "listen_addresses": "127.0.0.1",
            "port": self.port,
            "unix_socket_directories": "",
            "fsync": "on" if self.durable else "off",
            "timezone": "UTC",
            "log_timezone": "UTC",
        }
        with (self.folder / "log.txt").open("ab") as log:
            self.process = subprocess.Popen(
                [
                    str(_program("postgres")),
                    "-D",
                    str(self.folder / "data"),
                    *(part for name, value in settings.items() for part in ("-c", f"{name}={value}")),
                ],
                stdout=log,
                stderr=log,
                cwd=self.folder,
                env=_environment(),
                **_identity(),
            )

    def _answers(self, deadline: float) -> bool:
        assert self.process is not None
        while time.monotonic() < deadline and self.process.poll() is None:
            with contextlib.suppress(sa.exc.OperationalError), self._connection():
                return True
            time.sleep(0.02)
        return False


@contextlib.contextmanager
def running(durable: bool = False) -> Iterator[Postgres]:
    """A Postgres that is gone with the block, its data as well."""
    folder = Path(tempfile.mkdtemp(prefix="serinus-postgres-"))  # pytest's folders are closed to other users
    server = Postgres(folder, durable)
    try:
        server.start()
        yield server
    finally:
        server.kill()
        shutil.rmtree(folder)


_SHARED = pytest.StashKey[Postgres]()


@pytest.fixture(scope="session")
def postgres(request: pytest.FixtureRequest) -> Postgres:
    """A server that all test modules of this session (of this xdist worker) share; nobody may end it."""
    if _SHARED not in request.config.stash:
        stack = contextlib.ExitStack()
        request.config.add_cleanup(stack.close)
        request.config.stash[_SHARED] = stack.enter_context(running())
    return request.config.stash[_SHARED]


def _program(name: str) -> Path:
    """From PATH, the distribution's folder, or where `make setup` put it."""
    folders = [Path(folder) for folder in os.environ.get("PATH", "").split(os.pathsep) if folder]
    for root in (Path("/"), _ROOT / ".cache" / "postgresql"):
        folders += sorted((root / "usr/lib/postgresql").glob("*/bin"), reverse=True)
    for folder in folders:
        if (folder / "postgres").exists() and (folder / "initdb").exists():
            return folder / name
    raise AssertionError("expected Postgres' programs initdb and postgres, found none; run `make setup`")


def _environment() -> dict[str, str]:
    """The libraries that lie beside an unpacked server are found as well."""
    unpacked = _ROOT / ".cache" / "postgresql"
    libraries = [str(folder) for folder in sorted((unpacked / "usr/lib").glob("*-linux-*"))]
    return {"PATH": os.defpath, "LC_ALL": "C", "LD_LIBRARY_PATH": ":".join(libraries)}


def _identity() -> dict[str, Any]:
    """Arguments of subprocess that make a process somebody's who is not root."""
    if os.getuid() != 0:
        return {}
    for name in ("postgres", "nobody"):
        with contextlib.suppress(KeyError):
            user = pwd.getpwnam(name)
            return {"user": user.pw_uid, "group": user.pw_gid, "extra_groups": []}
    raise AssertionError("expected a user postgres or nobody for Postgres to run as, found neither")
