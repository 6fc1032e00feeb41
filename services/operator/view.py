"""What `kubectl get` shows of a loop, patched into its status when it changed and only then."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime

from serinus.adapters.kube import MODEL_LOOPS, Kube, Object
from serinus.adapters.kube_history import event_of
from serinus.render import names, status
from serinus.spec import ModelLoop
from services.driver import Looked
from services.platform import Platform


@dataclass(frozen=True)
class Shown:
    """What there is to say of a loop: a look of it, or why there can be none."""

    spec: ModelLoop | None = None
    looked: Looked | None = None
    problems: tuple[str, ...] = ()  # sentences on a spec that is not valid
    taken_by: str | None = None  # namespace of the loop whose name it is
    unreadable: str = ""  # why its memory cannot be read

    @property
    def reason(self) -> str:
        """One CamelCase word."""
        if self.unreadable:
            return "MemoryUnreadable"
        return "NameTaken" if self.taken_by is not None else "InvalidSpec"

    @property
    def sentence(self) -> str:
        """Why there can be no look, for a person."""
        if self.unreadable:
            return f"everything stays as it is until the loop's memory can be read: {self.unreadable}"
        if self.taken_by is not None:
            return (
                f"namespace {self.taken_by} has a ModelLoop of this name, and the name is the model's name in the "
                "registry; choose another one"
            )
        return "everything stays as it is until the spec is valid: " + "; ".join(self.problems)


@dataclass(frozen=True)
class View:
    """Shows loops."""

    kube: Kube
    platform: Platform

    def show(self, loop: Object, shown: Shown, now: datetime, troubles: Mapping[str, str] | None = None) -> bool:
        """Bring the status of `loop` (as it was read) up to date; whether anything had to be changed.

        troubles: what else could not be done, by subject.
        """
        had = loop.get("status") or {}
        wanted = self._wanted(loop, shown, now, troubles or {})
        changes = {key: value for key, value in wanted.items() if had.get(key) != value}
        if changes:
            about = loop["metadata"]
            self.kube.patch(MODEL_LOOPS, about["namespace"], about["name"], {"status": changes}, "status")
        return bool(changes)

    def _wanted(self, loop: Object, shown: Shown, now: datetime, troubles: Mapping[str, str]) -> Object:
        """The fields of the view; None takes one away."""
        had, about = loop.get("status") or {}, loop["metadata"]
        conditions = had.get("conditions") or ()
        if shown.looked is None or shown.spec is None:
            return status.refused(shown.reason, shown.sentence, about["generation"], now, conditions)
        plan, world = shown.looked.plan, shown.looked.world
        return status.view(
            shown.spec,
            about["generation"],
            plan.status,
            world.routing,
            now,
            address=names.host(about["name"], about["namespace"], self.platform.domain),
            troubles=troubles,
            history=(*(event_of(item) for item in had.get("history") or ()), *plan.events),
            conditions=conditions,
        )
