"""Who is asked what only a database knows: how text compares, how a division is rounded."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from django.db import connections

if TYPE_CHECKING:
    from collections.abc import Iterable


class Judges:
    """Servers of one kind. Once some have answered, only those are asked again."""

    def __init__(self, servers: Iterable[str]) -> None:
        self.servers = list(servers)

    def narrow(self, answered: Iterable[str]) -> None:
        """Ask these alone, if there are any."""
        self.servers = list(answered) or self.servers

    @property
    def first(self) -> str:
        return self.servers[0]

    @property
    def connection(self) -> Any:
        return connections[self.first]

    @property
    def vendor(self) -> str:
        return str(self.connection.vendor)

    def ask(self, statement: str, params: Any) -> list[Any]:
        """Return the rows of a query, as the first server gives them."""
        with self.connection.cursor() as cursor:
            cursor.execute(statement, params)
            return list(cursor.fetchall())
