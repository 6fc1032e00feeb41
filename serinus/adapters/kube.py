"""The Kubernetes API as plain dicts: get, list, create, apply, patch, delete, with errors in words of our own.

The official client does the talking (kubeconfig, in-cluster tokens and their rotation, exec plug-ins, TLS).
"""

from __future__ import annotations

import json
import os
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any  # Kubernetes objects are JSON

from serinus.errors import Conflict, Fatal, Forbidden, Unavailable
from serinus.render.names import GROUP, MANAGER, VERSION

Object = dict[str, Any]
TIMEOUT = 10.0  # seconds for one request
Answered = Callable[[str, int], None]
_OWN_NAMESPACE = Path("/var/run/secrets/kubernetes.io/serviceaccount/namespace")  # of a pod


@dataclass(frozen=True)
class Kind:
    """A kind of object, and where the API has it."""

    api: str  # apiVersion: "v1" or "group/version"
    plural: str
    kind: str
    namespaced: bool = True

    def path(self, namespace: str | None, name: str = "", subresource: str = "") -> str:
        """The URL's path; namespace None is every namespace."""
        parts = ["api" if "/" not in self.api else "apis", self.api]
        if self.namespaced and namespace is not None:
            parts += ["namespaces", namespace]
        return "/" + "/".join([*parts, self.plural, *filter(None, (name, subresource))])


MODEL_LOOPS = Kind(f"{GROUP}/{VERSION}", "modelloops", "ModelLoop")
LOOP_REQUESTS = Kind(f"{GROUP}/{VERSION}", "looprequests", "LoopRequest")
MODEL_APPROVALS = Kind(f"{GROUP}/{VERSION}", "modelapprovals", "ModelApproval")
INFERENCE_SERVICES = Kind("serving.kserve.io/v1beta1", "inferenceservices", "InferenceService")
SERVING_RUNTIMES = Kind("serving.kserve.io/v1alpha1", "servingruntimes", "ServingRuntime")
CLUSTER_SERVING_RUNTIMES = Kind(
    "serving.kserve.io/v1alpha1", "clusterservingruntimes", "ClusterServingRuntime", namespaced=False
)
REVISIONS = Kind("serving.knative.dev/v1", "revisions", "Revision")
HTTP_ROUTES = Kind("gateway.networking.k8s.io/v1", "httproutes", "HTTPRoute")
CRON_JOBS = Kind("batch/v1", "cronjobs", "CronJob")
JOBS = Kind("batch/v1", "jobs", "Job")
DEPLOYMENTS = Kind("apps/v1", "deployments", "Deployment")
PODS = Kind("v1", "pods", "Pod")
SERVICES = Kind("v1", "services", "Service")
ENDPOINT_SLICES = Kind("discovery.k8s.io/v1", "endpointslices", "EndpointSlice")
SECRETS = Kind("v1", "secrets", "Secret")
CONFIG_MAPS = Kind("v1", "configmaps", "ConfigMap")
SERVICE_ACCOUNTS = Kind("v1", "serviceaccounts", "ServiceAccount")
ROLES = Kind("rbac.authorization.k8s.io/v1", "roles", "Role")
ROLE_BINDINGS = Kind("rbac.authorization.k8s.io/v1", "rolebindings", "RoleBinding")
LEASES = Kind("coordination.k8s.io/v1", "leases", "Lease")
EVENTS = Kind("v1", "events", "Event")
HPAS = Kind("autoscaling/v2", "horizontalpodautoscalers", "HorizontalPodAutoscaler")
SELF_SUBJECT_REVIEWS = Kind("authentication.k8s.io/v1", "selfsubjectreviews", "SelfSubjectReview", namespaced=False)


class Kube:
    """One API server. `timeout` (seconds) bounds every request.

    Raises, from every verb: Unavailable (away, slow, 429, 5xx), Conflict (409: exists already, or was changed by
    somebody else), Forbidden (403), Fatal (whatever else the server refuses, in its words). A 404 is None or nothing
    to delete, and Fatal where something was to be changed.
    """

    def __init__(self, client: Any, timeout: float = TIMEOUT, answered: Answered | None = None) -> None:
        self._client, self._timeout, self._answered = client, timeout, answered

    @classmethod
    def connect(cls, context: str | None = None, timeout: float = TIMEOUT, answered: Answered | None = None) -> Kube:
        """By the pod's service account inside a cluster, else by KUBECONFIG. Raises Fatal when there is neither.

        answered: told of every request's verb and status code (0: no answer), for metrics; from any thread.
        """
        from kubernetes import client, config

        configuration = client.Configuration()
        configuration.retries = False  # who asks, asks again; urllib3's own would triple every outage
        try:
            if _inside(context):
                config.load_incluster_config(client_configuration=configuration)
            else:
                config.load_kube_config(_kubeconfig(), context, client_configuration=configuration)
        except config.ConfigException as error:
            raise Fatal(f"no Kubernetes to talk to: {error}; set KUBECONFIG, or run inside a cluster") from error
        return cls(client.ApiClient(configuration), timeout, answered)

    def token(self) -> str:
        """The bearer token that the API server knows us by; "" where it knows us in another way."""
        found = self._client.configuration.get_api_key_with_prefix("authorization")
        return str(found or "").removeprefix("Bearer ").strip()

    def get(self, kind: Kind, namespace: str | None, name: str) -> Object | None:
        """The object, or None when there is none."""
        return self._ask("GET", kind.path(namespace, name), missing=True)

    def list(
        self, kind: Kind, namespace: str | None, labels: Mapping[str, str] | None = None, name: str = ""
    ) -> tuple[Object, ...]:
        """Every object with these labels, and this name where one is given, in one namespace or (None) in all."""
        query = {"labelSelector": ",".join(f"{k}={v}" for k, v in labels.items())} if labels else {}
        if name:
            query["fieldSelector"] = f"metadata.name={name}"
        answer = self._ask("GET", kind.path(namespace), query)
        about = {"apiVersion": kind.api, "kind": kind.kind}
        return tuple({**about, **item} for item in (answer or {}).get("items") or ())

    def create(self, kind: Kind, namespace: str | None, body: Object) -> Object:
        """Make it. Raises Conflict when one of its name is there."""
        return self._ask("POST", kind.path(namespace), body=body) or {}

    def apply(self, kind: Kind, namespace: str | None, body: Object, manager: str = MANAGER) -> Object:
        """Server-side apply: the fields of `body` are ours, whoever had them before; others stay."""
        path = kind.path(namespace, body["metadata"]["name"])
        query = {"fieldManager": manager, "force": "true", "fieldValidation": "Strict"}
        return self._ask("PATCH", path, query, body, "application/apply-patch+yaml") or {}

    def patch(self, kind: Kind, namespace: str | None, name: str, body: Object, subresource: str = "") -> Object:
        """JSON merge patch (null removes a key). With metadata.resourceVersion: that state only, else Conflict."""
        path = kind.path(namespace, name, subresource)
        return self._ask("PATCH", path, body=body, content="application/merge-patch+json") or {}

    def delete(self, kind: Kind, namespace: str | None, name: str, propagation: str = "Background") -> None:
        """Remove it and what it owns. Nothing there: nothing to do."""
        self._ask("DELETE", kind.path(namespace, name), {"propagationPolicy": propagation}, missing=True)

    def _ask(
        self,
        verb: str,
        path: str,
        query: Mapping[str, str] | None = None,
        body: Object | None = None,
        content: str = "application/json",
        *,
        missing: bool = False,
    ) -> Object | None:
        import urllib3
        from kubernetes.client.exceptions import ApiException

        try:
            response = self._client.call_api(
                path,
                verb,
                query_params=list((query or {}).items()),
                header_params={"Accept": "application/json", "Content-Type": content},
                body=body,
                auth_settings=["BearerToken"],
                _preload_content=False,
                _return_http_data_only=True,
                _request_timeout=(self._timeout, self._timeout),
            )
            self._tell(verb, response.status)
            answer: Object = json.loads(response.data)
            return answer
        except ApiException as error:
            self._tell(verb, error.status or 0)
            if error.status == 404 and missing:
                return None
            raise _said(f"{verb} {path}", error) from error
        except (urllib3.exceptions.HTTPError, OSError, ValueError) as error:
            self._tell(verb, 0)
            raise Unavailable(f"the Kubernetes API cannot be asked: {verb} {path}: {error}") from error

    def _tell(self, verb: str, code: int) -> None:
        if self._answered is not None:
            self._answered(verb, code)


def home(context: str | None = None) -> str:
    """The namespace to work in when nobody names one: the kubeconfig context's, or the pod's own."""
    from kubernetes import config

    if _inside(context):
        return _OWN_NAMESPACE.read_text().strip()
    try:
        contexts, current = config.list_kube_config_contexts(_kubeconfig())
    except config.ConfigException as error:
        raise Fatal(f"no Kubernetes to talk to: {error}; set KUBECONFIG, or run inside a cluster") from error
    chosen = next((each for each in contexts if each["name"] == context), current)
    return chosen["context"].get("namespace") or "default"


def _inside(context: str | None) -> bool:
    """Whether we are in a pod and nobody says to look elsewhere."""
    return context is None and not os.environ.get("KUBECONFIG") and _OWN_NAMESPACE.exists()


def _kubeconfig() -> str:
    """The file or files (the client reads the variable once, when it is imported)."""
    return os.environ.get("KUBECONFIG") or str(Path.home() / ".kube" / "config")


def _said(what: str, error: Any) -> Exception:
    """The server's own words, in the family that fits."""
    try:
        message = json.loads(error.body)["message"]
    except (TypeError, ValueError, KeyError):
        message = error.reason
    text = f"Kubernetes refused {what}: {error.status}: {message}"
    if error.status == 409:
        return Conflict(text)
    if error.status == 403:
        return Forbidden(text)
    if error.status == 500 and "failed to create typed patch object" in message:  # what is applied is not of the kind
        return Fatal(text)
    if error.status in (0, 408, 429) or error.status >= 500:
        return Unavailable(text)
    return Fatal(text)
