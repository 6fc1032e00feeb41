"""`python -m tests.standins.kfp --port 8888 --folder /tmp/kfp`: the stand-in as a process, or as a pod."""

from __future__ import annotations

import argparse
import os
import signal
import sys
from pathlib import Path
from types import FrameType

from tests.standins.kfp.backend import Backend
from tests.standins.kfp.server import Server


def main() -> int:
    parser = argparse.ArgumentParser(prog="python -m tests.standins.kfp", description=__doc__)
    parser.add_argument("--host", default="127.0.0.1", help="address to listen on; 0.0.0.0 in a pod")
    parser.add_argument("--port", type=int, default=8888)
    parser.add_argument("--folder", type=Path, default=Path("/tmp/kfp-standin"), help="state, logs, artifacts")  # noqa: S108
    parser.add_argument("--token", default=os.environ.get("STANDIN_TOKEN", ""), help="bearer token that it wants")
    parser.add_argument("--service-account", action="append", help="one that exists; repeat; none given: all do")
    parser.add_argument("--multi-user", action="store_true", help="things belong to namespaces")
    given = parser.parse_args()
    accounts = frozenset(given.service_account) if given.service_account else None
    server = Server((given.host, given.port), Backend(given.folder, accounts, given.multi_user), given.token)

    def stop(_number: int, _frame: FrameType | None) -> None:
        raise SystemExit(0)

    signal.signal(signal.SIGTERM, stop)
    sys.stdout.write(f"stand-in for Kubeflow Pipelines: {server.url}, runs in {given.folder}/runs\n")
    sys.stdout.flush()
    server.serve_forever()
    return 0


if __name__ == "__main__":
    sys.exit(main())
