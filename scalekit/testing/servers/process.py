"""Any other server: gunicorn, a worker, a stand-in for an origin."""

from __future__ import annotations

import os
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING

from .base import Server
from .ports import answers

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping, Sequence

    from .waiting import Waits


@dataclass(frozen=True, slots=True)
class Command:
    """What to run: the arguments, additions to our environment, the folder, and how to tell that it is ready.

    Without `ready` a process is ready when its port answers, and one that was given no port when it runs.
    """

    argv: Sequence[str | Path]
    env: Mapping[str, str] = field(default_factory=dict)
    cwd: Path | None = None
    ready: Callable[[], bool] | None = None


class Process(Server):
    """A command of your own, handled like every other server."""

    def __init__(
        self,
        name: str,
        folder: Path,
        port: int | None,
        command: Command,
        *,
        waits: Waits | None = None,
    ) -> None:
        """Describe it without starting it. A process that listens nowhere has port 0."""
        super().__init__(name, folder, port or 0, waits=waits)
        self._command = command

    def command(self) -> Sequence[str | Path]:
        """Return the arguments as they were given."""
        return self._command.argv

    def environment(self) -> Mapping[str, str]:
        """Return our environment and the additions; Python children print without delay, so the log is up to date."""
        return {"PYTHONUNBUFFERED": "1", **os.environ, **self._command.env}

    def working_folder(self) -> Path:
        """Return the folder that was given, or the current one."""
        return self._command.cwd or Path.cwd()

    def is_ready(self) -> bool:
        """Ask the callable that was given; else try the port, if there is one."""
        if self._command.ready:
            return self._command.ready()
        return not self.port or answers(self.port)

    def require_port(self) -> None:
        """Check the port, if it has one."""
        if self.port:
            super().require_port()
