"""Resources of a step's pod, as far as Kubeflow Pipelines can express them."""

from __future__ import annotations

import re
from collections.abc import Mapping

_CPU, _MEMORY, _COUNT = re.compile(r"(\d*\.)?\d+m?"), re.compile(r"(\d+)([MGTPE]|[KMGTPE]i)?"), re.compile(r"[1-9]\d*")
_GIGA = 1000**3
_UNITS = {
    "": 1, "M": 1000**2, "G": _GIGA, "T": 1000**4, "P": 1000**5, "E": 1000**6,
    "Ki": 1024, "Mi": 1024**2, "Gi": 1024**3, "Ti": 1024**4, "Pi": 1024**5, "Ei": 1024**6,
}  # fmt: skip


def cores(quantity: str) -> float:
    """Cores: 0.5 for `500m`. Raises ValueError."""
    if not _CPU.fullmatch(quantity):
        raise ValueError(f"expected cores such as 2, 0.5 or 500m, got {quantity!r}")
    return float(quantity[:-1]) / 1000 if quantity.endswith("m") else float(quantity)


def gigabytes(quantity: str) -> float:
    """10^9 bytes: 0.536870912 for `512Mi`. Raises ValueError."""
    match = _MEMORY.fullmatch(quantity)
    if match is None:
        raise ValueError(f"expected whole bytes such as 512Mi, 4Gi or 2G, got {quantity!r}")
    return float(match[1]) * _UNITS[match[2] or ""] / _GIGA


def accelerator(limits: Mapping[str, str]) -> tuple[str, str] | None:
    """The kind of accelerator among the limits and how many, if there is one. Raises ValueError."""
    others = {name: count for name, count in limits.items() if name not in ("cpu", "memory")}
    for name, count in others.items():
        if "/" not in name or not _COUNT.fullmatch(count) or len(others) > 1:
            expected = "cpu, memory and at most one kind of accelerator (nvidia.com/gpu: '1')"
            raise ValueError(f"expected {expected}, got {name}: {count!r}")
    return next(iter(others.items()), None)


def check(resources: Mapping[str, Mapping[str, str]]) -> None:
    """Raises ValueError for requests or limits that cannot be expressed."""
    for side, quantities in resources.items():
        try:
            for name, quantity in quantities.items():
                if name == "cpu":
                    cores(quantity)
                elif name == "memory":
                    gigabytes(quantity)
                elif side != "limits":
                    raise ValueError(f"expected cpu and memory (an accelerator goes under limits), got {name}")
            if side == "limits":
                accelerator(quantities)
        except ValueError as error:
            raise ValueError(f"{side}: {error}") from error
