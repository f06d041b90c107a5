"""Pools of redis.asyncio in which a task waits for its turn. Imported where redis-py is there.

That all connections are in use says that this process is busy, not that the server is down.
"""

from __future__ import annotations

from typing import Any

from redis.asyncio import BlockingConnectionPool
from redis.asyncio.sentinel import SentinelConnectionPool

_PATIENCE = 1.0  # seconds; whoever has waited so long loads by itself


class SentinelPool(SentinelConnectionPool, BlockingConnectionPool):
    """The pool of a primary that Sentinel names, with the other's waiting."""

    async def release(self, connection: Any) -> None:
        """Give a connection back; one that leads to a former primary is closed, as in redis-py's pool for threads."""
        if self.master_address != (connection.host, connection.port):
            await connection.disconnect(nowait=True)
        await super().release(connection)


def patience(kwargs: dict[str, object]) -> float:
    """Return for how many seconds a task waits for a connection: no longer than for its answer."""
    timeout = kwargs.get("socket_timeout")
    return min(_PATIENCE, timeout) if isinstance(timeout, (int, float)) else _PATIENCE


__all__ = ["BlockingConnectionPool", "SentinelPool", "patience"]
