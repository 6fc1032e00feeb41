"""`python -m services.predictor`: serve one version of one model until a signal comes. README.md has the arguments."""

from __future__ import annotations

import os
import time

_STARTED = time.monotonic()
# Before numpy is imported: one request must not take all cores from the processes beside us.
for _name in ("OMP_NUM_THREADS", "OPENBLAS_NUM_THREADS", "MKL_NUM_THREADS"):
    os.environ.setdefault(_name, "1")

import argparse  # noqa: E402
import logging  # noqa: E402
import socket  # noqa: E402
import sys  # noqa: E402
from pathlib import Path  # noqa: E402
from typing import TYPE_CHECKING  # noqa: E402

from serinus.errors import SerinusError  # noqa: E402
from services.arguments import count, seconds  # noqa: E402

if TYPE_CHECKING:
    from services.predictor.collecting import Collector


def arguments(argv: list[str]) -> argparse.Namespace:
    """The command line, parsed."""
    parser = argparse.ArgumentParser(prog="python -m services.predictor", allow_abbrev=False, description=__doc__)
    add = parser.add_argument
    add("--model-dir", type=Path, required=True, help="model directory with its manifest")
    add("--loop", required=True, help="name of the loop, and of the model in URLs")
    add("--version", required=True, help="version of the model, as the registry numbers it")
    add("--host", default="127.0.0.1", help="address to bind; 0.0.0.0 in a container (default: %(default)s)")
    add("--port", type=int, default=8080, help="0 takes a free one (default: %(default)s)")
    add("--latency-threshold", type=_positive, default=0.25, help="what counts as slow, s (default: %(default)s)")
    add("--unseen", choices=("reject", "accept"), default="reject", help="what a category never seen in training gets")
    add("--trust", action="append", default=[], metavar="TYPE", help="a type of yours that the model may hold; again")
    add("--code", type=Path, help="folder that these types are imported from")
    add("--drain", type=seconds, default=5.0, help="s to answer on after SIGTERM (default: %(default)s)")
    add("--grace", type=seconds, default=30.0, help="s for requests in work after that (default: %(default)s)")
    add("--threads", type=count, default=8, help="requests that the model works on at once (default: %(default)s)")
    add("--queue", type=count, default=64, help="requests that may wait for a thread (default: %(default)s)")
    add("--max-body", type=count, default=4 * 1024 * 1024, help="bytes (default: %(default)s)")
    add("--max-rows", type=count, default=10_000, help="rows of a batch (default: %(default)s)")
    add("--keep-alive", type=count, default=3900, help="s that an idle connection is kept (default: %(default)s)")
    add("--collector", default="", metavar="URL", help="address of the collector that takes answered rows; unset: none")
    add("--collector-token", type=Path, metavar="PATH", help="file with the bearer token for it, read anew each time")
    add("--namespace", default="local", help="of the loop, as the collector knows it (default: %(default)s)")
    add("--sample", type=_share, default=1.0, help="share of the rows that it gets (default: %(default)s)")
    add("--columns", action="append", metavar="NAME", help="a feature that it gets; again. Unset: all; '': none")
    add("--hash", action="append", default=[], metavar="NAME", help="a column that it keeps as a hash only; again")
    add("--key", default="", metavar="NAME", help="a business key that callers may send beside the features")
    add("--collector-queue", type=count, default=10_000, help="rows that may wait for it (default: %(default)s)")
    args = parser.parse_args(argv)
    if args.collector and not args.version.isdecimal():
        parser.error(f"--version: expected a whole number beside --collector, got {args.version!r}")
    return args


def main(argv: list[str]) -> int:
    """Serve. Returns 0 after a drain, 1 when the model cannot be served or answers were lost."""
    args = arguments(argv)
    sys.argv = sys.argv[:1]  # kserve parses the command line when it is imported
    logging.basicConfig(format="%(asctime)s %(name)s %(levelname)s %(message)s", level=logging.WARNING)
    logging.getLogger("kserve").addHandler(logging.NullHandler())  # else its ModelServer takes over logging
    logging.getLogger("serinus").setLevel(logging.INFO)
    try:
        return _serve(args)
    except (SerinusError, OSError) as error:
        sys.stderr.write(f"predictor: {error}\n")
        return 1


def _serve(args: argparse.Namespace) -> int:
    with socket.socket(socket.AF_INET6 if ":" in args.host else socket.AF_INET) as sock:
        sock.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        try:
            sock.bind((args.host, args.port))
        except OSError as error:
            raise OSError(f"cannot bind {args.host}:{args.port}: {error.strerror}; choose another --port") from error

        from services.predictor.start import opened

        loaded, checks = opened(
            args.model_dir,
            args.loop,
            trust=args.trust,
            code=args.code,
            accept_unseen=args.unseen == "accept",
            max_rows=args.max_rows,
            key=args.key,
        )

        import prometheus_client

        from services.predictor.door import Limits
        from services.predictor.metrics import counters
        from services.predictor.model import Predictor
        from services.predictor.server import Server

        prometheus_client.disable_created_metrics()  # type: ignore[no-untyped-call]  # a second series for each counter
        counted = counters(loaded.contract, args.version, args.latency_threshold, prometheus_client.REGISTRY)
        collector = _collector(args, tuple(field.name for field in loaded.contract.fields))
        model = Predictor(loaded, args.version, checks, counted, args.threads, collector)
        server = Server(
            sock, Limits(body=args.max_body, open=args.threads + args.queue), args.keep_alive, args.drain, args.grace
        )

        def ready() -> None:
            host, port = sock.getsockname()[:2]
            sys.stdout.write(
                f"ready: {args.loop} version {args.version} on http://{host}:{port}"
                f" after {time.monotonic() - _STARTED:.1f} s\n"
            )
            sys.stdout.flush()

        server.start([model], ready)
    if collector is not None:
        collector.close()
    if server.life.lost:
        logging.getLogger("serinus.predictor").error(
            "gave up %d requests that took longer than --grace", server.life.lost
        )
        logging.shutdown()
        os._exit(1)  # their threads cannot be stopped, and a normal exit would wait for them
    return 0


def _collector(args: argparse.Namespace, features: tuple[str, ...]) -> Collector | None:
    """What hands answered rows on, started; None where nobody takes them."""
    if not args.collector:
        return None
    from prometheus_client import REGISTRY

    from services.predictor.collecting import Collecting, Collector, metrics

    collecting = Collecting(
        url=args.collector,
        namespace=args.namespace,
        loop=args.loop,
        version=int(args.version),
        features=features,
        sample=args.sample,
        columns=None if args.columns is None else tuple(name for name in args.columns if name),
        hash=tuple(args.hash),
        token=args.collector_token,
        queue=args.collector_queue,
    )
    collector = Collector(collecting, metrics(collecting, REGISTRY))
    collector.start()
    return collector


def _positive(text: str) -> float:
    value = float(text)
    if not 0 < value < float("inf"):
        raise argparse.ArgumentTypeError(f"expected a number above 0, got {text}")
    return value


def _share(text: str) -> float:
    value = _positive(text)
    if value > 1:
        raise argparse.ArgumentTypeError(f"expected a share above 0 and at most 1, got {text}")
    return value


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
