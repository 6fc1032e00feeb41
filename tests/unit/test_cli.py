"""The words of the command line that need no real loop: how they end, and those that need no loop at all."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

from serinus import loading
from serinus.facts import Status
from services.cli import up as up_word
from tests.unit.cli_state import CANARY, EVENTS, EXAMPLE, LOOP, PORTS, SERVING, serinus, state_of, strict, up

WORDS = [
    ("status",), ("history",), ("run",), ("approve", "4"), ("reject", "4"), ("rollback",),
]  # fmt: skip


# --- how words end ---------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("words", [*WORDS, ("predict", "[{}]")])
def test_a_folder_without_a_loop_is_a_reason_and_1(words: tuple[str, ...], tmp_path: Path) -> None:
    said = serinus(*words, "--state", tmp_path / "none")
    assert (said.exit_code, said.stdout) == (1, "")
    assert "start one with `serinus up FILE`, or name its folder with --state" in said.stderr
    assert not (tmp_path / "none").exists()


@pytest.mark.parametrize("words", [*WORDS[2:], ("predict", "[{}]")])
def test_a_loop_that_is_down_cannot_be_asked(words: tuple[str, ...], tmp_path: Path) -> None:
    state = state_of(tmp_path, SERVING)
    said = serinus(*words, "--state", state)
    assert (said.exit_code, said.stdout) == (1, "")
    assert f"no loop is up in {state}" in said.stderr


@pytest.mark.parametrize(
    "words", [("up", "FILE"), ("up", "FILE", "-d"), ("render", "FILE"), ("drift", "check", "FILE")]
)
def test_a_wrong_file_is_every_mistake_and_2(words: tuple[str, ...], tmp_path: Path) -> None:
    file = tmp_path / "loop.yaml"
    text = EXAMPLE.read_text().replace("label: late", "lable: late").replace("minRows: 1000", "minRows: '[red]x[/red]'")
    file.write_text(text)
    state = ["--state", tmp_path / "s"] if words[0] != "render" else []
    said = serinus(*(file if word == "FILE" else word for word in words), *state)
    assert said.exit_code == 2
    assert said.stdout == ""
    assert "✗ spec.data.lable: unknown key; did you mean 'label'?\n" in said.stderr
    assert "✗ spec.data.label: expected the column to predict; got nothing\n" in said.stderr
    assert "✗ spec.data.checks.minRows: expected a whole number, got '[red]x[/red]'\n" in said.stderr


@pytest.mark.parametrize(
    "words",
    [
        ("nonsense",), ("approve",), ("approve", "four"), ("status", "--watch", "-o", "json"), ("status", "-o", "yaml"),
        ("history", "--limit", "0"), ("up",), ("up", "x.yaml", "--port", "0"), ("predict",), ("drift", "check"),
    ],
)  # fmt: skip
def test_wrong_use_is_2(words: tuple[str, ...]) -> None:
    assert serinus(*words).exit_code == 2


def test_version_and_help() -> None:
    assert serinus("--version").stdout.startswith("serinus 0.")
    said = serinus("--help")
    assert said.exit_code == 0
    for word in (
        "up", "down", "run", "status", "history", "predict", "approve", "reject", "rollback", "drift", "render",
        "schema", "demo", "Exit codes: 0 done, 1 could not be done",
    ):  # fmt: skip
        assert word in " ".join(said.stdout.split())


def test_the_state_folder_may_come_from_the_environment(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("SERINUS_STATE", str(state_of(tmp_path, SERVING)))
    assert serinus("status").stdout.startswith(LOOP)


def test_down_where_nothing_is_up(tmp_path: Path) -> None:
    assert serinus("down", "--state", tmp_path / "none").stdout == f"No supervisor was up in {tmp_path / 'none'}.\n"
    state = state_of(tmp_path, SERVING)
    assert serinus("down", "--state", state).stdout == f"No supervisor was up in {state}.\n"


# --- render, schema, drift check -------------------------------------------------------------------------------------


def test_render_shows_the_canary_at_its_first_step() -> None:
    answer = strict(serinus("render", EXAMPLE).stdout)
    assert set(answer) == {"bootstrap", "clusters", "routes"}
    split = _find(answer["routes"], "weighted_clusters")[0]["clusters"]
    assert sorted(cluster["weight"] for cluster in split) == [20, 80]


def test_render_for_kubernetes_is_a_list_that_kubectl_takes() -> None:
    answer = strict(serinus("render", EXAMPLE, "--target", "kubernetes", "-n", "air").stdout)
    names = [(item["kind"], item["metadata"]["name"], item["metadata"]["namespace"]) for item in answer["items"]]
    assert (answer["apiVersion"], answer["kind"]) == ("v1", "List")
    assert names == [
        ("InferenceService", f"{LOOP}-v1", "air"),
        ("InferenceService", f"{LOOP}-v2", "air"),
        ("HTTPRoute", LOOP, "air"),
    ]
    share = loading.read(EXAMPLE).spec.rollout.steps[0]
    (rule,) = answer["items"][2]["spec"]["rules"]
    assert [backend["weight"] for backend in rule["backendRefs"]] == [100 - share, share]


def test_the_example_is_a_loop() -> None:
    text = serinus("schema", "--example").stdout
    assert loading.parse(text).name == "my-model"


def test_drift_check_without_a_loop_is_1_and_a_reason(tmp_path: Path) -> None:
    said = serinus("drift", "check", EXAMPLE, "--state", tmp_path)
    assert (said.exit_code, said.stdout) == (1, "")
    assert "has no loop yet" in said.stderr


def test_drift_check_before_the_first_version_looked_and_found_nothing_to_compare(tmp_path: Path) -> None:
    state = state_of(tmp_path, Status(LOOP))
    (state / "ports.json").write_text(PORTS)
    said = serinus("drift", "check", EXAMPLE, "--state", state)
    assert said.exit_code == 0
    assert said.stdout.startswith("undecided: ")
    assert "retrain not asked: " in said.stdout
    answer = strict(serinus("drift", "check", EXAMPLE, "--state", state, "-o", "json").stdout)
    assert answer["finding"]["verdict"]["outcome"] == "undecided"
    assert answer["ask"]["asked"] is False


def test_drift_check_that_could_not_look_is_1_and_says_why(tmp_path: Path) -> None:
    state = state_of(tmp_path, SERVING)
    (state / "ports.json").write_text(PORTS)
    said = serinus("drift", "check", EXAMPLE, "--state", state)
    assert said.exit_code == 1
    assert "error: " in said.stdout + said.stderr


# --- up ---------------------------------------------------------------------------------------------------------------


def test_up_tells_events_as_they_are_and_never_as_markup(capsys: pytest.CaptureFixture[str]) -> None:
    up_word._say(EVENTS[-1])
    told = capsys.readouterr().out
    assert told == f"{EVENTS[-1].at.astimezone():%H:%M:%S} RunFailed         {EVENTS[-1].message}\n"


@pytest.mark.parametrize("words", [["-n", "air"], ["--context", "test"]])
def test_a_namespace_or_a_context_without_a_loop_is_wrong_use(words: list[str], tmp_path: Path) -> None:
    said = serinus("status", *words, "--state", state_of(tmp_path, SERVING))
    assert said.exit_code == 2
    assert "expected --loop NAME beside --namespace and --context" in " ".join(said.stderr.replace("│", " ").split())


def test_up_where_a_supervisor_is_up_says_which_and_how_to_end_it(tmp_path: Path) -> None:
    state = state_of(tmp_path, SERVING)
    with up(state):
        said = serinus("up", EXAMPLE, "--detach", "--state", state)
    assert (said.exit_code, said.stdout) == (1, "")
    assert f"another supervisor (pid {os.getpid()}, loop {LOOP}) holds {state}; stop it with" in said.stderr


# --- start-up --------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("words", [["--help"], ["status"], ["history"], ["schema"], ["render", str(EXAMPLE)]])
def test_short_answers_import_nothing_heavy(words: list[str], tmp_path: Path) -> None:
    state = state_of(tmp_path, CANARY)
    code = (
        "import sys; from services.cli.main import app\n"
        f"try: app({[*words, *(['--state', str(state)] if words[0] in ('status', 'history') else [])]!r})\n"
        "except SystemExit as end: assert end.code == 0, end.code\n"
        "heavy = 'mlflow sklearn kfp kserve pandas numpy scipy alibi_detect pyarrow sqlalchemy matplotlib aiohttp'\n"
        "print(sorted(set(heavy.split()) & set(sys.modules)), file=sys.stderr)"
    )
    ended = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=False)
    assert (ended.returncode, ended.stderr) == (0, "[]\n")


def _find(value: Any, key: str) -> list[Any]:
    """Everything that stands under `key`, at any depth."""
    if isinstance(value, dict):
        return [v for k, v in value.items() if k == key] + [f for v in value.values() for f in _find(v, key)]
    return [found for item in value for found in _find(item, key)] if isinstance(value, list) else []
