"""Draining: say "not ready" while still serving, so that the load balancer lets go first."""

from __future__ import annotations

from pathlib import Path

from scalekit.health.conf import settings


def is_draining() -> bool:
    """Tell whether this server has been asked to leave the load balancer.

    Raises OSError where that cannot be told: `Path.exists` says "no" then, or raises, as Python's version has it.
    """
    if not settings.DRAIN_FILE:
        return False
    try:
        Path(settings.DRAIN_FILE).stat()
    except (FileNotFoundError, NotADirectoryError):
        return False
    return True


def start_draining() -> None:
    """Make ``/readyz`` of every process that shares the drain file answer 503."""
    Path(settings.DRAIN_FILE).touch()


def stop_draining() -> None:
    """Let ``/readyz`` speak for the checks again."""
    Path(settings.DRAIN_FILE).unlink(missing_ok=True)
