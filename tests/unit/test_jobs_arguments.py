"""How the jobs beside a loop are used, and what they say when they are used wrongly."""

from __future__ import annotations

from datetime import UTC, datetime
from pathlib import Path

import pytest

from serinus.errors import Fatal
from services import jobs
from services.drift import __main__ as drift
from services.drift import wiring
from services.intake import __main__ as intake
from services.local import addresses
from services.quality import __main__ as quality

LOOP = """
apiVersion: serinus.dev/v1alpha1
kind: ModelLoop
metadata: {name: flights}
spec:
  task: binary-classification
  data: {source: {files: {uri: rows.csv}}, time: t, label: late, features: {numeric: [temp]}}
  training: {estimator: logistic-regression}
  validation: {metric: roc_auc}
"""
MAINS = pytest.mark.parametrize("main", [quality.main, intake.main, drift.main], ids=["quality", "intake", "drift"])


@pytest.fixture
def file(tmp_path: Path) -> Path:
    made = tmp_path / "loop.yaml"
    made.write_text(LOOP)
    return made


def started(tmp_path: Path) -> Path:
    state = tmp_path / "state"
    addresses.choose(state / "ports.json")
    return state


@MAINS
@pytest.mark.parametrize("words", [[], ["--cluster", "--loop", "flights"]])
def test_who_names_no_loop_is_told_how(main: object, words: list[str], capsys: pytest.CaptureFixture[str]) -> None:
    assert callable(main)
    with pytest.raises(SystemExit) as ended:
        main(words)
    assert ended.value.code == 2
    assert "expected --loop-file FILE" in (said := capsys.readouterr().err) or "--cluster needs" in said


@MAINS
def test_a_state_folder_without_a_loop_is_named(
    main: object, file: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert callable(main)
    assert main(["--loop-file", str(file), "--state", str(tmp_path / "nowhere")]) == 1
    assert "nowhere has no loop yet; start one with `serinus up" in capsys.readouterr().err


@MAINS
def test_a_file_with_mistakes_is_used_wrongly(
    main: object, file: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert callable(main)
    file.write_text(LOOP.replace("roc_auc", "roc_auk"))
    assert main(["--loop-file", str(file), "--state", str(started(tmp_path))]) == 2
    assert "did you mean 'roc_auc'?" in capsys.readouterr().err


def test_a_loop_without_quality_is_said_to_have_none(
    file: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert quality.main(["--loop-file", str(file), "--state", str(started(tmp_path))]) == 2
    assert capsys.readouterr().err.startswith("spec.quality: expected something")


def test_an_intake_with_nothing_to_do_says_so(file: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    words = ["--loop-file", str(file), "--state", str(started(tmp_path))]
    assert intake.main(words) == 0
    assert capsys.readouterr().out == "nothing was due\n"
    assert intake.main([*words, "--json"]) == 0
    assert capsys.readouterr().out == '{"counted":null,"pulled":null}\n'


def test_the_state_folder_knows_the_addresses_unless_others_are_named(file: Path, tmp_path: Path) -> None:
    state = started(tmp_path)
    known = addresses.load(state / "ports.json")
    assert known is not None
    assert jobs.local(file, state).collector_url == known.url("collector")
    named = jobs.local(file, tmp_path / "elsewhere", "http://127.0.0.1:1", "http://127.0.0.1:2")
    assert (named.collector_url, named.namespace, named.folder) == ("http://127.0.0.1:2", "local", file.parent)
    with pytest.raises(Fatal, match="--prometheus"):
        wiring.check(named, datetime.now(UTC))
