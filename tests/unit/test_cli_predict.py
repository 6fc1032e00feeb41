"""`serinus predict`: rows in, the answer or the endpoint's own sentence out."""

from __future__ import annotations

from pathlib import Path

import pytest

from services.cli import predict
from tests.unit.cli_state import LOOP, SERVING, answering, serinus, state_of, strict, up


@pytest.mark.parametrize("given", ['[{"a": 1}]', '{"a": 1}', '{"instances": [{"a": 1}]}', ' [{"a":1}]'])
@pytest.mark.parametrize("way", ["argument", "file", "stdin"])
def test_rows_come_from_the_argument_a_file_or_standard_input(given: str, way: str, tmp_path: Path) -> None:
    file = tmp_path / "rows.json"
    file.write_text(given)
    state = state_of(tmp_path, SERVING)
    word = {"argument": given, "file": file, "stdin": "-"}[way]
    with up(state) as addresses, answering(addresses.envoy, 200, b'{"predictions": [{"value": 1.5}]}') as asked:
        said = serinus("predict", word, "--state", state, input=given if way == "stdin" else None)
    assert strict(said.stdout) == {"predictions": [{"value": 1.5}]}
    assert asked == [(f"/v1/models/{LOOP}:predict", {"instances": [{"a": 1}]})]


@pytest.mark.parametrize(
    ("text", "reason"),
    [
        ("[1", 'the rows: expected JSON rows such as [{"distance": 500}]; '),
        ("[]", 'the rows: expected a list of rows such as [{"distance": 500}], got '),
        ("[1]", "got '[1]'"),
        ('{"instances": 3}', "got '{\"instances\": 3}'"),
        ("rows.json", "rows.json: expected a file, `-` or JSON rows; No such file or directory"),
    ],
)
def test_rows_that_are_none_are_told_what_rows_are(text: str, reason: str, tmp_path: Path) -> None:
    said = serinus("predict", text, "--state", tmp_path)
    assert (said.exit_code, said.stdout) == (1, "")
    assert reason in said.stderr


def test_a_file_that_is_no_text_is_told(tmp_path: Path) -> None:
    file = tmp_path / "rows"
    file.write_bytes(b"\xff\x00")
    assert "expected a file with JSON in UTF-8" in serinus("predict", file, "--state", tmp_path).stderr


@pytest.mark.parametrize(
    ("status", "body", "reason"),
    [
        (400, b'{"error": "distance: expected a number, got [x]"}',
         f"{LOOP} refused the rows: distance: expected a number, got [x] (status 400)"),
        (503, b'{"error": "no version is ready"}', f"{LOOP} could not answer: no version is ready (status 503); "
         "`serinus status` shows how it is"),
        (404, b'{"error": "expected /v1/models/a:predict"}', f"{LOOP} refused the rows: expected /v1/models/a:predict"),
        (502, b"", f"{LOOP} could not answer: no reason given (status 502)"),
        (500, b"[1]", f"{LOOP} could not answer: [1] (status 500)"),
    ],
)  # fmt: skip
def test_a_refusal_is_the_endpoints_own_sentence(status: int, body: bytes, reason: str, tmp_path: Path) -> None:
    state = state_of(tmp_path, SERVING)
    with up(state) as addresses, answering(addresses.envoy, status, body):
        said = serinus("predict", "[{}]", "--state", state)
    assert (said.exit_code, said.stdout) == (1, "")
    assert reason in said.stderr


def test_nobody_at_the_endpoint_is_told(tmp_path: Path) -> None:
    state = state_of(tmp_path, SERVING)
    with up(state):
        said = serinus("predict", "[{}]", "--state", state)
    assert said.exit_code == 1
    assert ":predict did not answer (ConnectError); `serinus status` says why" in said.stderr


def test_a_number_that_json_lacks_is_sent_for_the_predictor_to_refuse() -> None:
    assert str(predict.rows('[{"a": NaN}]')) == "[{'a': nan}]"
