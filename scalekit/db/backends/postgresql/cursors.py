"""A cursor that goes on at another server when its own is gone."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from django.db import Error

from scalekit.db.backends.postgresql.failures import (
    ReplicaAvoided,
    is_recovery_conflict,
    is_server_lost,
)
from scalekit.db.events import READ_RETRIED
from scalekit.db.rotation import rotation
from scalekit.db.writes import is_write

if TYPE_CHECKING:
    from collections.abc import Iterator
    from typing import Self

    from scalekit.db.backends.postgresql.base import DatabaseWrapper


class ReadCursor:
    """Stand before a replica's cursor, and replace it before any of its rows were given out.

    A failing `execute` outside a transaction is run again on the next replica in rotation, then on the
    primary. What has begun to give rows is never begun again.
    """

    def __init__(self, replica: DatabaseWrapper, *, chunked: bool) -> None:
        self._replica, self._chunked = replica, chunked
        self._others = replica.other_servers()
        self._at: Any = None
        self._cursor: Any = self._open(replica)

    def __getattr__(self, name: str) -> Any:
        return getattr(self._cursor, name)

    def __iter__(self) -> Iterator[Any]:
        return iter(self._cursor)

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *exc_info: object) -> None:
        self._cursor.__exit__(*exc_info)

    def execute(self, sql: Any, params: Any = None) -> Any:
        while True:
            try:
                result = self._cursor.execute(sql, params)
            except Error as error:
                if is_write(sql) or not self._may_go_on(error):
                    raise
                self._cursor = self._open(self._next(error))
            else:
                rotation.up(self._at.alias)
                return result

    def _open(self, server: Any) -> Any:
        """Open a cursor on `server`, or on the first of the others that can be reached."""
        while True:
            self._at = server
            try:
                return self._open_here(server)
            except Error as error:
                if not self._may_go_on(error, connecting=True):
                    raise
                server = self._next(error)

    def _open_here(self, server: Any) -> Any:
        if server.alias == self._replica.alias or getattr(server, "replica_of", None):
            return server.plain_cursor(chunked=self._chunked)
        return server.chunked_cursor() if self._chunked else server.cursor()

    def _may_go_on(self, error: Error, *, connecting: bool = False) -> bool:
        """Return whether to ask another server, and take this one out of rotation if it is gone."""
        server = self._at
        if not self._others or _in_transaction(server):
            return False
        if isinstance(error, ReplicaAvoided) or is_recovery_conflict(error):
            return True
        unreachable = connecting and server.connection is None
        if not unreachable and not is_server_lost(error, server.connection):
            return False
        server.close()  # so that the next request connects anew
        rotation.down(server.alias, error)
        return True

    def _next(self, error: Error) -> Any:
        server = self._others.pop(0)
        if not isinstance(error, ReplicaAvoided):
            READ_RETRIED.emit(alias=self._at.alias, next=server.alias, error=str(error).strip())
        return server


def _in_transaction(server: Any) -> bool:
    return server.in_atomic_block or (server.connection is not None and not server.autocommit)
