"""What every test needs before anything heavy is imported."""

from __future__ import annotations

import os
from pathlib import PurePath

import pytest
from hypothesis import HealthCheck, settings

# OpenMP threads that spin while they wait starve each other when tests run side by side: a fit of a second takes
# a minute. Programs that the tests start inherit it.
os.environ.setdefault("OMP_WAIT_POLICY", "PASSIVE")

# How long an example takes says how busy the machine is, not whether the property holds: 30 ms became 390 beside
# other tests, and hypothesis counts over 200 as a failure.
settings.register_profile("busy machine", deadline=None, suppress_health_check=[HealthCheck.too_slow])
settings.load_profile("busy machine")

# Folders whose files take longest, since they wait for programs: loops that are up first of all.
_LONG = ("local", "simulation")
_SHORT = ("contract", "chart", "unit")
_LAST = 0.75  # of the short files are done when the last of the long ones begins


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Spread the files that take long over the run, the longest first (`--no-loadscope-reorder` keeps this order).

    So programs that are waited for run beside tests that compute, seldom beside each other, and what is left at the
    end is small: workers then end together.
    """
    files = sorted({item.path for item in items}, key=_rank)
    long = [file for file in files if file.parent.name in _LONG]
    short = [file for file in files if file.parent.name not in _LONG]
    place = {file: _LAST * number / len(long) for number, file in enumerate(long)}
    place |= {file: number / len(short) for number, file in enumerate(short)}
    items.sort(key=lambda item: place[item.path])


def _rank(file: PurePath) -> tuple[bool, int, str]:
    folders = (*_LONG, *_SHORT)
    known = folders.index(file.parent.name) if file.parent.name in folders else len(folders)
    return not file.name.startswith("test_supervisor_"), known, str(file)
