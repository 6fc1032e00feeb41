"""The programs that are compared; nothing large is imported here, so that what they cost can be measured from here."""

from __future__ import annotations

import os
import subprocess
import sys
from dataclasses import dataclass


@dataclass(frozen=True)
class Tool:
    """What is compared, and what it is asked with."""

    name: str
    package: str
    module: str
    python: str
    scaled: bool = False  # whether columns have a limit each, rather than one for all of them

    @property
    def command(self) -> list[str]:
        """The program that answers."""
        return [self.python, "-m", self.module]

    def version(self) -> str:
        """Of the package, as that environment has it."""
        ask = f"import importlib.metadata as m; print(m.version({self.package!r}))"
        return subprocess.run([self.python, "-c", ask], check=True, capture_output=True, text=True).stdout.strip()


OURS = "Serinus"
TOOLS = (
    Tool(OURS, "serinus", "benchmarks.drift.ours", sys.executable),
    Tool("Evidently", "evidently", "benchmarks.elsewhere.drift_evidently", ".cache/evidently/bin/python", True),
    Tool("NannyML", "nannyml", "benchmarks.elsewhere.drift_nannyml", ".cache/nannyml/bin/python"),
    Tool("Frouros", "frouros", "benchmarks.elsewhere.drift_frouros", ".cache/frouros/bin/python"),
    Tool("alibi-detect", "alibi-detect", "benchmarks.elsewhere.drift_alibi", ".cache/alibi/bin/python"),
)
THREADS = ("OMP_NUM_THREADS", "OPENBLAS_NUM_THREADS", "MKL_NUM_THREADS", "NUMEXPR_NUM_THREADS")
NAMES = tuple(tool.name for tool in TOOLS)


def one_thread() -> dict[str, str]:
    """The environment, with numerical libraries kept to one thread, so that seconds of processor can be compared."""
    return {**os.environ, **dict.fromkeys(THREADS, "1")}
