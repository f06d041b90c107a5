"""The command lines of child processes: the one that started this process, with other arguments."""

from __future__ import annotations

import os
import sys
from typing import TYPE_CHECKING

from django.conf import settings
from django.utils.autoreload import get_child_arguments

if TYPE_CHECKING:
    from collections.abc import Sequence

OURS = "run_workers"


def command_line(command: str, arguments: Sequence[str], shared: Sequence[str] = ()) -> list[str]:
    """Return how to run another management command as this one was run.

    With the same interpreter, its options, and the same manage.py (or ``-m django``), which may have set up
    what the project needs. `shared` are Django's own options that both are to have.
    """
    return [*_program(), command, *arguments, *shared]


def _program() -> list[str]:
    if sys.argv[1:2] == [OURS]:
        return [str(part) for part in get_child_arguments()[: 1 - len(sys.argv)]]
    flags = [f"-W{option}" for option in sys.warnoptions]
    return [sys.executable, *flags, "-m", "django"]  # called from Python: no script to run again


def environment(**more: str) -> dict[str, str]:
    """Return the environment of a child: ours, and which settings were chosen here."""
    chosen = {"DJANGO_SETTINGS_MODULE": settings.SETTINGS_MODULE} if settings.configured else {}
    return {**os.environ, **chosen, **more}
