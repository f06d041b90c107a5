"""A cursor that goes on at another server when its own is gone."""

from __future__ import annotations

from contextlib import suppress
from functools import cached_property
from typing import TYPE_CHECKING, Any

from django.db import Error

from scalekit.db.backends.postgresql.failures import (
    ReplicaAvoided,
    is_recovery_conflict,
    is_server_lost,
)
from scalekit.db.backends.postgresql.guard import reading_only, refuse_on_replica
from scalekit.db.events import READ_RETRIED
from scalekit.db.exceptions import WriteOnReplica
from scalekit.db.rotation import rotation
from scalekit.db.writes import is_write

if TYPE_CHECKING:
    from collections.abc import Iterator
    from typing import Self

    from scalekit.db.backends.postgresql.base import DatabaseWrapper


WRITING = frozenset({"executemany", "callproc", "copy", "stream"})


class ReadCursor:
    """Stand before a replica's cursor, and replace it before any of its rows were given out.

    An `execute` that fails outside a transaction is run again: on a new connection if an old one broke,
    then on the next replica in rotation, then on the primary. So is a server-side cursor whose first fetch
    fails. What has begun to give rows is never begun again, and what writes is never run elsewhere.
    """

    def __init__(self, replica: DatabaseWrapper, *, chunked: bool) -> None:
        self._chunked = chunked
        self._replica = replica
        self._reconnected: set[str] = set()
        self._at: Any = None
        self._was_open = False
        self._unfetched: tuple[Any, Any] | None = None  # the statement whose rows nobody has seen
        self._cursor: Any = self._open(replica)

    @cached_property
    def _others(self) -> list[Any]:
        """The connections to ask instead; looked up only when that is needed."""
        return self._replica.other_servers()

    def __getattr__(self, name: str) -> Any:
        if name in WRITING and not self._on_replica():
            raise WriteOnReplica
        return getattr(self._cursor, name)

    def __iter__(self) -> Iterator[Any]:
        self._unfetched = None  # rows come one by one from here on
        return iter(self._cursor)

    def fetchone(self) -> Any:
        return self._fetch("fetchone")

    def fetchmany(self, *size: int) -> Any:
        return self._fetch("fetchmany", *size)

    def fetchall(self) -> Any:
        return self._fetch("fetchall")

    def _fetch(self, how: str, *size: int) -> Any:
        statement, self._unfetched = self._unfetched, None
        try:
            return getattr(self._cursor, how)(*size)
        except Error as error:
            if statement is None:
                raise
            self._cursor = self._recover(error)
            self.execute(*statement)
            return self._fetch(how, *size)

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *exc_info: object) -> None:
        self._cursor.__exit__(*exc_info)

    def execute(self, sql: Any, params: Any = None) -> Any:
        self._unfetched = None
        while True:
            if not self._on_replica():
                self._refuse_write(sql, params)
            try:
                result = self._execute(sql, params)
            except Error as error:
                if is_write(sql):
                    raise
                self._cursor = self._recover(error)
            else:
                rotation.up(self._at.alias)
                if self._chunked and not is_write(sql):
                    self._unfetched = sql, params
                return result

    def _refuse_write(self, sql: Any, params: Any) -> None:
        refuse_on_replica(sql, params)
        if is_write(sql):
            raise WriteOnReplica

    def _execute(self, sql: Any, params: Any) -> Any:
        if self._on_replica():
            return self._cursor.execute(sql, params)
        with reading_only(self._at):
            return self._cursor.execute(sql, params)

    def _on_replica(self) -> bool:
        return bool(_replica_of(self._at))

    def _recover(self, error: Error) -> Any:
        """Return a cursor to run the statement again with. Raises `error` if that would be wrong."""
        broken = self._cursor
        if self._may_reconnect(error):
            self._reconnected.add(self._at.alias)
            self._at.close()
            server = self._at
        elif self._may_go_on(error):
            server = self._next(error)
        else:
            raise error
        with suppress(Error):
            broken.close()
        return self._open(server)

    def _open(self, server: Any) -> Any:
        """Open a cursor on `server`, or on the first of the others that can be reached."""
        while True:
            self._at = server
            self._was_open = server.connection is not None or server.pool is not None
            try:
                return self._open_here(server)
            except Error as error:
                if not self._may_go_on(error, connecting=True):
                    raise
                server = self._next(error)

    def _open_here(self, server: Any) -> Any:
        if _replica_of(server) and hasattr(server, "plain_cursor"):
            return server.plain_cursor(chunked=self._chunked)
        return server.chunked_cursor() if self._chunked else server.cursor()

    def _may_reconnect(self, error: Error) -> bool:
        """Return whether it may be the connection that broke and not the server: idle ones get cut."""
        server = self._at
        first = self._was_open and server.alias not in self._reconnected
        if _replica_of(server) and not rotation.usable(server.alias):
            return False  # it was the server after all, as others have seen
        return first and not _in_transaction(server) and is_server_lost(error, server.connection)

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
        with suppress(Error):
            server.close()  # so that the next request connects anew
        rotation.down(server.alias, error)
        return True

    def _next(self, error: Error) -> Any:
        server = self._others.pop(0)
        if not isinstance(error, ReplicaAvoided):
            READ_RETRIED.emit(alias=self._at.alias, next=server.alias, error=str(error).strip())
        return server


def _replica_of(server: Any) -> str | None:
    return (server.settings_dict.get("SCALEKIT") or {}).get("REPLICA_OF")


def _in_transaction(server: Any) -> bool:
    return server.in_atomic_block or (server.connection is not None and not server.autocommit)
