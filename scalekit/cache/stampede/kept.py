"""Connections that are kept for reading, rather than given back to the pool after each answer.

`KeptConnections` for threads, `LoopConnections` for the tasks of one event loop.

Taking one from redis-py's pool, with its lock, its look at the socket and its announcements, takes as long as
the question itself. A few are kept; whoever finds none takes one from the pool as ever.
"""

from __future__ import annotations

from typing import Any

from redis.exceptions import ConnectionError as LostConnection

_MOST = 4  # and at most a quarter of what the pool may have: others need it as well


class _Kept:
    def __init__(self, pool: Any) -> None:
        self._pool = pool
        self._kept: list[Any] = []
        self._most = min(_MOST, pool.max_connections // 4)
        self._may_move = hasattr(pool, "master_address")  # behind Sentinel

    def _taken(self) -> Any | None:
        try:
            return self._kept.pop()
        except IndexError:  # none, or another thread was faster
            return None

    def _is_left(self, connection: Any) -> bool:
        """Return whether the primary is another by now; redis-py looks when it is given a connection back."""
        if not self._may_move:
            return False
        return bool(self._pool.master_address != (connection.host, connection.port))


class KeptConnections(_Kept):
    """Up to `_MOST` connections of a pool, each for one question at a time."""

    def ask(self, *command: Any) -> Any:
        """Return the server's answer. Raises what redis-py raises."""
        while (connection := self._taken()) is not None:
            if self._is_left(connection):
                self._leave(connection)
                continue
            try:
                return self._answer(connection, command)
            except LostConnection:  # closed while nobody asked; the pool would have looked before
                break
        return self._answer(self._pool.get_connection(), command)

    def close(self) -> None:
        """Give all back."""
        while (connection := self._taken()) is not None:
            self._pool.release(connection)

    def _answer(self, connection: Any, command: tuple[Any, ...]) -> Any:
        try:
            connection.send_command(*command)
            answer = connection.read_response()
        except BaseException:
            self._leave(connection)  # an answer may yet come, which would be the next question's
            self.close()  # the others may lead to the same server, which may be no primary any more
            raise
        if self._is_left(connection):
            self._leave(connection)
        elif len(self._kept) < self._most:
            self._kept.append(connection)
        else:
            self._pool.release(connection)
        return answer

    def _leave(self, connection: Any) -> None:
        connection.disconnect()
        self._pool.release(connection)


class LoopConnections(_Kept):
    """Do as `KeptConnections` does, on one event loop."""

    async def ask(self, *command: Any) -> Any:
        """Return the server's answer. Raises what redis-py raises."""
        while (connection := self._taken()) is not None:
            if self._is_left(connection):
                await self._leave(connection)
                continue
            try:
                return await self._answer(connection, command)
            except LostConnection:
                break
        return await self._answer(await self._pool.get_connection(), command)

    async def _answer(self, connection: Any, command: tuple[Any, ...]) -> Any:
        try:
            await connection.send_command(*command)
            answer = await connection.read_response()
        except BaseException:  # a task that is cancelled leaves an answer behind, too
            await self._leave(connection)
            while (other := self._taken()) is not None:
                await self._pool.release(other)
            raise
        if self._is_left(connection):
            await self._leave(connection)
        elif len(self._kept) < self._most:
            self._kept.append(connection)
        else:
            await self._pool.release(connection)
        return answer

    async def _leave(self, connection: Any) -> None:
        await connection.disconnect(nowait=True)
        await self._pool.release(connection)
