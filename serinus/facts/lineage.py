"""Where a version comes from and what became of it: what an auditor asks, after years too."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import datetime

from serinus.facts.memory import RolloutRecord
from serinus.facts.models import Contract, Dataset, Evaluation, Version
from serinus.facts.quality import Reference
from serinus.facts.runs import Why


@dataclass(frozen=True)
class Code:
    """What ran, as exactly as the process itself could tell; "" where it could not."""

    release: str = ""  # of the package serinus
    revision: str = ""  # of the repository that it was built from
    source: str = ""  # sha256 over the package's own Python files: names and contents
    own: str = ""  # the same over the modules of the user's own functions; "": there are none
    lock: str = ""  # sha256 of the uv.lock that the environment was made from
    image: str = ""  # the container's image: name, and digest where it is known
    python: str = ""
    packages: Mapping[str, str] = field(default_factory=dict)  # those that decide what a model is -> version
    kernels: Mapping[str, str] = field(default_factory=dict)  # of linear algebra: library -> what it picked here
    forced: Mapping[str, str] = field(default_factory=dict)  # variables that pick for it -> value


@dataclass(frozen=True)
class Origin:
    """How a version was made: `origin.json` beside the model, written when it is registered."""

    run: str  # key of the run
    cause: str
    spec: str  # the ModelLoop as JSON, as the run had it
    digest: str  # of the model directory
    files: Mapping[str, str]  # of the model directory -> sha256
    dataset: Dataset
    kept: bool  # whether the dataset's rows are kept with the version
    code: Code
    why: Why | None = None  # the run was asked for; None: nobody said


@dataclass(frozen=True)
class Papers:
    """All that is kept with a version. None: it was made before such a thing was kept, or somebody removed it."""

    version: Version
    contract: Contract
    reference: Reference | None = None
    evaluation: Evaluation | None = None
    origin: Origin | None = None
    rollouts: tuple[RolloutRecord, ...] = ()  # oldest first


@dataclass(frozen=True)
class Served:
    """A stretch of time in which a version got this share of the traffic."""

    start: datetime
    end: datetime | None  # None: it still does, as far as is known
    share: float  # percent


@dataclass(frozen=True)
class Lineage:
    """A version's papers, and what the audit trail (or the loop's history) says of it."""

    papers: Papers
    served: tuple[Served, ...]
    approved_by: str  # a person; "": nobody had to, or has yet
    asked_by: str  # who asked for the run; "": the loop itself, or nobody knows any more
    source: str  # where the last three are from, a sentence
