"""`serve`, `demo`, `simulate`, `doctor`: running things."""

from __future__ import annotations


def serve() -> None:
    """Run."""


def demo() -> None:
    """Run."""


def simulate() -> None:
    """Run."""


def doctor() -> None:
    """Run."""
