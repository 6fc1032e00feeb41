"""The generated pages are fresh, and the schema says what the loader does."""

from __future__ import annotations

import json
import re
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
import yaml
from hypothesis import given

from serinus import loading
from serinus.errors import SpecError
from serinus.spec import ModelLoop
from services.cli import reference, tools
from services.cli.main import app
from tests.unit import json_schema
from tests.unit.cli_state import EXAMPLE, serinus, strict
from tests.unit.test_spec import loops

SCHEMA: Any = tools.json_schema()


def _mistakes(document: object) -> list[str]:
    return list(json_schema.mistakes(document, SCHEMA, SCHEMA))


def _flights() -> Any:
    return yaml.safe_load(EXAMPLE.read_text())


def test_the_schema_uses_no_word_that_the_tests_do_not_understand() -> None:
    assert json_schema.words(SCHEMA) <= json_schema.KNOWN


def test_the_schema_takes_the_examples() -> None:
    assert _mistakes(_flights()) == []
    assert _mistakes(yaml.safe_load(serinus("schema", "--example").stdout)) == []


@given(loops())
def test_the_schema_takes_whatever_the_loader_takes(loop: ModelLoop) -> None:
    assert _mistakes(json.loads(loop.model_dump_json(by_alias=True))) == []


@pytest.mark.parametrize(
    ("path", "value", "mistake"),
    [
        ("spec/xyzzy", 1, ".spec.xyzzy: unknown"),
        ("spec/data/checks/min_rows", 1, ".spec.data.checks.min_rows: unknown"),
        ("spec/data/checks/minRows", "1000", ".spec.data.checks.minRows: no integer"),
        ("spec/data/checks/minRows", 0, ".spec.data.checks.minRows: bounds"),
        ("spec/rollout/steps", [-1], ".spec.rollout.steps.0: bounds"),
        ("spec/drift/every", "1 h", ".spec.drift: none of anyOf"),
        ("spec/serving/timeout", "", ".spec.serving.timeout: pattern"),
        ("metadata/name", "Big", ".metadata.name: pattern"),
        ("spec/task", "guessing", ".spec.task: not allowed"),
        ("kind", "Loop", ".kind: not allowed"),
        ("spec/data/checks/ranges", {"temp": [1]}, ".spec.data.checks.ranges.temp: length"),
        ("spec/serving/resources", {"request": {}}, ".spec.serving.resources.request: not allowed"),
    ],
)
def test_the_schema_refuses_what_the_loader_refuses(path: str, value: object, mistake: str) -> None:
    document = _flights()
    *way, last = path.split("/")
    part = document
    for key in way:
        part = part.setdefault(key, {})
    part[last] = value
    assert _mistakes(document) == [mistake]
    with pytest.raises(SpecError):
        loading.parse(yaml.safe_dump(document))


@pytest.mark.parametrize("key", ["apiVersion", "kind", "metadata", "spec"])
def test_the_schema_wants_the_four_keys_of_every_file(key: str) -> None:
    document = _flights()
    del document[key]
    assert _mistakes(document) == [f".{key}: missing"]


def test_every_part_of_the_schema_is_closed_and_written_in_camel_case() -> None:
    parts = {"": SCHEMA, **SCHEMA["$defs"]}
    open_parts = [name for name, part in parts.items() if "properties" in part and part["additionalProperties"]]
    assert open_parts == ["Metadata"]  # Kubernetes keeps its own books there
    keys = {key for part in parts.values() for key in part.get("properties", {})}
    assert [key for key in keys if not re.fullmatch(r"[a-z]+([A-Z][a-z]+)*", key)] == []


def test_the_schema_command_prints_the_schema() -> None:
    assert strict(serinus("schema").stdout) == SCHEMA


# --- pages -----------------------------------------------------------------------------------------------------------


def test_the_generated_pages_are_fresh() -> None:
    stale = [path.name for path, text in reference.pages().items() if path.read_text() != text]
    assert stale == [], "run `make compile`"


def test_check_names_a_stale_page_and_ends_with_1(tmp_path: Path) -> None:
    code = (
        "import sys, pathlib; from services.cli import reference as r\n"
        "r._DOCS = pathlib.Path(sys.argv.pop(1)) / 'docs'\nr.main()"
    )

    def made(*arguments: str) -> tuple[int, str]:
        ended = subprocess.run(
            [sys.executable, "-c", code, str(tmp_path), *arguments], capture_output=True, text=True, check=False
        )
        return ended.returncode, ended.stderr

    assert made("--check")[0] == 1
    assert made() == (0, "")
    assert made("--check") == (0, "")
    (tmp_path / "docs" / "commands.md").write_text("old")
    assert made("--check") == (1, "docs/commands.md is stale; run `make compile`\n")


def test_the_annotated_example_is_a_loop_with_every_key_that_has_a_value() -> None:
    text = "\n".join(reference.annotated_example())
    loop = loading.parse(text)

    def filled(value: object) -> Iterator[str]:
        if isinstance(value, dict):
            for key, item in value.items():
                if item is not None:
                    yield key
                    yield from filled(item)

    expected = list(filled(json.loads(loop.model_dump_json(by_alias=True))))
    assert re.findall(r"(?m)^ *([A-Za-z]+):", text) == expected
    assert all("# " in line for line in text.splitlines())


def test_the_reference_has_every_key_with_its_bounds_and_links() -> None:
    page = reference.modelloop_page()
    for row in (
        "| `apiVersion` | `serinus.dev/v1alpha1` | required | The",
        "| `seed` | whole number, at least 0 and under 4,294,967,296 | `0` | Seed",
        "| `ranges` | mapping of columns to [number, number] | `{}` | Column",
        "| `steps` | list of whole numbers | `[5, 25, 50]` | The canary's",
        "| `latency` | [`spec.rollout.guardrails.latency`](#specrolloutguardrailslatency) | its defaults | Slow",
        "| `onTimeout` | `rollback` or `hold` | `rollback` | What",
        "| `maxAge` | duration | unset | How old the newest row may be at the start of the run; unset means any age. |",
    ):
        assert row in page
    for target in re.findall(r"\]\(#(\w+)\)", page):
        assert any(heading.replace(".", "").lower() == target for heading in re.findall(r"(?m)^## `(.*)`$", page))


def test_the_commands_page_has_every_word() -> None:
    page = reference.commands_page()
    words = [command.name or command.callback.__name__ for command in app.registered_commands if command.callback]
    assert re.findall(r"(?m)^## `serinus (\w+)`$", page) == [*words, *(group.name for group in app.registered_groups)]
    assert "## `serinus drift check`" in page
    assert "| `--output`, `-o` | `text` | text for people, json for scripts. |" in page
    assert "serinus approve [OPTIONS] VERSION" in page
