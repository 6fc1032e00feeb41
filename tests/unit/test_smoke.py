"""The smoke test of an installation: what fails is asked again for as long as there is patience, and is named."""

from __future__ import annotations

import http.server
import json
import threading
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field, replace
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any, cast

import pytest

from serinus.adapters.kube import Kube, Object
from serinus.errors import Fatal, SerinusError, Unavailable
from serinus.ports import ModelStore
from services.driver import Ports
from services.platform import Platform
from services.smoke import checks
from services.smoke.__main__ import insist, main
from services.smoke.checks import Check, Installation
from tests import made_up_models

NOW = datetime(2026, 3, 1, 12, tzinfo=UTC)
PLATFORM = Platform("http://mlflow:5000", "http://prometheus:9090", "http://kfp:8888", pod_namespace="home")
LOOP: Object = {"metadata": {"name": "any", "namespace": "team"}, "status": {"champion": 3}}


@dataclass
class Clock:
    """Time that passes when one sleeps."""

    now: float = 0.0

    def __call__(self) -> float:
        return self.now

    def sleep(self, seconds: float) -> None:
        self.now += seconds


@dataclass
class Objects:
    """An API server with at most one lease, and some loops; `asked` are the questions."""

    lease: Object | None = None
    loops: tuple[Object, ...] = ()
    asked: list[Any] = field(default_factory=list)

    def get(self, _kind: Any, *where: str) -> Object | None:
        self.asked.append(where)
        return self.lease

    def list(self, _kind: Any, namespace: str | None) -> tuple[Object, ...]:
        self.asked.append(namespace)
        return self.loops


@dataclass
class Store:
    """Models; every version is the made-up one."""

    fetched: list[tuple[str, int]] = field(default_factory=list)

    def fetch(self, loop: str, version: int, into: Path) -> Path:
        self.fetched.append((loop, version))
        return made_up_models.model_dir(into)


def test_what_holds_is_said_once_and_what_fails_is_asked_until_it_holds(capsys: pytest.CaptureFixture[str]) -> None:
    clock, answers = Clock(), iter([Unavailable("not yet"), Unavailable("not yet"), None])
    asked = {"quick": 0}

    def slow() -> str:
        if error := next(answers):
            raise error
        return "there"

    def quick() -> str:
        asked["quick"] += 1
        return "here"

    assert insist(lambda: {"quick": quick, "slow": slow}, 60, clock, clock.sleep)
    assert capsys.readouterr().out.splitlines() == ["ok      quick: here", "ok      slow: there"]
    assert (asked["quick"], clock.now) == (1, 4.0)


def test_what_never_holds_is_named_once_the_patience_is_at_its_end(capsys: pytest.CaptureFixture[str]) -> None:
    clock = Clock()
    assert not insist(lambda: {"MLflow": _failing("connection refused")}, 10, clock, clock.sleep)
    assert capsys.readouterr().out.splitlines() == ["failed  MLflow: connection refused"]
    assert clock.now == 10


def test_a_check_that_is_asked_anew_sees_what_has_changed() -> None:
    clock = Clock()

    def fresh() -> Mapping[str, Check]:
        return {"operator": _failing("nobody") if clock.now < 5 else lambda: "somebody drives"}

    assert insist(fresh, 60, clock, clock.sleep)


@pytest.mark.parametrize(
    ("lease", "said"),
    [
        (None, "expected an operator to hold the lease home/serinus-operator, nobody does"),
        ({"spec": {"holderIdentity": ""}}, "nobody does"),
        ({"spec": {"holderIdentity": "one", "renewTime": "2026-03-01T11:58:00.000000Z"}}, "one held .* last 120 s ago"),
    ],
    ids=["no lease", "given up", "not renewed"],
)  # fmt: skip
def test_an_installation_that_nobody_drives_fails(lease: Object | None, said: str, tmp_path: Path) -> None:
    with pytest.raises(Unavailable, match=said):
        _parts(Objects(lease), tmp_path)["operator"]()


def test_an_operator_that_renews_its_lease_drives(tmp_path: Path) -> None:
    kube = Objects({"spec": {"holderIdentity": "one", "renewTime": "2026-03-01T11:59:55.000000Z"}})
    assert _parts(kube, tmp_path)["operator"]() == "one drives"
    assert kube.asked == [("home", "serinus-operator")]


def test_only_loops_that_serve_are_asked_unless_one_is_named(tmp_path: Path) -> None:
    waiting = {"metadata": {"name": "new", "namespace": "team"}}
    installed = _installed(Objects(loops=(LOOP, waiting)), tmp_path)
    assert [name for name, _ in checks.of_loops(installed, "")] == ["loop team/any"]
    ((name, check),) = checks.of_loops(installed, "team/new")
    assert name == "loop team/new"
    with pytest.raises(Unavailable, match="expected a champion that serves, got none yet"):
        check()
    assert list(checks.of_loops(installed, "team/unknown")) == []


def test_an_operator_for_one_namespace_is_asked_about_its_own_loops(tmp_path: Path) -> None:
    kube = Objects()
    platform = Platform("http://mlflow", "http://prometheus", "http://kfp", watch_namespace="team")
    checks.loops(Installation(platform, cast(Kube, kube), cast(Ports, None), cast(ModelStore, None), tmp_path))
    checks.loops(_installed(kube, tmp_path))
    assert kube.asked == ["team", None]


def test_a_loop_that_answers_as_its_model_did_is_well(tmp_path: Path) -> None:
    with _gateway({"predictions": [{"label": "1", "score": 0.5}], "model_version": "3"}) as (url, seen):
        assert checks.predict(_installed(Objects(), tmp_path, url), LOOP) == (
            "version 3 answers its 1 examples as when it was made"
        )
    assert seen == [("/v1/models/any:predict", "any.team.models.local", {"instances": [{"temp": 1.0}]})]


def test_a_loop_that_answers_otherwise_than_its_model_did_fails(tmp_path: Path) -> None:
    answer = {"predictions": [{"label": "1", "score": 0.6}], "model_version": "3"}
    refused = pytest.raises(Fatal, match=r"version 3: expected 0\.5 for its own example, got 0\.6")
    with _gateway(answer) as (url, _), refused:
        checks.predict(_installed(Objects(), tmp_path, url), LOOP)


def test_a_canary_that_answers_instead_is_not_held_to_the_champions_scores(tmp_path: Path) -> None:
    with _gateway({"predictions": [{"label": "1", "score": 0.6}], "model_version": "4"}) as (url, _):
        said = checks.predict(_installed(Objects(), tmp_path, url), LOOP)
    assert said == "version 4 answers, beside champion 3"


def test_a_loop_whose_gateway_refuses_fails_with_what_it_said(tmp_path: Path) -> None:
    refused = pytest.raises(Unavailable, match=r"expected 200, got 503: .*no healthy upstream")
    with _gateway({"error": "no healthy upstream"}, 503) as (url, _), refused:
        checks.predict(_installed(Objects(), tmp_path, url), LOOP)
    with pytest.raises(Unavailable, match=r"did not answer: .*; test\.gatewayUrl says where the gateway is"):
        checks.predict(_installed(Objects(), tmp_path / "again", url), LOOP)


def test_an_answer_for_fewer_rows_than_were_sent_fails(tmp_path: Path) -> None:
    refused = pytest.raises(Fatal, match="expected 1 predictions, got 0")
    with _gateway({"predictions": [], "model_version": "3"}) as (url, _), refused:
        checks.predict(_installed(Objects(), tmp_path, url), LOOP)


@pytest.mark.parametrize(
    ("status", "said"), [(200, "takes predictions and labels"), (503, "expected 200, got 503: .*the database is away")]
)
def test_a_collector_is_asked_whether_it_is_ready_where_there_is_one(tmp_path: Path, status: int, said: str) -> None:
    assert not any("collector" in name for name in _parts(Objects(), tmp_path))
    with _gateway("the database is away", status) as (url, _):
        (check,) = (c for name, c in _parts(Objects(), tmp_path, url).items() if name == f"collector at {url}")
        if status == 200:
            assert check() == said
        else:
            with pytest.raises(Unavailable, match=said):
                check()
    with pytest.raises(Unavailable, match="no answer"):
        check()


def test_a_surrounding_that_is_not_there_is_named(
    capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.delenv("SERINUS_MLFLOW_URL", raising=False)
    assert main([]) == 1
    assert "expected SERINUS_MLFLOW_URL in the environment" in capsys.readouterr().err


def test_silence_is_longer_than_a_lease_lasts() -> None:
    from services.operator import election

    assert timedelta(seconds=election.DURATION + election.RENEW) < checks.SILENT


def _failing(why: str) -> Callable[[], str]:
    def check() -> str:
        raise SerinusError(why)

    return check


def _installed(kube: Objects, folder: Path, gateway: str = "") -> Installation:
    return Installation(PLATFORM, cast(Kube, kube), cast(Ports, None), cast(ModelStore, Store()), folder, gateway)


def _parts(kube: Objects, folder: Path, collector: str = "") -> Mapping[str, Check]:
    installed = _installed(kube, folder)
    return checks.of_parts(replace(installed, platform=replace(PLATFORM, collector_url=collector)), NOW)


@contextmanager
def _gateway(answer: Any, status: int = 200) -> Iterator[tuple[str, list[tuple[str, str | None, Any]]]]:
    """A server that answers every GET and POST so: its URL, and what it was sent by POST."""
    seen: list[tuple[str, str | None, Any]] = []

    class Handler(http.server.BaseHTTPRequestHandler):
        def do_POST(self) -> None:
            body = json.loads(self.rfile.read(int(self.headers["content-length"])))
            seen.append((self.path, self.headers["host"], body))
            self.do_GET()

        def do_GET(self) -> None:
            said = json.dumps(answer).encode()
            self.send_response(status)
            self.send_header("content-length", str(len(said)))
            self.end_headers()
            self.wfile.write(said)

        def log_message(self, format: str, *args: object) -> None:
            pass

    server = http.server.ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    thread = threading.Thread(target=server.serve_forever, args=(0.05,))
    thread.start()
    try:
        yield f"http://127.0.0.1:{server.server_port}", seen
    finally:
        server.shutdown()
        server.server_close()
        thread.join()
