"""Files of Prometheus' file discovery."""

from __future__ import annotations

from pathlib import Path

import orjson


def write_targets(file: Path, job: str, targets: list[str]) -> None:
    """Write a file of Prometheus' file discovery, when it changes, whole or not at all."""
    text = orjson.dumps([{"targets": targets, "labels": {"job": job}}])
    if not file.exists() or file.read_bytes() != text:
        file.parent.mkdir(parents=True, exist_ok=True)
        temporary = file.with_name(f".{file.name}.tmp")
        temporary.write_bytes(text)
        temporary.replace(file)
