"""Kubeflow Pipelines' API (v2beta1) through the official client, as plain dicts, with errors in words of our own.

The generated APIs of `kfp.Client` are used rather than its methods: only they take a time-out. Their answers are read
as JSON rather than as the client's objects, because an HTML login page with status 200 makes objects full of None.
"""

from __future__ import annotations

import json
import tempfile
from collections.abc import Callable, Iterator, Mapping
from functools import lru_cache, partial
from pathlib import Path
from typing import Any  # the API's objects are JSON

from serinus.adapters import importing
from serinus.errors import Conflict, Fatal, Unavailable

Object = dict[str, Any]
TIMEOUT = (5, 20)  # seconds to connect, and to wait for an answer: whole ones, the client ignores a float
_SLOW = (5, 60)  # for what makes something: an upload is parsed, a run becomes a workflow
_PAGE = 200  # the largest that the server gives


class Missing(Fatal):
    """There is no such thing (404)."""


class Invalid(Fatal):
    """It makes no sense to the server (400): a wrong parameter, or a run that has ended already."""


class KfpClient:
    """One server of Kubeflow Pipelines; `connect` makes it.

    Raises, from every verb: Unavailable (away, slow, 5xx, 401, 429, no JSON), Conflict (409), Missing (404), Invalid
    (400), Fatal (whatever else the server refuses, in its words). Nothing is repeated here: whoever asks looks again.
    """

    def __init__(self, url: str, client: Any, namespace: str) -> None:
        self.url, self._client, self._namespace = url, client, namespace

    # --- runs ----------------------------------------------------------------------------------------------------

    def runs(self, *predicates: Object, experiment: str = "") -> list[Object]:
        """Every run for which all predicates hold, of one experiment or of the whole namespace; archived ones too."""
        within = {"experiment_id": experiment} if experiment else self._namespaced()
        return list(self._pages("runs", self._client.runs.run_service_list_runs, predicates, within))

    def run(self, run_id: str) -> Object:
        """One run, with its tasks."""
        return self._ask("asking for a run", lambda: self._client.runs.run_service_get_run(run_id, **_raw()))

    def create_run(self, run: Object) -> Object:
        """Make a run, whatever there is already."""
        from kfp_server_api.models import V2beta1Run

        body = V2beta1Run(**run)
        return self._ask("making a run", lambda: self._client.runs.run_service_create_run(body, **_raw(_SLOW)))

    def terminate(self, run_id: str) -> None:
        """Ask that the run be ended. Raises Invalid when it has ended already."""
        self._ask("ending a run", lambda: self._client.runs.run_service_terminate_run(run_id, **_raw()))

    def archive(self, run_id: str) -> None:
        """Put the run out of sight."""
        self._ask("archiving a run", lambda: self._client.runs.run_service_archive_run(run_id, **_raw()))

    # --- experiments ---------------------------------------------------------------------------------------------

    def experiment(self, name: str) -> str:
        """The id of the experiment of this name; "" when there is none."""
        asked = self._client.experiments.experiment_service_list_experiments
        found = self._pages("experiments", asked, [equals("display_name", name)], self._namespaced())
        return _named(found, name, "experiment_id")

    def create_experiment(self, name: str, description: str) -> str:
        """Make an experiment; its id. Raises Conflict when there is one of this name."""
        from kfp_server_api.models import V2beta1Experiment

        body = V2beta1Experiment(display_name=name, description=description, **self._namespaced())
        call = self._client.experiments.experiment_service_create_experiment
        return str(self._ask("making an experiment", lambda: call(body, **_raw(_SLOW)))["experiment_id"])

    # --- pipelines -----------------------------------------------------------------------------------------------

    def pipeline(self, name: str) -> str:
        """The id of the pipeline of this name; "" when there is none."""
        asked = self._client.pipelines.pipeline_service_list_pipelines
        found = self._pages("pipelines", asked, [equals("display_name", name)], self._namespaced())
        return _named(found, name, "pipeline_id")

    def version(self, pipeline: str, name: str) -> str:
        """The id of a pipeline's version of this name; "" when there is none."""
        listing = self._client.pipelines.pipeline_service_list_pipeline_versions

        def asked(**query: Any) -> Any:
            return listing(pipeline, **query)

        found = self._pages("pipeline_versions", asked, [equals("display_name", name)], {})
        return _named(found, name, "pipeline_version_id")

    def upload(self, text: str, name: str, description: str) -> None:
        """A new pipeline. Raises Conflict when there is one of this name."""
        call = self._client.pipeline_uploads.upload_pipeline
        about = {"name": name, "description": description, **self._namespaced()}
        self._upload(text, lambda path: call(path, **about, **_raw(_SLOW)))

    def upload_version(self, text: str, name: str, pipeline: str) -> None:
        """A new version of a pipeline. Raises Conflict when there is one of this name."""
        call = self._client.pipeline_uploads.upload_pipeline_version
        self._upload(text, lambda path: call(path, name=name, pipelineid=pipeline, **_raw(_SLOW)))

    # --- how -----------------------------------------------------------------------------------------------------

    def _namespaced(self) -> dict[str, str]:
        return {"namespace": self._namespace} if self._namespace else {}

    def _upload(self, text: str, call: Callable[[str], Any]) -> None:
        with tempfile.TemporaryDirectory() as folder:
            path = Path(folder) / "pipeline.yaml"
            path.write_text(text)
            self._ask("uploading the pipeline", lambda: call(str(path)))

    def _pages(
        self, key: str, asked: Callable[..., Any], predicates: Any, within: Mapping[str, str]
    ) -> Iterator[Object]:
        # A page's token is good for the same filter and experiment only.
        query = {**within, "page_size": _PAGE, "filter": json.dumps({"predicates": list(predicates)})}
        token = ""
        while True:
            page = {**query, "page_token": token} if token else query
            answer = self._ask(f"listing {key}", partial(asked, **page, **_raw()))
            yield from answer.get(key) or ()
            token = answer.get("next_page_token") or ""
            if not token:
                return

    def _ask(self, what: str, call: Callable[[], Any]) -> Object:
        import urllib3
        from kfp_server_api.exceptions import ApiException, OpenApiException

        try:
            response = call()
            text = response.data
        except ApiException as error:
            raise self._said(what, error) from error
        except OpenApiException as error:  # the client's own checks of what it is given
            raise Fatal(f"Kubeflow Pipelines' client refused {what}: {error}") from error
        except (urllib3.exceptions.HTTPError, OSError) as error:
            raise Unavailable(f"Kubeflow Pipelines at {self.url}: {what}: {error}") from error
        try:
            answer = json.loads(text or b"{}")
        except ValueError:
            answer = None
        if not isinstance(answer, dict):
            raise Unavailable(
                f"Kubeflow Pipelines at {self.url}: {what}: expected JSON, got {text[:60]!r}: a login page, or another "
                "server; check the URL, and on a multi-user installation the token"
            )
        return answer

    def _said(self, what: str, error: Any) -> Exception:
        """The server's own words, in the family that fits."""
        words = error.body or error.reason
        try:
            given = json.loads(error.body)
            words = given.get("error") or given.get("message") or given.get("error_message") or words
        except (TypeError, ValueError, AttributeError):
            pass
        if 300 <= error.status < 400:
            words = f"sent elsewhere ({(error.headers or {}).get('Location', 'nowhere')}): a login is in the way"
        text = f"Kubeflow Pipelines at {self.url}: {what}: {error.status}: {str(words)[:500]}"
        if error.status == 409:
            return Conflict(text)
        if error.status in (400, 404):
            return (Invalid if error.status == 400 else Missing)(text)
        # 401: the token is renewed by the kubelet; 3xx: somebody's login is in the way. Both pass without our help.
        if error.status in (0, 401, 408, 429) or error.status < 400 or error.status >= 500:
            return Unavailable(text)
        return Fatal(text)


@lru_cache(maxsize=16)
def connect(url: str, namespace: str = "", token_path: str = "") -> KfpClient:
    """The client of a server, one for all loops of a process. Asks nothing of the server yet.

    url: with its scheme (the client takes a host without one for https). namespace: the profile that runs belong to on
    a multi-user installation, "" on a standalone one. token_path: file of a projected service account token for the
    audience pipelines.kubeflow.org, "" for none; it is read anew for every request, since the kubelet replaces it.
    Raises Fatal when the URL has no scheme.
    """
    import warnings

    if not url.startswith(("http://", "https://")):
        raise Fatal(f"the URL of Kubeflow Pipelines: expected http://... or https://..., got {url!r}")
    with importing.LOCK:
        from kfp.client import Client, ServiceAccountTokenVolumeCredentials

    credentials = ServiceAccountTokenVolumeCredentials(token_path) if token_path else None
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", FutureWarning)  # that the server has to be 2.0 or newer
        # Without a namespace the client asks healthz, and waits 25 s when that says 5xx.
        client = Client(host=url.rstrip("/"), namespace=namespace or "default", credentials=credentials)
    # urllib3's own three retries would triple every outage, and follow redirects to login pages.
    client._run_api.api_client.rest_client.pool_manager.connection_pool_kw["retries"] = False
    return KfpClient(url, client, namespace)


def equals(key: str, value: str) -> Object:
    """A predicate. The server decodes filters twice and ignores case: keep to [A-Za-z0-9._-], and look again."""
    return {"operation": "EQUALS", "key": key, "stringValue": value}


def one_of(key: str, values: tuple[str, ...]) -> Object:
    """A predicate: any of the values."""
    return {"operation": "IN", "key": key, "stringValues": {"values": list(values)}}


def _named(found: Iterator[Object], name: str, key: str) -> str:
    """The id of what is called exactly so, else of what is when case is ignored, as the server's names are unique."""
    alike = list(found)
    exact = [each for each in alike if each.get("display_name") == name]
    return str((exact or alike)[0][key]) if alike else ""


def _raw(timeout: tuple[int, int] | None = None) -> dict[str, Any]:
    return {"_preload_content": False, "_request_timeout": timeout or TIMEOUT}
