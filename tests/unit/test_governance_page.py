"""The auditor's page: its program, which needs nothing of ours, finds what ours finds."""

from __future__ import annotations

import re
import subprocess
import sys
from pathlib import Path

from serinus.adapters.audit_file import FileAudit
from serinus.facts import Deed
from tests.contract.audit_suite import NOW, deed

PAGE = Path(__file__).resolve().parents[2] / "docs" / "governance.md"


def ask(program: Path, trail: Path) -> subprocess.CompletedProcess[str]:
    return subprocess.run([sys.executable, "-I", program, trail], capture_output=True, text=True, check=False)


def test_the_pages_own_program_looks_through_a_trail(tmp_path: Path) -> None:
    _, found = re.findall(r"^```python\n(.*?)^```", PAGE.read_text(), re.MULTILINE | re.DOTALL)
    program, trail = tmp_path / "look.py", tmp_path / "trail.jsonl"
    program.write_text(found)
    strange = Deed("a", "flights", NOW, "Erased", "änn", "two\nlines | ünïcode", None, {"rows": 3, "p": 1e-7}, "prod")
    audit = FileAudit(trail)
    audit.append([deed(1), strange, deed(2)])
    whole = ask(program, trail)
    assert whole.stdout == f"3 entries, the last one {audit.entries()[-1].digest}\n", whole.stderr
    trail.write_text(trail.read_text().replace("änn", "eve"))
    assert ask(program, trail).stderr == "entry 2 is not what was written\n"
