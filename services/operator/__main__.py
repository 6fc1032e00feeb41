"""`python -m services.operator`: wait for the lease, then drive every ModelLoop until told to end.

Exit code 0: told to end. 1: could not begin, or the watches ended. 2: used wrongly. 3: the lease was lost.
"""

from __future__ import annotations

import argparse
import asyncio
import logging
import os
import signal
import socket
import sys
import threading
import uuid
from collections.abc import Sequence
from contextlib import suppress

from serinus.errors import Fatal, SerinusError
from services import platform as surroundings
from services.operator.election import Election
from services.operator.health import Health, serving
from services.operator.metrics import OperatorMetrics
from services.platform import Platform

log = logging.getLogger("services.operator")

LOST = 3


def main(arguments: Sequence[str] | None = None) -> int:
    """Run; returns the exit code."""
    given = _parser().parse_args(arguments)
    logging.basicConfig(
        level=given.log_level, stream=sys.stderr, format="%(asctime)s %(levelname)s %(name)s: %(message)s"
    )
    for chatty in ("httpx", "urllib3", "kopf.objects", "kubernetes"):
        logging.getLogger(chatty).setLevel(logging.WARNING)
    try:
        return run(surroundings.from_environment(), given.host, given.port, given.threads)
    except (SerinusError, OSError) as error:
        log.error("%s", error)
        return 1


def run(platform: Platform, host: str, port: int, threads: int) -> int:
    """The whole life of a replica. Raises Fatal when there is no Kubernetes, or Serinus' kinds are not in it."""
    from serinus.adapters.kube import Kube
    from services.operator import driving

    metrics, health = OperatorMetrics(), Health()
    kube = Kube.connect(answered=metrics.answered)
    impatient = Kube.connect(timeout=4.0, answered=metrics.answered)  # a renewal that hangs is one that failed
    identity = f"{socket.gethostname()}_{uuid.uuid4().hex[:8]}"
    election = Election(impatient, platform.pod_namespace, identity, told=lambda holder: _told(health, holder))
    stop = threading.Event()
    for number in (signal.SIGTERM, signal.SIGINT):
        signal.signal(number, lambda *_: stop.set())
    with serving(host, port, health, metrics.registry) as bound:
        log.info("%s is up: health and metrics on %s:%d", identity, host, bound)
        if not election.acquire(stop):
            return 0
        log.info("%s leads from now on", identity)
        health.leading = True
        metrics.leader.set(1)
        election.keep(_die)
        try:
            asyncio.run(driving.drive(platform, kube, metrics, health, stop, threads))
        finally:
            health.leading, health.beat = False, None
            metrics.leader.set(0)
            election.release()
    if not stop.is_set():
        raise Fatal("the watches ended by themselves; see the lines above")
    log.info("%s has ended", identity)
    return 0


def _told(health: Health, holder: str) -> None:
    health.holder = holder


def _die(why: str) -> None:
    """Another replica drives from now on, or will in seconds: nothing here may go on, not even what hangs."""
    log.critical("ends itself: %s", why)
    with suppress(Exception):
        logging.shutdown()
    os._exit(LOST)


def _parser() -> argparse.ArgumentParser:
    environment = os.environ.get
    parser = argparse.ArgumentParser(prog="python -m services.operator", description=__doc__)
    parser.add_argument(
        "--host",
        default=environment("SERINUS_METRICS_HOST", "127.0.0.1"),
        help="address of /healthz, /readyz, /metrics [SERINUS_METRICS_HOST, 127.0.0.1]; 0.0.0.0 inside a pod",
    )
    parser.add_argument(
        "--port",
        type=int,
        default=int(environment("SERINUS_METRICS_PORT", "8080")),
        help="their port [SERINUS_METRICS_PORT, 8080]",
    )
    parser.add_argument(
        "--threads",
        type=int,
        default=int(environment("SERINUS_THREADS", "8")),
        help="loops that are looked at at once [SERINUS_THREADS, 8]",
    )
    parser.add_argument(
        "--log-level",
        default=environment("SERINUS_LOG_LEVEL", "INFO"),
        choices=["DEBUG", "INFO", "WARNING", "ERROR"],
        help="[SERINUS_LOG_LEVEL, INFO]",
    )
    return parser


if __name__ == "__main__":
    code = main()
    logging.shutdown()
    os._exit(code)  # a look that hangs has had its time; the interpreter would wait for its thread
