"""The command line on the cluster, as an auditor has it: by an account with the chart's role for that, and no more."""

from __future__ import annotations

import contextlib
import json
import os
import subprocess
import sys
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from serinus.render.collecting import AUDIENCE
from tests.cluster import collecting, installation
from tests.cluster.installation import NAMESPACE, RELEASE, Installation, kubectl
from tests.cluster.loops import Loop


@dataclass(frozen=True)
class Auditor:
    """Who asks about one loop, with where things are reached from here."""

    loop: Loop
    kubeconfig: Path
    collector: str
    mlflow: str

    def says(self, *words: str) -> str:
        """What `serinus` prints. Fails the test with what it complains about."""
        options = ("--loop", self.loop.name, "--namespace", self.loop.namespace)
        environment = {
            **os.environ, "KUBECONFIG": str(self.kubeconfig), "SERINUS_COLLECTOR_URL": self.collector,
            "MLFLOW_TRACKING_URI": self.mlflow,
        }  # fmt: skip
        command = [sys.executable, "-m", "services.cli.main", *words, *options]
        done = subprocess.run(command, capture_output=True, text=True, timeout=180, env=environment, check=False)
        assert done.returncode == 0, f"serinus {' '.join(words)}\n{done.stdout}\n{done.stderr}"
        return done.stdout

    def knows(self, *words: str) -> Any:
        """The same, as JSON."""
        return json.loads(self.says(*words, "-o", "json"))


@contextlib.contextmanager
def auditor(serinus: Installation, loop: Loop, folder: Path) -> Iterator[Auditor]:
    """One who may audit the cluster while the block lasts; the token of their kubeconfig is for the collector too."""
    name = f"auditor-{loop.name}"
    collecting.account(serinus, loop.namespace, name)
    subject = f"{loop.namespace}:{name}"
    kubectl("create", "clusterrolebinding", name, "--clusterrole", f"{RELEASE}-auditor", "--serviceaccount", subject)
    try:
        kubeconfig = folder / "kubeconfig"
        kubeconfig.touch(mode=0o600)
        kubeconfig.write_text(json.dumps(_kubeconfig(loop.namespace, name)))
        with collecting.reached() as url, installation.forwarded(NAMESPACE, f"svc/{RELEASE}-mlflow", 5000) as mlflow:
            yield Auditor(loop, kubeconfig, url, mlflow)
    finally:
        kubectl("delete", "clusterrolebinding", name)


def _kubeconfig(namespace: str, account: str) -> dict[str, Any]:
    words = ("--audience", AUDIENCE, "--audience", _audience(), "--duration", "30m")
    token = kubectl("-n", namespace, "create", "token", account, *words).strip()
    found: dict[str, Any] = json.loads(kubectl("config", "view", "--raw", "--minify", "--flatten", "-o", "json"))
    found["users"] = [{"name": found["users"][0]["name"], "user": {"token": token}}]
    return found


def _audience() -> str:
    """What tokens for the API server are for, where nobody said otherwise: their issuer."""
    return str(json.loads(kubectl("get", "--raw", "/.well-known/openid-configuration"))["issuer"])
