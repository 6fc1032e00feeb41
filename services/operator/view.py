"""What `kubectl get` shows of a loop, patched into its status when it changed and only then."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

from serinus.adapters.kube import MODEL_LOOPS, Kube, Object
from serinus.render import names
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

    @property
    def reason(self) -> str:
        """One CamelCase word."""
        return "NameTaken" if self.taken_by is not None else "InvalidSpec"

    @property
    def sentence(self) -> str:
        """Why there can be no look, for a person."""
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

    def show(self, loop: Object, shown: Shown) -> bool:
        """Bring the status of `loop` (as it was read) up to date; whether anything had to be changed."""
        had = loop.get("status") or {}
        changes = {key: value for key, value in self._wanted(loop, shown).items() if had.get(key) != value}
        if changes:
            about = loop["metadata"]
            self.kube.patch(MODEL_LOOPS, about["namespace"], about["name"], {"status": changes}, "status")
        return bool(changes)

    def _wanted(self, loop: Object, shown: Shown) -> dict[str, Any]:
        """The fields of the view; None takes one away."""
        wanted: dict[str, Any] = {"observedGeneration": loop["metadata"]["generation"]}
        if shown.looked is None:
            return wanted
        status = shown.looked.plan.status
        rollout = status.rollout
        return {
            **wanted,
            "champion": status.champion,
            "canary": rollout.version if rollout is not None else None,
            "weight": None,
            "address": names.host(loop["metadata"]["name"], loop["metadata"]["namespace"], self.platform.domain),
        }
