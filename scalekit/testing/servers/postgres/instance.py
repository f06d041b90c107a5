"""A PostgreSQL server on its own: data directory, configuration, start, SQL."""

from __future__ import annotations

import contextlib
import signal
from typing import TYPE_CHECKING, Any

from scalekit.testing.servers.base import Server
from scalekit.testing.servers.privileges import ordinary_account

from . import data
from .access import Access
from .settings import Settings, defaults, render

if TYPE_CHECKING:
    from collections.abc import Sequence
    from pathlib import Path

    from scalekit.testing.servers.waiting import Waits


class Instance(Server):
    """One PostgreSQL server; `server.Postgres` adds what it takes to follow another."""

    stop_signal = signal.SIGINT  # "fast": SIGTERM would wait for every client to leave

    def __init__(
        self,
        name: str,
        folder: Path,
        port: int,
        *,
        templates: Path | None = None,
        waits: Waits | None = None,
    ) -> None:
        """Describe a server without starting it; those that share a folder of `templates` run initdb once."""
        super().__init__(name, folder, port, waits=waits)
        self.account = ordinary_account()
        self.settings: dict[str, str | float] = {}
        self.templates = templates or folder / "templates"

    @property
    def data_folder(self) -> Path:
        """Its data directory."""
        return self.folder / "data"

    @property
    def password(self) -> str:
        """The password of the superuser, made at random with the cluster: other users of the machine stay out."""
        return (self.folder / data.PASSWORD_FILE).read_text()

    def access(self, database: str = "postgres") -> Access:
        """Return how to reach one of its databases."""
        return Access(self.host, self.port, self.password, database)

    @property
    def dsn(self) -> str:
        """The libpq connection string of its database `postgres`; `access(name).dsn` is that of another."""
        return self.access().dsn

    @property
    def url(self) -> str:
        """The same as a URL."""
        return self.access().url

    def django_settings(self, **extra: object) -> dict[str, Any]:
        """Return its entry for `DATABASES`; `extra` adds to it or replaces: `ENGINE=`, `NAME=`, `TEST=` ..."""
        return {**self.access().django_settings, **extra}

    def execute(
        self, sql: str, parameters: Sequence[object] = (), *, database: str = "postgres"
    ) -> list[tuple[Any, ...]]:
        """Run a statement in a connection of its own, committed at once, and return its rows.

        Raises psycopg's errors; a server that does not answer is given up after 5 seconds.
        """
        return self.access(database).execute(sql, parameters)

    def value(
        self, sql: str, parameters: Sequence[object] = (), *, database: str = "postgres"
    ) -> Any:
        """Run a query and return the first column of its first row."""
        return self.execute(sql, parameters, database=database)[0][0]

    def create_database(self, name: str) -> None:
        """Create a database unless it is there."""
        self.access().create_database(name)

    def configure(self, **settings: str | float) -> None:
        """Change settings of postgresql.conf for good; those that need a restart take effect at the next start."""
        self.settings.update(settings)
        self.reload()

    def reload(self) -> None:
        """Write postgresql.conf and make a running server read it."""
        if self.data_folder.exists():
            self._write_settings()
        if self.running:
            self._running_child().send(signal.SIGHUP)

    def prepare(self) -> None:
        """Make the data directory if there is none, and write the configuration."""
        self.account.adopt(self.folder)
        if not self.data_folder.exists():
            self.make_data()
        data.require_version(self.data_folder, self.tools.major)
        self._write_settings()

    def make_data(self) -> None:
        """Make the data directory."""
        data.new_cluster(self.data_folder, self.templates, self.tools)

    def role_settings(self) -> Settings:
        """Return the settings that follow from what the server is to others."""
        return {}

    def command(self) -> Sequence[str | Path]:
        """Return the server in the foreground; all its settings are in the file."""
        return [self.tools.path("postgres"), "-D", self.data_folder]

    def is_ready(self) -> bool:
        """Read it from postmaster.pid, whose line 8 says so of primaries and hot standbys alike, without a client."""
        with contextlib.suppress(OSError):
            lines = (self.data_folder / "postmaster.pid").read_text().splitlines()
            return lines[:1] == [str(self.pid)] and [line.strip() for line in lines[7:8]] == [
                "ready"
            ]
        return False

    @property
    def tools(self) -> data.Tools:
        """PostgreSQL's programs, for this server."""
        return data.Tools(self.account, self.folder / "tools.log", self.waits)

    def _write_settings(self) -> None:
        own = {"port": self.port, **self.role_settings(), **self.settings}
        path = self.data_folder / "postgresql.conf"
        path.write_text(render({**defaults(self.tools.major), **own}))
