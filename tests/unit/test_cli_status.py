"""`serinus status` and `serinus history` of a loop that was made up."""

from __future__ import annotations

import re
from pathlib import Path

from serinus.adapters import kfp_local_folder
from serinus.errors import Unavailable
from serinus.facts import Status
from services.cli import status
from services.cli.local import Local
from services.cli.page import View
from tests.unit.cli_state import CANARY, LOOP, SERVING, serinus, state_of, strict, up

# --- status ----------------------------------------------------------------------------------------------------------


def test_status_of_a_loop_that_is_down(tmp_path: Path) -> None:
    said = serinus("status", "--state", state_of(tmp_path, SERVING))
    assert said.exit_code == 0
    assert "● down  `serinus up FILE` goes on" in said.stdout
    assert "champion  version 3; version 2 is kept ready" in said.stdout
    assert "traffic" not in said.stdout


def test_status_of_a_loop_that_is_up(tmp_path: Path) -> None:
    state = state_of(tmp_path, CANARY)
    kfp_local_folder.put(_made(state / "runs" / "flight-delay-drift-2") / "step", b"train")
    with up(state, (2, 0), (3, 80), (4, 20)) as addresses:
        text = serinus("status", "--state", state).stdout
    assert "● up" in text
    assert "███████████████████▒▒▒▒▒  version 3 80 %  version 4 20 %" in text
    assert "canary      version 4, step 1 of 2, for " in text
    assert "of at most 1 min 30 s: 45 answers, at least 60 wanted" in text
    assert re.search(r"run         train, for \d+ min\b", text)  # of a whole minute the seconds are not said
    assert "trouble     registry: [Errno 111] refused" in text
    assert f"predict     {addresses.url('envoy')}/v1/models/{LOOP}:predict" in text
    assert "RunFailed          ValueError: [bold]column[/bold] [Errno 2] in [red]data[/]" in text
    assert all(line == line.rstrip() for line in text.splitlines())


def test_status_as_json_is_all_that_is_known_and_nothing_else(tmp_path: Path) -> None:
    state = state_of(tmp_path, CANARY)
    with up(state, (2, 0), (3, 80), (4, 20)) as addresses:
        said = serinus("status", "-o", "json", "--state", state)
    answer = strict(said.stdout)
    assert said.stderr == ""
    assert answer | {"status": None} == {
        "loop": LOOP,
        "up": True,
        "addresses": {name: addresses.url(name) for name in ("envoy", "mlflow", "prometheus")},
        "weights": {"2": 0, "3": 80, "4": 20},
        "step": "",
        "status": None,
    }
    assert answer["status"]["rollout"]["version"] == 4
    assert answer["status"]["waiting"] == 5


def test_status_does_not_guess_the_traffic(tmp_path: Path) -> None:
    state = state_of(tmp_path, SERVING)
    with up(state):  # a supervisor that cannot see the router
        assert "traffic     cannot be seen now" in serinus("status", "--state", state).stdout
        assert strict(serinus("status", "-o", "json", "--state", state).stdout)["weights"] is None
    assert strict(serinus("status", "-o", "json", "--state", state).stdout)["weights"] == {}


def test_before_the_first_version_nobody_serves(tmp_path: Path) -> None:
    state = state_of(tmp_path, Status(LOOP))
    with up(state):
        assert "traffic     nobody serves yet" in serinus("status", "--state", state).stdout
        assert strict(serinus("status", "-o", "json", "--state", state).stdout)["weights"] == {}


def test_status_stands_while_the_file_is_being_edited(tmp_path: Path) -> None:
    broken = tmp_path / "loop.yaml"
    broken.write_text("spec: [")
    state = state_of(tmp_path, CANARY)
    with up(state, (3, 80), (4, 20), file=broken):
        said = serinus("status", "--state", state)
    assert said.exit_code == 0
    assert "45 answers\n" in said.stdout


def test_watching_needs_a_terminal(tmp_path: Path) -> None:
    said = serinus("status", "--watch", "--state", state_of(tmp_path, SERVING))
    assert (said.exit_code, said.stdout) == (1, "")
    assert "expected a terminal to watch on; a script may ask `serinus status -o json` again and again" in said.stderr


def test_a_page_that_cannot_be_made_anew_stays_and_says_why(tmp_path: Path) -> None:
    class Away(Local):
        away = ""

        def view(self, events: int) -> View:
            if self.away:
                raise Unavailable(self.away)
            return super().view(events)

    place = Away(state_of(tmp_path, SERVING))
    before, trouble = status.looked(place, "")
    assert (before != "", trouble) == (True, "")
    place.away = "the Kubernetes API cannot be asked"
    assert status.looked(place, before) == (before, "the Kubernetes API cannot be asked")


# --- history ---------------------------------------------------------------------------------------------------------


def test_history_is_a_line_an_event_and_never_markup(tmp_path: Path) -> None:
    lines = serinus("history", "--state", state_of(tmp_path, SERVING)).stdout.splitlines()
    events = [line for line in lines if ":" in line]
    assert len(events) == 3
    assert events[0].endswith("RunRequested       flight-delay-initial-1: the loop has no model yet")
    assert events[2].endswith("RunFailed          ValueError: [bold]column[/bold] [Errno 2] in [red]data[/]")
    days = [line.strip() for line in lines if ":" not in line]
    assert 2 <= len(days) <= 3


def test_history_as_json_is_strictstrict(tmp_path: Path) -> None:
    state = state_of(tmp_path, SERVING)
    events = strict(serinus("history", "-o", "json", "--state", state).stdout)
    assert [event["kind"] for event in events] == ["RunRequested", "Promoted", "RunFailed"]
    assert events[1]["figures"] == {"auc": None}
    latest = strict(serinus("history", "-o", "json", "--limit", "1", "--state", state).stdout)
    assert [event["kind"] for event in latest] == ["RunFailed"]


def test_history_of_a_loop_to_which_nothing_has_happened(tmp_path: Path) -> None:
    said = serinus("history", "--state", state_of(tmp_path, SERVING, events=()))
    assert said.stdout == f"Nothing has happened to {LOOP} yet.\n"


def _made(folder: Path) -> Path:
    folder.mkdir(parents=True)
    return folder
