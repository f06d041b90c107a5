"""psycopg's pool, with connections that are alive when they are lent."""

from __future__ import annotations

import time
from typing import Any

from scalekit.db.backends.postgresql.following import connect
from scalekit.db.backends.postgresql.sockets import hung_up, lines
from scalekit.db.outage.state import outages

PATIENCE = 0.5  # seconds between two looks at whether the server is known to be down


class Lender:
    """Stand before a pool: lend no connection that its server has closed, nor wait for one that is down."""

    def __init__(self, pool: Any, alias: str) -> None:
        self._pool, self._alias = pool, alias

    def __getattr__(self, name: str) -> Any:
        return getattr(self._pool, name)

    def getconn(self, timeout: float | None = None) -> Any:
        from psycopg_pool import PoolTimeout

        limit = self._pool.timeout if timeout is None else timeout
        end = time.monotonic() + limit
        while True:
            try:
                connection = self._pool.getconn(max(0.01, min(PATIENCE, end - time.monotonic())))
            except PoolTimeout:
                if outages.is_down(self._alias) or time.monotonic() >= end:
                    raise
                continue
            if not hung_up(connection):
                return connection
            connection.close()
            self._pool.putconn(connection)  # which replaces it


def follow_primary(pool: Any, alias: str, is_unreachable: Any) -> None:
    """Let a pool connect to whichever host is the primary, and tell when none is."""
    kind = pool.connection_class

    class Following(kind):  # type: ignore[misc, valid-type]  # the pool's own class
        @classmethod
        def connect(cls, conninfo: str = "", **params: Any) -> Any:
            def open_(**there: Any) -> Any:
                return super(Following, cls).connect(conninfo, **there)

            try:
                return connect(alias, params, open_)
            except kind.Error as error:
                if is_unreachable(error):
                    outages.down(alias, error)
                raise

    pool.connection_class = Following


def watch_replica(pool: Any, alias: str) -> None:
    """Let a pool's connections be known, so that a hung replica's can be cut."""
    kind = pool.connection_class

    class Watched(kind):  # type: ignore[misc, valid-type]  # the pool's own class
        @classmethod
        def connect(cls, conninfo: str = "", **params: Any) -> Any:
            connection = super().connect(conninfo, **params)
            lines.add(alias, connection)
            return connection

    pool.connection_class = Watched
