"""Who wrote a ModelLoop's spec, as far as its object tells."""

from __future__ import annotations

from serinus.adapters.kube import Object
from serinus.facts import Writer


def writer_of(loop: Object) -> Writer:
    """The field manager that was the latest to write fields of the spec.

    A manager is what a client calls itself (`kubectl-edit`), not a user whom the API server knows: that one stands
    only in the API server's own audit log.
    """
    about = loop["metadata"]
    generation = about.get("generation")
    wrote = [
        (str(entry.get("time", "")), str(entry.get("manager", "")))
        for entry in about.get("managedFields") or ()
        if not entry.get("subresource") and "f:spec" in (entry.get("fieldsV1") or {})
    ]
    if not wrote:
        return Writer(
            said="the object does not tell who wrote it; the API server's audit log does", generation=generation
        )
    at, manager = max(wrote)
    said = f"by field manager {manager}, at {at}; the user is in the API server's audit log alone"
    return Writer(f"field manager {manager}", said, generation)
