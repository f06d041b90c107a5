"""Connections that are kept for reading, rather than given back to the pool after each answer.

`KeptConnections` for threads, `LoopConnections` for the tasks of one event loop.

Taking one from redis-py's pool, with its lock, its look at the socket and its announcements, takes as long as
the question itself. A few are kept; whoever finds none takes one from the pool as ever.
"""

from __future__ import annotations

from typing import Any

from redis.exceptions import ConnectionError as LostConnection

_MOST = 4  # and at most a quarter of what the pool may have: others need it as well


class KeptConnections:
    """Up to `_MOST` connections of a pool, each for one question at a time."""

    def __init__(self, pool: Any) -> None:
        self._pool = pool
        self._kept: list[Any] = []
        self._most = min(_MOST, pool.max_connections // 4)

    def ask(self, *command: Any) -> Any:
        """Return the server's answer. Raises what redis-py raises."""
        try:
            connection = self._kept.pop()
        except IndexError:
            return self._answer(self._pool.get_connection(), command)
        try:
            return self._answer(connection, command)
        except (
            LostConnection
        ):  # closed by the server while nobody asked; the pool would have looked before
            return self._answer(self._pool.get_connection(), command)

    def close(self) -> None:
        """Give all back."""
        while self._kept:
            self._pool.release(self._kept.pop())

    def _answer(self, connection: Any, command: tuple[Any, ...]) -> Any:
        try:
            connection.send_command(*command)
            answer = connection.read_response()
        except BaseException:
            connection.disconnect()  # an answer may yet come, which would be the next question's
            self._pool.release(connection)
            self.close()  # the others may lead to the same server, which may be no primary any more
            raise
        if len(self._kept) < self._most:
            self._kept.append(connection)
        else:
            self._pool.release(connection)
        return answer


class LoopConnections:
    """Do as `KeptConnections` does, on one event loop."""

    def __init__(self, pool: Any) -> None:
        self._pool = pool
        self._kept: list[Any] = []
        self._most = min(_MOST, pool.max_connections // 4)

    async def ask(self, *command: Any) -> Any:
        """Return the server's answer. Raises what redis-py raises."""
        try:
            connection = self._kept.pop()
        except IndexError:
            return await self._answer(await self._pool.get_connection(), command)
        try:
            return await self._answer(connection, command)
        except LostConnection:
            return await self._answer(await self._pool.get_connection(), command)

    async def _answer(self, connection: Any, command: tuple[Any, ...]) -> Any:
        try:
            await connection.send_command(*command)
            answer = await connection.read_response()
        except BaseException:  # a task that is cancelled leaves an answer behind, too
            await connection.disconnect(nowait=True)
            await self._pool.release(connection)
            while self._kept:
                await self._pool.release(self._kept.pop())
            raise
        if len(self._kept) < self._most:
            self._kept.append(connection)
        else:
            await self._pool.release(connection)
        return answer
