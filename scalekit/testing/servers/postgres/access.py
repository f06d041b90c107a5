"""How to reach a database of a server: as a connection string, as Django's settings, or at once with SQL."""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Any
from urllib.parse import quote

from scalekit.testing.servers.exceptions import ServerError

from .settings import conninfo

if TYPE_CHECKING:
    from collections.abc import Sequence

USER = "postgres"
_CONNECT_TIMEOUT = 5  # seconds; a frozen server accepts a connection and says nothing


@dataclass(frozen=True, slots=True)
class Access:
    """One database of one server, and the password of its superuser."""

    host: str
    port: int
    password: str
    database: str = "postgres"

    def to(self, database: str) -> Access:
        """Return the access to another database of the server."""
        return replace(self, database=database)

    @property
    def dsn(self) -> str:
        """The connection string of libpq."""
        return conninfo(
            host=self.host, port=self.port, user=USER, password=self.password, dbname=self.database
        )

    @property
    def url(self) -> str:
        """The connection string as a URL."""
        where = f"{self.host}:{self.port}/{quote(self.database, safe='')}"
        return f"postgresql://{USER}:{quote(self.password, safe='')}@{where}"

    @property
    def django_settings(self) -> dict[str, Any]:
        """The entry for `DATABASES`."""
        return {
            "ENGINE": "django.db.backends.postgresql",
            "HOST": self.host,
            "PORT": self.port,
            "NAME": self.database,
            "USER": USER,
            "PASSWORD": self.password,
        }

    def execute(self, sql: str, parameters: Sequence[object] = ()) -> list[tuple[Any, ...]]:
        """Run a statement in a connection of its own, committed at once, and return its rows."""
        psycopg = _psycopg()
        with psycopg.connect(
            self.dsn, autocommit=True, connect_timeout=_CONNECT_TIMEOUT
        ) as connection:
            cursor = connection.execute(sql.encode(), parameters or None)
            return list(cursor.fetchall()) if cursor.description else []

    def create_database(self, name: str) -> None:
        """Create a database unless it is there."""
        if not self.execute("SELECT 1 FROM pg_database WHERE datname = %s", [name]):
            identifier = name.replace('"', '""')
            self.execute(f'CREATE DATABASE "{identifier}"')


def _psycopg() -> Any:
    try:
        import psycopg
    except ImportError as missing:
        raise ServerError('psycopg is missing: pip install "django-scalekit[demo]"') from missing
    return psycopg
