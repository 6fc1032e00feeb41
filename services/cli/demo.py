"""`serinus demo`: watch the whole loop close on real flights."""

from __future__ import annotations


def demo() -> None:
    """Watch the whole loop close on real flights."""
