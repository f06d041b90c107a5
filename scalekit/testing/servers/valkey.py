"""Valkey, or Redis where that is what is installed."""

from __future__ import annotations

import contextlib
import socket
from typing import TYPE_CHECKING

from .base import Server
from .binaries import VALKEY
from .exceptions import ServerError

if TYPE_CHECKING:
    from collections.abc import Sequence
    from pathlib import Path

    from .waiting import Waits

# Written to disk only if asked. A copy for a replica is sent at once, which is the master's setting to make.
_CONFIGURATION = """\
bind {host}
port {port}
dir {folder}
daemonize no
save ""
appendonly {appendonly}
repl-diskless-sync-delay 0
"""


class Valkey(Server):
    """A Valkey or Redis server."""

    def __init__(
        self,
        name: str,
        folder: Path,
        port: int,
        *,
        appendonly: bool = False,
        waits: Waits | None = None,
    ) -> None:
        """Describe it without starting it. With `appendonly` its data outlives a restart, and a kill -9."""
        super().__init__(name, folder, port, waits=waits)
        self.appendonly = appendonly

    @property
    def url(self) -> str:
        """The address of its database 0, for `CACHES`, redis-py or Dramatiq."""
        return f"redis://{self.address}/0"

    def prepare(self) -> None:
        """Write the configuration."""
        folder = str(self.folder).replace("\\", "\\\\").replace('"', '\\"')
        self._configuration.write_text(
            _CONFIGURATION.format(
                host=self.host,
                port=self.port,
                folder=f'"{folder}"',
                appendonly="yes" if self.appendonly else "no",
            )
        )

    def command(self) -> Sequence[str | Path]:
        """Return the server with its configuration."""
        return [VALKEY.find(), self._configuration]

    def is_ready(self) -> bool:
        """Tell whether it answers a PING; it does not while it loads its data."""
        with contextlib.suppress(OSError, ServerError):
            return self.command_line("PING") == "PONG"
        return False

    def flush(self) -> None:
        """Remove every key of every database."""
        self.command_line("FLUSHALL")

    def command_line(self, command: str, seconds: float = 5.0) -> str:
        """Send one simple command and return its one-line answer. Raises `ServerError` for an error answer."""
        with socket.create_connection((self.host, self.port), timeout=seconds) as connection:
            connection.sendall(f"{command}\r\n".encode())
            with connection.makefile("rb") as answers:
                answer = answers.readline().decode().strip()
        if not answer.startswith("+"):
            raise ServerError(f"{self.name} answered {command} with {answer or 'nothing'}")
        return answer[1:]

    @property
    def _configuration(self) -> Path:
        return self.folder / "valkey.conf"
