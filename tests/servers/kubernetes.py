"""A real Kubernetes API server with its etcd, and no nodes: what is created stays as it was written, nothing runs.

The programs come from the directory that KUBEBUILDER_ASSETS names (etcd, kube-apiserver, kubectl), as envtest has it.
There are no controllers: no garbage collection, no default service accounts, and a deleted namespace stays Terminating.
"""

from __future__ import annotations

import base64
import contextlib
import http.client
import ipaddress
import json
import os
import socket
import ssl
import subprocess
import time
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.x509.oid import NameOID

from serinus.adapters.kube import SERVICE_ACCOUNTS, Kind, Kube
from serinus.errors import Conflict
from tests.servers.prometheus import until

ADMIN = "admin"
USERS = {ADMIN: "system:masters", "alice": "", "bob": ""}
"""Who may log in, and in which group; all but the admin have only the rights that a test gives them."""


@dataclass
class ApiServer:
    """A running API server; `stop` ends it and its etcd, `start` brings both back on their ports and data."""

    folder: Path
    assets: Path
    ports: tuple[int, int, int] | None = None  # etcd's, its peers', the API server's
    processes: dict[str, subprocess.Popen[bytes]] = field(default_factory=dict)

    @property
    def url(self) -> str:
        assert self.ports is not None, "not started yet"
        return f"https://127.0.0.1:{self.ports[2]}"

    @property
    def kubeconfig(self) -> Path:
        """The admin's."""
        return self.kubeconfig_of(ADMIN)

    @property
    def kube(self) -> Kube:
        """The admin's client."""
        return self.user(ADMIN)

    def user(self, name: str, timeout: float = 10.0) -> Kube:
        """A client of one of USERS."""
        return self._client(_token(name), timeout=timeout)

    def kubeconfig_of(self, name: str) -> Path:
        """A kubeconfig of one of USERS, for what is started as a program."""
        return self._kubeconfig(name, _token(name))

    def service_account(self, namespace: str, name: str) -> Kube:
        """A client with a service account's token; makes the account when there is none."""
        return self._client(self._token_of(namespace, name))

    def kubeconfig_of_account(self, namespace: str, name: str) -> Path:
        """A kubeconfig with a service account's token; makes the account when there is none."""
        return self._kubeconfig(f"{namespace}.{name}", self._token_of(namespace, name))

    def impersonate(self, user: str, *groups: str) -> Kube:
        """A client whom the API server takes for any user, in any groups (one at most is sent)."""
        headers = {"Impersonate-User": user, **({"Impersonate-Group": groups[0]} if groups else {})}
        return self._client(_token(ADMIN), headers)

    def kubectl(self, *arguments: str, user: str = ADMIN, stdin: str = "") -> subprocess.CompletedProcess[str]:
        """What kubectl says and how it ends, as one of USERS."""
        return subprocess.run(
            [str(self.assets / "kubectl"), f"--kubeconfig={self.kubeconfig_of(user)}", *arguments],
            input=stdin,
            env={"HOME": str(self.folder), "PATH": ""},
            capture_output=True,
            text=True,
            timeout=60,
            check=False,
        )

    def namespace(self, name: str) -> str:
        """The namespace `name`, made when there is none."""
        with contextlib.suppress(Conflict):
            self.kube.create(
                Kind("v1", "namespaces", "Namespace", namespaced=False), None, {"metadata": {"name": name}}
            )
        return name

    def start(self) -> None:
        """Start both and wait until the API server is ready. Its first start lets the system choose the ports."""
        self.folder.mkdir(parents=True, exist_ok=True)
        if not (self.folder / "server.pem").exists():
            _certificates(self.folder)
            lines = (f'{_token(name)},{name},{name},"{group}"\n' for name, group in USERS.items())
            (self.folder / "tokens.csv").write_text("".join(lines))
        self.ports = self.ports or (_free_port(), _free_port(), _free_port())
        etcd, peers, port = self.ports
        self._run(
            "etcd", f"--data-dir={self.folder / 'etcd'}", "--unsafe-no-fsync", "--log-level=warn",
            f"--listen-client-urls=http://127.0.0.1:{etcd}", f"--advertise-client-urls=http://127.0.0.1:{etcd}",
            f"--listen-peer-urls=http://127.0.0.1:{peers}", f"--initial-advertise-peer-urls=http://127.0.0.1:{peers}",
            f"--initial-cluster=default=http://127.0.0.1:{peers}",
        )  # fmt: skip
        self._run(
            "kube-apiserver", f"--etcd-servers=http://127.0.0.1:{etcd}",
            "--bind-address=127.0.0.1", "--advertise-address=127.0.0.1", f"--secure-port={port}",
            f"--tls-cert-file={self.folder / 'server.pem'}", f"--tls-private-key-file={self.folder / 'server.key'}",
            f"--cert-dir={self.folder}", f"--token-auth-file={self.folder / 'tokens.csv'}", "--authorization-mode=RBAC",
            "--service-account-issuer=https://kubernetes.default.svc.cluster.local",
            f"--service-account-key-file={self.folder / 'server.key'}",
            f"--service-account-signing-key-file={self.folder / 'server.key'}",
            "--service-cluster-ip-range=10.0.0.0/24", "--profiling=false", "--shutdown-delay-duration=0s",
        )  # fmt: skip
        until(self._ready, "the API server is ready", 90)

    def stop(self, kill: bool = False) -> None:
        """End the API server, then its etcd; with SIGKILL when `kill`."""
        for name in ("kube-apiserver", "etcd"):
            process = self.processes.pop(name, None)
            if process is not None:
                (process.kill if kill else process.terminate)()
                try:
                    process.wait(20)
                except subprocess.TimeoutExpired:  # an API server waits for its watchers
                    process.kill()
                    process.wait(20)

    def _run(self, name: str, *arguments: str) -> None:
        with (self.folder / f"{name}.log").open("ab") as sink:
            self.processes[name] = subprocess.Popen(
                [str(self.assets / name), *arguments], stdout=sink, stderr=subprocess.STDOUT, cwd=self.folder
            )

    def _ready(self) -> bool:
        for name, process in self.processes.items():
            if process.poll() is not None:
                raise _Ended(f"{name} ended: {(self.folder / f'{name}.log').read_text()[-2000:]}")
        trust = ssl.create_default_context(cafile=str(self.folder / "server.pem"))
        assert self.ports is not None
        connection = http.client.HTTPSConnection("127.0.0.1", self.ports[2], timeout=5, context=trust)
        with contextlib.closing(connection), contextlib.suppress(OSError, http.client.HTTPException):
            connection.request("GET", "/readyz", headers={"Authorization": f"Bearer {_token(ADMIN)}"})
            if connection.getresponse().status == 200:
                return True
        time.sleep(0.05)
        return False

    def _token_of(self, namespace: str, name: str) -> str:
        with contextlib.suppress(Conflict):
            self.kube.create(SERVICE_ACCOUNTS, namespace, {"metadata": {"name": name}})
        request = Kind("v1", f"serviceaccounts/{name}/token", "TokenRequest")
        made = self.kube.create(request, namespace, {"apiVersion": "authentication.k8s.io/v1", "kind": "TokenRequest"})
        return str(made["status"]["token"])

    def _client(self, token: str, headers: Mapping[str, str] | None = None, timeout: float = 10.0) -> Kube:
        from kubernetes import client

        configuration = client.Configuration()
        configuration.host, configuration.ssl_ca_cert = self.url, str(self.folder / "server.pem")
        configuration.api_key, configuration.retries = {"authorization": f"Bearer {token}"}, False
        api = client.ApiClient(configuration)
        for name, value in (headers or {}).items():
            api.set_default_header(name, value)
        return Kube(api, timeout)

    def _kubeconfig(self, name: str, token: str) -> Path:
        cluster: dict[str, Any] = {
            "server": self.url,
            "certificate-authority-data": base64.b64encode((self.folder / "server.pem").read_bytes()).decode(),
        }
        document = {
            "apiVersion": "v1",
            "kind": "Config",
            "clusters": [{"name": "test", "cluster": cluster}],
            "users": [{"name": name, "user": {"token": token}}],
            "contexts": [{"name": "test", "context": {"cluster": "test", "user": name}}],
            "current-context": "test",
        }
        path = self.folder / f"kubeconfig-{name}"
        path.write_text(json.dumps(document))
        return path


class _Ended(AssertionError):
    """A program that should go on has ended."""


@contextlib.contextmanager
def api_server(folder: Path) -> Iterator[ApiServer]:
    """A ready API server that keeps its files in `folder` and ends with the block."""
    for attempt in range(3):
        server = ApiServer(folder / str(attempt), assets())
        try:
            server.start()
        except _Ended as error:
            # Somebody may have taken a port between our look and the program's bind: that alone is tried again.
            server.stop(kill=True)
            if "address already in use" not in str(error) or attempt == 2:
                raise
            continue
        except BaseException:
            server.stop(kill=True)
            raise
        try:
            yield server
        finally:
            server.stop()
        return


def assets() -> Path:
    """The directory of KUBEBUILDER_ASSETS. Fails the test when a program is not there."""
    wanted = "expected KUBEBUILDER_ASSETS to name a directory with etcd, kube-apiserver (1.30 or newer) and kubectl"
    given = os.environ.get("KUBEBUILDER_ASSETS", "")
    lacks = [name for name in ("etcd", "kube-apiserver", "kubectl") if not (Path(given) / name).is_file()]
    assert given, f"{wanted}; got nothing. `setup-envtest use -p path 1.34` of controller-runtime makes one"
    assert not lacks, f"{wanted}; {given} lacks {', '.join(lacks)}"
    return Path(given).resolve()


def _token(user: str) -> str:
    assert user in USERS, f"expected one of {', '.join(USERS)}, got {user!r}"
    return f"{user}-token"


def _free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])


def _certificates(folder: Path) -> None:
    """A certificate that is its own authority, and its key, which also signs service accounts' tokens."""
    key, name = ec.generate_private_key(ec.SECP256R1()), x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, "test")])
    now = datetime.now(UTC)
    made = (
        x509.CertificateBuilder()
        .issuer_name(name)
        .subject_name(name)
        .public_key(key.public_key())
        .serial_number(x509.random_serial_number())
        .not_valid_before(now - timedelta(hours=1))
        .not_valid_after(now + timedelta(days=2))
        .add_extension(x509.BasicConstraints(ca=True, path_length=None), critical=True)
        .add_extension(x509.SubjectAlternativeName([x509.IPAddress(ipaddress.ip_address("127.0.0.1"))]), critical=False)
        .sign(key, hashes.SHA256())
    )
    form, plain = serialization.PrivateFormat.TraditionalOpenSSL, serialization.NoEncryption()
    (folder / "server.key").write_bytes(key.private_bytes(serialization.Encoding.PEM, form, plain))
    (folder / "server.pem").write_bytes(made.public_bytes(serialization.Encoding.PEM))
