"""The first question to MLflow and to KFP, asked by several threads at once, as an operator's looks do."""

from __future__ import annotations

import subprocess
import sys

import pytest

PROGRAM = """
import threading, time
from serinus.errors import Unavailable
{setup}
wrong = []
def first(number):
    time.sleep(0.2 * number)  # all through the import, which takes some seconds
    try:
        {ask}
    except Unavailable:
        pass  # nobody is there: that was asked
    except BaseException as error:
        wrong.append(repr(error))
threads = [threading.Thread(target=first, args=(number,)) for number in range(10)]
for thread in threads: thread.start()
for thread in threads: thread.join()
assert not wrong, wrong
"""
NOWHERE = "http://127.0.0.1:9"


@pytest.mark.parametrize(
    ("setup", "ask"),
    [
        (
            "from serinus.adapters.mlflow import MlflowRegistry\nregistry = MlflowRegistry("
            + repr(NOWHERE)
            + ", 1, 0)",
            "registry.versions('a')",
        ),
        (
            "from serinus.adapters import kfp_client\nfrom pathlib import Path",
            f"kfp_client.connect({NOWHERE!r}, '', '')",
        ),
    ],
    ids=["mlflow", "kfp"],
)
def test_threads_that_ask_first_at_the_same_time_do_not_break_the_import(setup: str, ask: str) -> None:
    program = PROGRAM.format(setup=setup, ask=ask)
    done = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, timeout=170, check=False)
    assert done.returncode == 0, done.stderr[-3000:]
