"""Numbers on the command lines of servers, for argparse's `type`."""

from __future__ import annotations

import argparse


def seconds(text: str) -> float:
    """A finite number from 0."""
    value = float(text)
    if not 0 <= value < float("inf"):
        raise argparse.ArgumentTypeError(f"expected seconds, got {text}")
    return value


def count(text: str) -> int:
    """A whole number from 1."""
    value = int(text)
    if value < 1:
        raise argparse.ArgumentTypeError(f"expected a whole number from 1, got {text}")
    return value
