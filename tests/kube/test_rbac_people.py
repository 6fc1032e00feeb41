"""What the chart's roles let people do, asked of a real API server; and what they do not."""

from __future__ import annotations

import pytest

from serinus.adapters.kube import MODEL_LOOPS
from serinus.errors import Fatal
from tests.servers.kubernetes import ApiServer
from tests.servers.rights import AWAY, HOME, document, may, roles  # noqa: F401

PEOPLE: dict[str, tuple[tuple[str, str], ...]] = {
    "viewer": (("get", "modelloops"), ("list", "looprequests"), ("watch", "modelapprovals")),
    "editor": (
        *(("create", "modelloops"), ("patch", "modelloops"), ("delete", "modelloops"), ("create", "looprequests")),
        *(("get", "modelapprovals"), ("get", "modelloops/status")),
        *(("create", "modelloops/labels"), ("get", "modelloops/records")),
    ),
    "approver": (("get", "modelloops"), ("create", "modelapprovals"), ("get", "modelapprovals")),
    "eraser": (("get", "modelloops/records"), ("delete", "modelloops/records")),
    "auditor": (("get", "modelloops/audit"), ("get", "modelloops/records"), ("list", "modelapprovals")),
}
NEVER: dict[str, tuple[tuple[str, str], ...]] = {
    "viewer": (
        *(("create", "modelloops"), ("patch", "modelloops"), ("create", "looprequests")),
        *(("create", "modelloops/labels"), ("get", "modelloops/records")),
    ),
    "editor": (
        *(("patch", "modelloops/status"), ("delete", "looprequests"), ("update", "looprequests")),
        *(("delete", "modelloops/records"), ("get", "modelloops/audit")),
    ),
    "approver": (
        *(("patch", "modelloops"), ("create", "looprequests"), ("patch", "modelapprovals")),
        *(("create", "modelloops/labels"), ("get", "modelloops/records")),
    ),
    "eraser": (("patch", "modelloops"), ("create", "modelloops/labels"), ("get", "modelloops/audit")),
    "auditor": (("patch", "modelloops"), ("create", "modelloops/labels"), ("delete", "modelloops/records")),
}
"""Beside what nobody may: handing on predictions, writing into the audit trail, deleting approvals, and for all but
approvers making them."""


@pytest.mark.parametrize("person", PEOPLE)
def test_people_may_what_their_role_says(server: ApiServer, person: str) -> None:
    for verb, resource in PEOPLE[person]:
        assert may(server, person, verb, "serinus.dev", resource, AWAY), f"{verb} {resource}"
        assert not may(server, person, verb, "serinus.dev", resource, HOME), f"{verb} {resource} where nobody let them"


@pytest.mark.parametrize("person", PEOPLE)
def test_people_may_not_what_their_role_does_not_say(server: ApiServer, person: str) -> None:
    nobody = (("delete", "modelapprovals"), ("update", "modelapprovals"))
    ours = (("create", "modelloops/predictions"), ("create", "modelloops/audit"))
    for verb, resource in (*NEVER[person], *nobody, *ours):
        assert not may(server, person, verb, "serinus.dev", resource, AWAY), f"{verb} {resource}"
    assert may(server, person, "create", "serinus.dev", "modelapprovals", AWAY) is (person == "approver")


def test_an_editor_is_really_refused_what_only_the_operator_may(server: ApiServer) -> None:
    editor = server.impersonate("editor")
    edited = document("edited")
    editor.apply(MODEL_LOOPS, AWAY, edited)
    with pytest.raises(Fatal, match="403"):
        editor.patch(MODEL_LOOPS, AWAY, edited["metadata"]["name"], {"status": {"champion": 7}}, "status")
