"""The ports Registry, ModelStore and Archive in memory."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import replace
from datetime import UTC, datetime
from pathlib import Path

from serinus import artifact, wire
from serinus.adapters.model_dir import whole
from serinus.errors import Fatal, Unavailable
from serinus.facts import Alias, Contract, Evaluation, Origin, Papers, Reference, RolloutRecord, Version
from serinus.papers import EVALUATION, ORIGIN, ROWS


def _utcnow() -> datetime:
    return datetime.now(UTC)


class FakeRegistry:
    """Versions in a dictionary. `add` plays a pipeline that registered a model, `away` a server that cannot be asked.

    >>> registry = FakeRegistry()
    >>> registry.add("flights", trigger="flights-manual-1").number
    1
    >>> registry.alias("flights", "champion", 1)
    >>> registry.find("flights", "champion").trigger
    'flights-manual-1'
    """

    def __init__(self, now: Callable[[], datetime] = _utcnow) -> None:
        self.away = ""  # why nothing can be asked; empty: it can
        self.records: dict[tuple[str, int], RolloutRecord] = {}  # the latest
        self.tags: dict[tuple[str, int], dict[str, str]] = {}  # as `register` was given them
        self.extras: dict[tuple[str, int], dict[str, bytes]] = {}  # file -> content
        self._now = now
        self._versions: dict[str, list[Version]] = {}
        self._aliases: dict[str, dict[Alias, int]] = {}
        self._files: dict[tuple[str, int], dict[str, bytes]] = {}
        self._rollouts: dict[tuple[str, int], dict[tuple[object, ...], RolloutRecord]] = {}
        self._reasons: dict[tuple[str, str], tuple[str, str]] = {}

    def versions(self, loop: str) -> tuple[Version, ...]:
        """Every registered version of the loop, oldest first, with its aliases."""
        self._reach()
        held = self._aliases.get(loop, {})
        return tuple(
            replace(v, aliases=frozenset(alias for alias, number in held.items() if number == v.number))
            for v in self._versions.get(loop, ())
        )

    def alias(self, loop: str, alias: Alias, version: int | None) -> None:
        """Point `alias` at `version`, or take it away. Idempotent. Raises Fatal when there is no such version."""
        self._reach()
        if version is None:
            self._aliases.get(loop, {}).pop(alias, None)
            return
        self._known(loop, version)
        self._aliases.setdefault(loop, {})[alias] = version

    def record(self, loop: str, record: RolloutRecord) -> None:
        """Keep how a rollout ended with the version. Idempotent. Raises Fatal when there is no such version."""
        self._reach()
        self._known(loop, record.version)
        self.records[loop, record.version] = record
        every = self._rollouts.setdefault((loop, record.version), {})
        every[record.started, record.ended, record.outcome] = record

    def register(
        self,
        loop: str,
        trigger: str,
        model: Path,
        tags: Mapping[str, str],
        metrics: Mapping[str, float],
        extras: Path | None = None,
    ) -> Version:
        """Register the model directory as a new version with alias `challenger`; the same trigger gives the same."""
        self._reach()
        present = [v for v in self.versions(loop) if v.trigger == trigger]
        if present:
            return present[0]
        digest = artifact.verify(model)
        dataset = wire.load(Contract, (model / artifact.CONTRACT).read_bytes()).dataset.version
        made = self.add(loop, trigger, dataset=dataset, digest=digest, metrics=metrics)
        self._files[loop, made.number] = {path.name: path.read_bytes() for path in model.iterdir()}
        self.tags[loop, made.number] = dict(tags)
        files = [path for path in extras.rglob("*") if path.is_file()] if extras else []
        self.extras[loop, made.number] = {str(path.relative_to(extras or path)): path.read_bytes() for path in files}
        return made

    def add(
        self,
        loop: str,
        trigger: str = "",
        dataset: str = "",
        digest: str = "",
        metrics: Mapping[str, float] | None = None,
    ) -> Version:
        """A new version with alias `challenger`, without a model directory: enough for those who never fetch it."""
        made = self._versions.setdefault(loop, [])
        made.append(Version(loop, len(made) + 1, trigger, self._now(), dataset, frozenset(), metrics or {}, digest))
        self._aliases.setdefault(loop, {})["challenger"] = len(made)
        return replace(made[-1], aliases=frozenset({"challenger"}))

    def fetch(self, loop: str, version: int, into: Path) -> Path:
        """Download version `version` to the directory `into` (made whole or not at all), verify it, return it."""
        self._reach()
        known = self._known(loop, version)

        def download(folder: Path) -> Path:
            for name, content in self._files.get((loop, version), {}).items():
                (folder / name).write_bytes(content)
            return folder

        return whole(into, known.digest, download)

    def find(self, loop: str, alias: Alias) -> Version | None:
        """The version that carries `alias`."""
        return next((v for v in self.versions(loop) if alias in v.aliases), None)

    def refuse(self, loop: str, trigger: str, step: str, reason: str) -> None:
        """Keep why the run `trigger` registered nothing. The latest word counts."""
        self._reach()
        self._reasons[loop, trigger] = (step, reason)

    def reason(self, loop: str, trigger: str) -> tuple[str, str] | None:
        """(step, reason) that `refuse` kept for the run `trigger`."""
        self._reach()
        return self._reasons.get((loop, trigger))

    def papers(self, loop: str, version: int) -> Papers:
        """All that is kept with a version, serving or long retired. Raises Fatal when there is no such version."""
        self._reach()
        self._known(loop, version)
        (known,) = (each for each in self.versions(loop) if each.number == version)
        model, beside = self._files.get((loop, version), {}), self.extras.get((loop, version), {})
        if artifact.CONTRACT not in model:
            raise Fatal(f"{loop}: version {version} has no {artifact.CONTRACT}")
        reference, evaluation, origin = model.get(artifact.REFERENCE), beside.get(EVALUATION), beside.get(ORIGIN)
        ended = sorted(self._rollouts.get((loop, version), {}).values(), key=lambda record: record.ended)
        return Papers(
            known,
            wire.load(Contract, model[artifact.CONTRACT]),
            wire.load(Reference, reference) if reference is not None else None,
            wire.load(Evaluation, evaluation) if evaluation is not None else None,
            wire.load(Origin, origin) if origin is not None else None,
            tuple(ended),
        )

    def dataset(self, loop: str, version: int, into: Path) -> Path:
        """Download the rows that a version was made from to the new directory `into`, and return where they are."""
        self._reach()
        self._known(loop, version)
        kept = {
            Path(name).name: data
            for name, data in self.extras.get((loop, version), {}).items()
            if name.startswith(f"{ROWS}/")
        }
        if not kept:
            raise Fatal(f"{loop}: the rows that version {version} was made from were not kept with it")
        into.mkdir(parents=True)
        for name, data in kept.items():
            (into / name).write_bytes(data)
        return into

    def _known(self, loop: str, version: int) -> Version:
        known = [v for v in self._versions.get(loop, ()) if v.number == version]
        if not known:
            raise Fatal(f"{loop}: expected version {version} in the registry, found none")
        return known[0]

    def _reach(self) -> None:
        if self.away:
            raise Unavailable(self.away)
