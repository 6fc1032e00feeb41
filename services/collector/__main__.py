"""`python -m services.collector`: take predictions and labels until a signal comes. README.md has the arguments.

Exit code 0: told to end. 1: could not begin, or the database is of no use to this program. 2: used wrongly.
"""

from __future__ import annotations

import argparse
import ipaddress
import logging
import os
import socket
import sys
import time
from datetime import UTC, datetime, timedelta
from pathlib import Path

_STARTED = time.monotonic()

from serinus import durations  # noqa: E402 - the clock first
from serinus.errors import Fatal, SerinusError  # noqa: E402
from services.arguments import count, seconds  # noqa: E402

DATABASE = "SERINUS_DATABASE_URL"


def arguments(argv: list[str]) -> argparse.Namespace:
    """The command line, parsed."""
    given = os.environ.get
    parser = argparse.ArgumentParser(prog="python -m services.collector", allow_abbrev=False, description=__doc__)
    add = parser.add_argument
    add("--host", default=given("SERINUS_COLLECTOR_HOST", "127.0.0.1"), help="address to bind [SERINUS_COLLECTOR_HOST]")
    add("--port", type=int, default=int(given("SERINUS_COLLECTOR_PORT", "8085")), help="0: a free one [..._PORT]")
    add("--database-url-file", type=_path, default=given("SERINUS_DATABASE_URL_FILE"),
        help=f"file with the database's URL, instead of {DATABASE}")  # fmt: skip
    add("--hash-key-file", type=_path, default=given("SERINUS_HASH_KEY_FILE"),
        help="file with the key for hashes, 16 to 64 bytes [SERINUS_HASH_KEY_FILE]")  # fmt: skip
    add("--audit-file", type=_path, default=given("SERINUS_AUDIT_FILE"),
        help="audit trail as a file, instead of a table [SERINUS_AUDIT_FILE]")  # fmt: skip
    add("--auth", choices=("none", "kubernetes"), default=given("SERINUS_COLLECTOR_AUTH", "none"),
        help="who says who may do what [SERINUS_COLLECTOR_AUTH, none: whoever reaches loopback]")  # fmt: skip
    add("--watch-namespace", default=given("SERINUS_WATCH_NAMESPACE", ""),
        help="the one namespace this is for, \"\": all [SERINUS_WATCH_NAMESPACE]")  # fmt: skip
    add(
        "--events-of",
        action="append",
        default=[each for each in given("SERINUS_EVENTS_OF", "").split(",") if each],
        metavar="NAMESPACE",
        help="whose payload loggers need no token: KServe's shows none; again [SERINUS_EVENTS_OF, with commas]",
    )
    add("--retention", type=_duration, default=given("SERINUS_RETENTION", "90d"),
        help="how long rows of loops are kept that do not say it themselves [SERINUS_RETENTION, 90d]")  # fmt: skip
    add("--forget-every", type=_duration, default="1h", help="how often old rows are looked for (default: %(default)s)")
    add("--drain", type=seconds, default=5.0, help="s to answer on after SIGTERM (default: %(default)s)")
    add("--grace", type=seconds, default=30.0, help="s for requests in work after that (default: %(default)s)")
    add("--threads", type=int, choices=range(1, 6), default=4, help="requests that write at once; half as many read")
    add("--queue", type=count, default=64, help="requests in work or waiting (default: %(default)s)")
    add("--max-body", type=count, default=8 * 1024 * 1024, help="bytes (default: %(default)s)")
    add("--max-pending", type=count, default=64 * 1024 * 1024, help="bytes of all of them (default: %(default)s)")
    add("--upload", type=seconds, default=30.0, help="s that a body may take (default: %(default)s)")
    add("--log-level", default=given("SERINUS_LOG_LEVEL", "INFO"), choices=["DEBUG", "INFO", "WARNING", "ERROR"])
    parsed = parser.parse_args(argv)
    if parsed.auth == "none" and not _loopback(parsed.host):
        parser.error(f"--host {parsed.host}: expected a loopback address, or --auth kubernetes")
    return parsed


def main(argv: list[str]) -> int:
    """Serve. Returns the exit code."""
    args = arguments(argv)
    logging.basicConfig(format="%(asctime)s %(name)s %(levelname)s %(message)s", level=logging.WARNING)
    logging.getLogger("serinus").setLevel(args.log_level)
    try:
        _serve(args, database_url(args.database_url_file))
    except (SerinusError, OSError) as error:
        sys.stderr.write(f"collector: {error}\n")
        return 1
    return 0


def database_url(file: Path | None) -> str:
    """From the file, else from the environment. Raises Fatal when neither says it."""
    try:
        url = file.read_text().strip() if file is not None else os.environ.get(DATABASE, "")
    except OSError as error:
        raise Fatal(f"{file}: expected the database's URL: {error.strerror}") from None
    if not url:
        raise Fatal(f"expected the database's URL in {DATABASE} or in the file of --database-url-file, got nothing")
    return url


def _serve(args: argparse.Namespace, url: str) -> None:
    with socket.socket(socket.AF_INET6 if ":" in args.host else socket.AF_INET) as sock:
        sock.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        try:
            sock.bind((args.host, args.port))
        except OSError as error:
            raise OSError(f"cannot bind {args.host}:{args.port}: {error.strerror}; choose another --port") from error

        from services.collector.start import Settings, collector

        host, port = sock.getsockname()[:2]
        server = collector(
            Settings(
                database=url,
                hash_key_file=args.hash_key_file,
                audit_file=args.audit_file,
                kubernetes=args.auth == "kubernetes",
                home=args.watch_namespace,
                events_of=frozenset(args.events_of),
                retention=args.retention,
                forget_every=args.forget_every,
                threads=args.threads,
                queue=args.queue,
                body=args.max_body,
                pending=args.max_pending,
                upload=args.upload,
                drain=args.drain,
                grace=args.grace,
            ),
            lambda: datetime.now(UTC),
        )

        def started() -> None:
            sys.stdout.write(f"listening on http://{host}:{port} after {time.monotonic() - _STARTED:.1f} s\n")
            sys.stdout.flush()

        server.listen(sock, started)


def _loopback(host: str) -> bool:
    try:
        return host == "localhost" or ipaddress.ip_address(host).is_loopback
    except ValueError:
        return False


def _path(text: str) -> Path | None:
    return Path(text) if text else None


def _duration(text: str) -> timedelta:
    try:
        return durations.parse(text)
    except ValueError as error:
        raise argparse.ArgumentTypeError(str(error)) from None


if __name__ == "__main__":
    code = main(sys.argv[1:])
    logging.shutdown()
    os._exit(code)  # a statement that hangs has had its time; the interpreter would wait for its thread
