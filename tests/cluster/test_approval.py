"""A person's approval on a real cluster: whose name stands in the audit trail, and who may not give it."""

from __future__ import annotations

import json
import subprocess
from pathlib import Path

import pytest

from tests.cluster import loops
from tests.cluster.installation import Installation, kubectl, program
from tests.cluster.loops import Loop

pytestmark = pytest.mark.timeout(600)


def _approval(loop: Loop, version: int, approver: str) -> str:
    spec = {"loop": loop.name, "version": version, "decision": "approve", "reason": "looks fine", "approver": approver}
    head = {"apiVersion": "serinus.dev/v1alpha1", "kind": "ModelApproval"}
    return json.dumps({**head, "metadata": {"name": f"{loop.name}-{version}"}, "spec": spec})


def _as(loop: Loop, user: str, text: str) -> subprocess.CompletedProcess[str]:
    """`kubectl create` as that user."""
    command = [program("kubectl"), "-n", loop.namespace, "--as", user, "create", "-f", "-"]
    return subprocess.run(command, input=text, capture_output=True, text=True, timeout=60, check=False)


def test_a_version_waits_for_a_person_who_may_and_nobody_signs_for_another(
    serinus: Installation, tmp_path: Path
) -> None:
    with loops.loop(serinus, tmp_path, approval="required") as loop:
        loop.register()
        loop.apply()
        loop.until(lambda: loop.status.waiting == 1, "the first version waits", 120)
        binding = ["create", "rolebinding", "ann", "--clusterrole", "serinus-approver", "--user", "ann"]
        kubectl("-n", loop.namespace, *binding)
        stranger = _as(loop, "bob", _approval(loop, 1, "bob"))
        assert stranger.returncode != 0
        assert "forbidden" in stranger.stderr
        forged = _as(loop, "ann", _approval(loop, 1, "the boss"))
        assert forged.returncode != 0
        assert "approver" in forged.stderr
        assert loop.status.champion is None
        given = _as(loop, "ann", _approval(loop, 1, "ann"))
        assert given.returncode == 0, given.stderr
        loop.serves(1, 120)
        (approved,) = loop.events("Approved")
        assert "ann let version 1 in: looks fine" in approved.message
        edit = '{"spec": {"reason": "was never fine"}}'
        command = [program("kubectl"), "-n", loop.namespace, "patch", "modelapproval", f"{loop.name}-1"]
        edited = subprocess.run(
            [*command, "--type", "merge", "-p", edit], capture_output=True, text=True, timeout=60, check=False
        )
        assert edited.returncode != 0
