"""What the documents show exists: commands, targets, files, keys."""

from __future__ import annotations

import re
import shlex
import subprocess
from collections.abc import Iterator
from importlib.util import find_spec
from pathlib import Path
from typing import Any

import pytest
import typer.main
import yaml

from serinus import loading
from services.cli.main import app

ROOT = Path(__file__).resolve().parents[2]


def tracked() -> tuple[str, ...]:
    """Every file of the repository, as far as it is still there."""
    command = ["git", "ls-files", "-z"]
    listed = subprocess.run(command, cwd=ROOT, capture_output=True, check=True, text=True).stdout
    return tuple(name for name in listed.split("\0") if name and (ROOT / name).is_file())


FILES = tracked()
FOLDERS = {str(parent) for name in FILES for parent in Path(name).parents}
TOP = sorted({name.split("/")[0] for name in FILES if "/" in name})
DOCUMENTS = [name for name in FILES if name.endswith(".md")]
TARGETS = set(re.findall(r"^([a-z][\w-]*):(?!=)", (ROOT / "Makefile").read_text(), re.MULTILINE))

document = pytest.mark.parametrize("name", DOCUMENTS)


def blocks(text: str) -> Iterator[tuple[str, str]]:
    """(language, content) of each fenced block, and the indented ones as one block without a language."""
    yield from re.findall(r"^```(\w*)\n(.*?)^```", text, re.MULTILINE | re.DOTALL)
    yield "", "\n".join(re.findall(r"^ {4}(\S.*)$", prose(text), re.MULTILINE))


def prose(text: str) -> str:
    return re.sub(r"^```.*?^```\n", "", text, flags=re.MULTILINE | re.DOTALL)


def commands(text: str) -> list[list[str]]:
    """The words of every command line that is shown, in a block or within a sentence."""
    lines = [line for language, content in blocks(text) if language != "yaml" for line in content.splitlines()]
    lines += re.findall(r"`([^`\n]+)`", prose(text))
    found = []
    for line in lines:
        bare = re.sub(r"(^|\s)#.*", "", line)
        for part in re.split(r"&&|\|\||[;|]", bare):
            try:
                found.append(shlex.split(part))
            except ValueError:  # a quote that stays open: no command
                continue
    return [words for words in found if words]


def wrong(words: list[str]) -> str:
    """What of a `serinus` command line there is not; "" when all of it is."""
    command: Any = typer.main.get_command(app)
    rest = words[1:]
    while hasattr(command, "commands") and rest and not rest[0].startswith(("-", "[")):
        if rest[0] not in command.commands:
            return f"no command {rest[0]!r} of {sorted(command.commands)}"
        command, rest = command.commands[rest[0]], rest[1:]
    options = {option for parameter in command.params for option in (*parameter.opts, *parameter.secondary_opts)}
    options |= {"--help"}
    unknown = [w for w in rest if re.match(r"--?[a-z]", w) and w.partition("=")[0] not in options]
    return f"no option {unknown} of {sorted(options)}" if unknown else ""


def anchors(text: str) -> set[str]:
    """The places that a document can be linked at, as code hosts name them."""
    headings = re.findall(r"^#+ +(.*?) *$", prose(text), re.MULTILINE)
    return {re.sub(r"[^\w\- ]", "", heading.lower()).replace(" ", "-") for heading in headings}


def is_there(path: Path) -> bool:
    name = str(path.resolve().relative_to(ROOT))
    return name in FILES or name in FOLDERS


def test_the_documents_are_looked_at() -> None:
    assert {"README.md", "CONTRIBUTING.md", "docs/modelloop.md"} <= set(DOCUMENTS)
    shown = commands((ROOT / "README.md").read_text())
    assert ["make", "run"] in shown
    assert any(words[:2] == ["serinus", "up"] for words in shown)
    assert {"help", "setup", "run", "test", "check", "lint", "types", "compile", "clean"} <= TARGETS


def test_what_does_not_exist_would_be_found() -> None:
    assert wrong(["serinus", "fly"])
    assert wrong(["serinus", "status", "--wacht"])
    assert wrong(["serinus", "drift", "look"])
    assert [wrong(w) for w in (["serinus", "status", "-w"], ["serinus", "drift", "check", "FILE"])] == ["", ""]
    assert commands("    make run   # twice\n\nsay `serinus up x; serinus down`") == [
        ["make", "run"],
        ["serinus", "up", "x"],
        ["serinus", "down"],
    ]


@document
def test_targets_that_a_document_shows_exist(name: str) -> None:
    shown = [words[1] for words in commands((ROOT / name).read_text()) if words[0] == "make" and len(words) > 1]
    assert [target for target in shown if re.fullmatch(r"[a-z][\w-]*", target) and target not in TARGETS] == []


@document
def test_serinus_commands_that_a_document_shows_exist(name: str) -> None:
    shown = [words for words in commands((ROOT / name).read_text()) if words[0] in ("serinus", ".venv/bin/serinus")]
    assert {" ".join(words): wrong(words) for words in shown if wrong(words)} == {}


@document
def test_modules_that_a_document_runs_exist(name: str) -> None:
    modules = re.findall(r"python3? -m ([\w.]+)", (ROOT / name).read_text())
    assert [m for m in modules if find_spec(m) is None] == []


@document
def test_links_of_a_document_lead_somewhere(name: str) -> None:
    text = (ROOT / name).read_text()
    lost = []
    for link in re.findall(r"\]\(([^)\s]+)\)", prose(text)):
        if re.match(r"[a-z]+:", link):
            continue
        path, _, anchor = link.partition("#")
        target = (ROOT / name).parent / path if path else ROOT / name
        if not is_there(target) or (anchor and anchor not in anchors(target.read_text())):
            lost.append(link)
    assert lost == []


@document
def test_files_that_a_document_names_exist(name: str) -> None:
    named = re.findall(rf"`((?:{'|'.join(map(re.escape, TOP))})/[\w./-]*)`", prose((ROOT / name).read_text()))
    assert [path for path in named if not is_there(ROOT / path)] == []


@document
def test_yaml_that_a_document_shows_is_a_model_loop_that_loads(name: str) -> None:
    for language, content in blocks((ROOT / name).read_text()):
        if language in ("yaml", "yml"):
            shown = yaml.safe_load(content)
            if isinstance(shown, dict) and "spec" in shown:
                loading.parse(content, name)
