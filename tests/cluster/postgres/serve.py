"""Becomes Postgres, with the data in /data, which is made when there is none. The password of its one user, `serinus`,
is in the file that PASSWORD_FILE names.
"""

from __future__ import annotations

import os
import subprocess
from pathlib import Path

DATA = Path("/data/postgres")
PROGRAMS = max(Path("/usr/lib/postgresql").iterdir()) / "bin"

if __name__ == "__main__":
    if not (DATA / "PG_VERSION").exists():
        made = [
            "--username=serinus",
            "--auth=scram-sha-256",
            f"--pwfile={os.environ['PASSWORD_FILE']}",
            "--encoding=UTF8",
        ]
        subprocess.run([PROGRAMS / "initdb", f"--pgdata={DATA}", *made], check=True)
        with (DATA / "pg_hba.conf").open("a") as rules:
            rules.write("host all all all scram-sha-256\n")
    settings = {"listen_addresses": "*", "unix_socket_directories": "/tmp", "shared_buffers": "64MB"}  # noqa: S108
    words = [word for name, value in settings.items() for word in ("-c", f"{name}={value}")]
    server = str(PROGRAMS / "postgres")  # whole: it looks for what lies beside it
    os.execv(server, [server, "-D", str(DATA), *words])  # noqa: S606
