"""Who wrote a ModelLoop's spec: what the object tells of it, and no more."""

from __future__ import annotations

from typing import Any

from serinus.facts import Writer
from services.operator.writers import writer_of


def entry(manager: str, time: str, fields: dict[str, Any], **more: str) -> dict[str, Any]:
    return {"manager": manager, "time": time, "operation": "Update", "fieldsV1": fields, **more}


def test_the_latest_manager_of_the_spec_wrote_it_not_who_wrote_status_or_finalizers() -> None:
    spec: dict[str, Any] = {"f:spec": {"f:training": {}}}
    managed = [
        entry("kubectl-edit", "2026-03-02T12:00:05Z", spec),
        entry("argocd", "2026-03-02T11:00:00Z", spec),
        entry("serinus", "2026-03-02T13:00:00Z", {"f:metadata": {"f:finalizers": {}}}),
        entry("serinus", "2026-03-02T13:00:00Z", {"f:spec": {}, "f:status": {}}, subresource="status"),
    ]
    found = writer_of({"metadata": {"generation": 4, "managedFields": managed}})
    assert (found.by, found.generation) == ("field manager kubectl-edit", 4)
    assert "at 2026-03-02T12:00:05Z" in found.said
    assert "the user is in the API server's audit log alone" in found.said


def test_an_object_that_does_not_tell_has_an_unknown_writer() -> None:
    found = writer_of({"metadata": {"generation": 4}})
    assert found == Writer("unknown", found.said, 4)
    assert "audit log" in found.said
