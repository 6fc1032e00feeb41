"""Who may give predictions and labels to the collector of a cluster: a real API server says it."""

from __future__ import annotations

import contextlib
from collections.abc import Callable, Iterator
from datetime import UTC, datetime, timedelta
from itertools import count
from pathlib import Path

import httpx
import pytest

from serinus import wire
from serinus.adapters.collector_api import CollectorClient
from serinus.adapters.kube import MODEL_LOOPS, ROLE_BINDINGS, SERVICE_ACCOUNTS
from serinus.errors import Fatal, Forbidden, Unavailable
from serinus.facts import Deed, Label, Prediction, RowsQuestion, Taken, TallyQuestion, Window
from services.collector import retention
from services.collector.auth import FOR_NO, FOR_YES, Cluster, Denied, Right
from tests.servers import kube_ledgers
from tests.servers.collector import Collector, collector
from tests.servers.collector_rights import collectors, may, rights, token
from tests.servers.kubernetes import ApiServer, api_server
from tests.servers.prometheus import until

NOW = datetime.now(UTC)
TEAM, OTHER, HOME = "team", "others", "serinus"
WINDOW = Window(NOW - timedelta(days=1), NOW + timedelta(days=1))
ROUTES: dict[str, Callable[[CollectorClient], object]] = {
    "predictions": lambda c: c.add("a", [Prediction("p", 1, NOW, {}, 0.5, "no")]),
    "labels": lambda c: c.label("a", [Label("no", NOW, id="p")]),
    "tally": lambda c: c.tally("a", TallyQuestion(WINDOW.start, WINDOW.end, 3600)),
    "rows": lambda c: c.rows("a", RowsQuestion(WINDOW)),
    "find": lambda c: c.find("a", ["p"]),
    "erase": lambda c: c.erase("a", ["nobody"]),
    "expire": lambda c: c.expire("a", NOW - timedelta(days=400)),
    "append": lambda c: c.append([Deed("d", "a", NOW, "Promoted", "ann", "said")]),
    "entries": lambda c: c.entries(),
}
RIGHTS = {
    ("predictions", "create"): {"predictions"},
    ("labels", "create"): {"labels"},
    ("records", "get"): {"tally", "rows", "find"},
    ("records", "delete"): {"erase", "expire"},
    ("audit", "create"): {"append"},
    ("audit", "get"): {"entries"},
}
_numbers = count()


@pytest.fixture(scope="module", autouse=True)
def _installed(server: ApiServer) -> None:
    kube_ledgers.install(server)
    for namespace in (TEAM, OTHER, HOME):
        server.namespace(namespace)
    collectors(server, HOME, "collector")


@pytest.fixture(scope="module")
def running(server: ApiServer, tmp_path_factory: pytest.TempPathFactory, _installed: None) -> Iterator[Collector]:
    """A collector for all namespaces."""
    with _collector(server, tmp_path_factory.mktemp("collector")) as started:
        yield started


@contextlib.contextmanager
def _collector(server: ApiServer, folder: Path, *arguments: str) -> Iterator[Collector]:
    environment = {"KUBECONFIG": str(server.kubeconfig_of_account(HOME, "collector"))}
    url = f"sqlite:///{folder}/records.db"
    with collector(folder, url, "--auth", "kubernetes", *arguments, environment=environment) as started:
        yield started


def _client(running: Collector, folder: Path, shown: str, namespace: str = TEAM) -> CollectorClient:
    file = folder / f"token-{next(_numbers)}"
    file.write_text(f"{shown}\n")
    return CollectorClient(running.url, namespace, str(file), by="somebody else")


@pytest.mark.parametrize("right", RIGHTS, ids="/".join)
def test_each_right_opens_its_own_doors_and_no_other(
    server: ApiServer, running: Collector, tmp_path: Path, right: tuple[str, str]
) -> None:
    subresource, verb = right
    account = f"may-{subresource}-{verb}"
    rights(server, TEAM, account, {f"modelloops/{subresource}": verb}, everywhere=True)
    client = _client(running, tmp_path, token(server, TEAM, account))
    opened, refusals = set(), list[str]()
    for name, ask in ROUTES.items():
        try:
            ask(client)
        except Forbidden as refusal:
            refusals.append(str(refusal))
        else:
            opened.add(name)
    assert opened == RIGHTS[right]
    assert all("403" in refusal and f"{account} may not" in refusal for refusal in refusals)


def test_a_right_in_one_namespace_for_one_loop_is_for_that_loop_only(
    server: ApiServer, running: Collector, tmp_path: Path
) -> None:
    rights(server, TEAM, "of-a", {"modelloops/predictions": "create"}, loop="a")
    shown = token(server, TEAM, "of-a")
    rows = [Prediction("q", 1, NOW, {}, 0.5, "no")]
    assert _client(running, tmp_path, shown).add("a", rows) == Taken({"new": 1})
    with pytest.raises(Forbidden, match="'b' in namespace team"):
        _client(running, tmp_path, shown).add("b", rows)
    with pytest.raises(Forbidden, match="'a' in namespace others"):
        _client(running, tmp_path, shown, OTHER).add("a", rows)


def test_an_account_without_rights_gives_nothing(server: ApiServer, running: Collector, tmp_path: Path) -> None:
    client = _client(running, tmp_path, token(server, TEAM, "nobody"))
    for ask in ROUTES.values():
        with pytest.raises(Forbidden, match="403: system:serviceaccount:team:nobody may not"):
            ask(client)
    answer = httpx.post(
        f"{running.url}/events", content=b"{}",
        headers={"authorization": f"Bearer {token(server, TEAM, 'nobody')}", "ce-type": "x", "ce-namespace": TEAM,
                 "ce-inferenceservicename": "a-v1"},
    )  # fmt: skip
    assert (answer.status_code, "modelloops.serinus.dev/predictions 'a' in" in answer.text) == (403, True)


def test_who_shows_no_token_of_ours_is_not_known(server: ApiServer, running: Collector) -> None:
    of_the_api_server = token(server, TEAM, "somebody", "https://kubernetes.default.svc.cluster.local")
    wrong = ("", "Basic YTpi", "Bearer", "Bearer nonsense", "Bearer admin-token", f"Bearer {of_the_api_server}")
    for authorization in wrong:
        answer = httpx.post(
            f"{running.url}/loops/team/a/labels", json={"labels": []}, headers={"authorization": authorization}
        )
        assert (answer.status_code, answer.headers.get("www-authenticate")) == (401, "Bearer"), authorization
        assert "nonsense" not in answer.text
    assert "nonsense" not in running.log


def test_probes_and_metrics_need_no_token(running: Collector) -> None:
    assert {httpx.get(f"{running.url}/{path}").status_code for path in ("healthz", "readyz", "metrics")} == {200}


def test_the_audit_trail_says_whom_the_api_server_knows_not_who_the_caller_says_it_is(
    server: ApiServer, running: Collector, tmp_path: Path
) -> None:
    needed = {"modelloops/records": "delete", "modelloops/predictions": "create", "modelloops/audit": "get"}
    user = rights(server, TEAM, "eraser", needed, everywhere=True)
    client = _client(running, tmp_path, token(server, TEAM, "eraser"))
    client.add("e", [Prediction("p", 1, NOW, {}, 0.5, "no")])
    assert client.erase("e", ["p"]) == 1
    (deed,) = [entry.deed for entry in client.entries() if entry.deed.loop == "e"]
    assert (deed.kind, deed.by, deed.namespace) == ("Erased", user, TEAM)


def test_who_may_tell_of_one_namespaces_loops_may_tell_of_no_others(
    server: ApiServer, running: Collector, tmp_path: Path
) -> None:
    rights(server, TEAM, "operator", {"modelloops/audit": "create"})
    client = _client(running, tmp_path, token(server, TEAM, "operator"))

    def tell(*namespaces: str) -> int:
        return client.append([Deed(f"d-{n}", "a", NOW, "Promoted", "ann", "", namespace=n) for n in namespaces])

    assert [tell(TEAM), tell(TEAM)] == [1, 0]
    for others in ((OTHER,), (TEAM, OTHER), ("",)):
        with pytest.raises(Forbidden, match=r"may not create modelloops\.serinus\.dev/audit"):
            tell(*others)
    body = wire.dump({"deeds": [Deed("d", "a", NOW, "Promoted", "ann", "", namespace=OTHER)]})
    headers = {"authorization": f"Bearer {token(server, TEAM, 'operator')}", "content-type": "application/json"}
    answers = {
        named: httpx.post(f"{running.url}/audit?namespace={named}", content=body, headers=headers)
        for named in (TEAM, "", "No-Name", f"{TEAM}&namespace={OTHER}")
    }
    assert {named: answer.status_code for named, answer in answers.items()} == dict.fromkeys(answers, 400)
    assert "expected deeds of namespace team alone, got some of 'others'" in answers[TEAM].json()["error"]


def test_of_one_namespaces_installation_the_audit_trail_is_that_namespaces(server: ApiServer, tmp_path: Path) -> None:
    rights(server, TEAM, "auditor", {"modelloops/audit": "get"})
    with _collector(server, tmp_path, "--watch-namespace", TEAM) as started:
        assert _client(started, tmp_path, token(server, TEAM, "auditor")).entries() == ()


def test_payload_loggers_of_namespaces_that_are_named_need_no_token(server: ApiServer, tmp_path: Path) -> None:
    with _collector(server, tmp_path, "--events-of", TEAM) as started:

        def tell(namespace: str, headers: dict[str, str] | None = None) -> int:
            event = {"ce-id": "i", "ce-type": "org.kubeflow.serving.inference.request", "ce-namespace": namespace}
            return httpx.post(
                f"{started.url}/events",
                content=b"{}",
                headers={**event, "ce-inferenceservicename": "a-v1", **(headers or {})},
            ).status_code

        assert (tell(TEAM), tell(OTHER), tell("")) == (200, 401, 401)
        assert tell(TEAM, {"content-type": "application/cloudevents-batch+json"}) == 401
        rights(server, OTHER, "logger", {"modelloops/predictions": "create"}, loop="a")
        assert tell(OTHER, {"authorization": f"Bearer {token(server, OTHER, 'logger')}"}) == 200


def test_a_token_that_the_kubelet_replaced_is_read_anew(server: ApiServer, running: Collector, tmp_path: Path) -> None:
    rights(server, TEAM, "renewed", {"modelloops/labels": "create"})
    client, file = CollectorClient(running.url, TEAM, str(tmp_path / "token")), tmp_path / "token"
    with pytest.raises(Unavailable, match="expected the token"):
        client.label("a", [Label("no", NOW, id="x")])
    file.write_text("old")
    with pytest.raises(Forbidden, match="401"):
        client.label("a", [Label("no", NOW, id="x")])
    file.write_text(token(server, TEAM, "renewed"))
    assert client.label("a", [Label("no", NOW, id="x")]) == Taken({"waiting": 1})


def test_what_the_api_server_said_holds_for_a_minute_at_most(server: ApiServer) -> None:
    now = [0.0]
    guard = Cluster(server.service_account(HOME, "collector"), lambda: now[0])
    right = Right("labels", "create", TEAM, "a")
    header = f"Bearer {token(server, TEAM, 'leaver')}"
    with pytest.raises(Denied):
        guard.admit(header, right)
    user = rights(server, TEAM, "leaver", {"modelloops/labels": "create"})
    with pytest.raises(Denied):
        guard.admit(header, right)
    now[0] += FOR_NO + 1
    assert guard.admit(header, right) == user
    for binding in server.kube.list(ROLE_BINDINGS, TEAM):
        if binding["metadata"]["name"].startswith(f"{TEAM}-leaver"):
            server.kube.delete(ROLE_BINDINGS, TEAM, binding["metadata"]["name"])
    until(lambda: not may(server, user, TEAM, "modelloops/labels", "create"), "the right is gone")
    assert guard.admit(header, right) == user
    now[0] += FOR_YES
    with pytest.raises(Denied, match=r"leaver may not create modelloops.serinus.dev/labels 'a' in namespace team"):
        guard.admit(header, right)


def test_a_deleted_account_s_token_is_of_no_use_after_a_minute(server: ApiServer) -> None:
    now = [0.0]
    guard = Cluster(server.service_account(HOME, "collector"), lambda: now[0])
    right = Right("labels", "create", TEAM, "a")
    user = rights(server, TEAM, "gone", {"modelloops/labels": "create"})
    header = f"Bearer {token(server, TEAM, 'gone')}"
    assert guard.admit(header, right) == user
    server.kube.delete(SERVICE_ACCOUNTS, TEAM, "gone")
    now[0] += FOR_YES
    until(lambda: _refused(guard, header, right, now), "its token is refused")


def _refused(guard: Cluster, header: str, right: Right, now: list[float]) -> bool:
    try:
        guard.admit(header, right)
    except Denied as denied:
        return denied.status == 401
    now[0] += FOR_YES  # the API server itself remembers tokens for seconds
    return False


def test_without_the_api_server_nobody_is_let_in_who_was_not_just_before(tmp_path: Path) -> None:
    with api_server(tmp_path / "kubernetes") as own:
        kube_ledgers.install(own)
        for namespace in (TEAM, HOME):
            own.namespace(namespace)
        collectors(own, HOME, "collector")
        rights(own, TEAM, "known", {"modelloops/labels": "create"})
        rights(own, TEAM, "unknown", {"modelloops/labels": "create"})
        known, unknown = (token(own, TEAM, name) for name in ("known", "unknown"))
        with _collector(own, tmp_path / "collector") as started:
            clients = [_client(started, tmp_path, shown) for shown in (known, unknown)]
            labels = [Label("no", NOW, id="x")]
            assert clients[0].label("a", labels) == Taken({"waiting": 1})
            own.stop(kill=True)
            assert clients[0].label("a", labels) == Taken({"same": 1})
            with pytest.raises(Unavailable, match="503: the Kubernetes API cannot be asked"):
                clients[1].label("a", labels)


def test_rows_are_kept_as_long_as_their_loop_says(server: ApiServer) -> None:
    length = retention.of_model_loops(server.service_account(HOME, "collector"), timedelta(days=90))
    assert length(TEAM, "unheard-of") == timedelta(days=90)
    # What a loop does not say, the CRD says for it: 90 days.
    for name, collect, expected in (("silent", {}, 90), ("brief", {"retention": "7d"}, 7), ("none", None, 90)):
        loop = kube_ledgers.model_loop(name)
        spec = {**loop["spec"], **({"collect": collect} if collect is not None else {})}
        server.kube.create(MODEL_LOOPS, TEAM, {**loop, "spec": spec})
        assert length(TEAM, name) == timedelta(days=expected)
    stranger = retention.of_model_loops(server.service_account(OTHER, "nobody"), timedelta(days=90))
    with pytest.raises(Fatal, match="403"):
        stranger(TEAM, "silent")
