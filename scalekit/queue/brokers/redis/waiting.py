"""Sleep until there is something to fetch."""

from __future__ import annotations

import time
from typing import TYPE_CHECKING, Any

from redis.exceptions import ResponseError

if TYPE_CHECKING:
    from redis import Redis

SHORTEST = 0.01  # seconds; 0 would be for ever


class Wake:
    """One BLPOP on the tokens of a queue, begun in one call and looked at in others.

    So a worker looks up as often as Dramatiq wants it to, while the server hears of it every few seconds.
    `patience` is how many seconds late the server's answer may be. Raises what redis-py raises.
    """

    def __init__(self, client: Redis, key: str, patience: float) -> None:
        self._client, self._key, self._patience = client, key, patience
        self._connection: Any = None
        self._id: int = 0  # by which the server knows the connection
        self._until: float | None = None

    @property
    def is_waiting(self) -> bool:
        return self._until is not None

    def begin(self, seconds: float) -> None:
        """Ask to be woken within `seconds`."""
        if self._connection is None:
            self._connection = self._client.connection_pool.get_connection()
            self._connection.send_command("CLIENT", "ID")
            self._id = self._connection.read_response()
        seconds = max(seconds, SHORTEST)
        self._connection.send_command("BLPOP", self._key, f"{seconds:.3f}")
        self._until = time.monotonic() + seconds + self._patience

    def has_come(self, timeout: float) -> bool:
        """Wait for up to `timeout` seconds, and tell whether it is time to fetch."""
        if self._until is None:
            return True
        if not self._is_answered(timeout):
            return False
        self._connection.read_response()
        self._until = None
        return True

    def cancel(self) -> bool:
        """Wait no more, and tell whether this was woken meanwhile: another may have to be."""
        if self._until is None:
            return False
        try:
            while not (self._client.client_unblock(self._id) or self._is_answered(SHORTEST)):
                pass  # the server has not read yet what came by another connection
        except ResponseError:  # it may not; then nobody knows whether this was woken
            self.close()
            return True
        token = self._connection.read_response()
        self._until = None
        return token is not None

    def _is_answered(self, timeout: float) -> bool:
        if self._connection.can_read(timeout):
            return True
        if self._until is not None and time.monotonic() < self._until:
            return False
        msg = "The server did not answer in time."
        raise TimeoutError(msg)

    def close(self) -> None:
        connection, self._connection, self._until = self._connection, None, None
        if connection is not None:
            connection.disconnect()
            self._client.connection_pool.release(connection)
