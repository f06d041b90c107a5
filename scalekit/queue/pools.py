"""Whether the connection pools of the databases are large enough for the threads of a worker."""

from __future__ import annotations

from typing import Any

from django.db import connections

from scalekit.queue.exceptions import QueueError

SPARE = (
    3  # beside the threads: the signs of life, the paused queues, and what is written in batches
)
DEFAULT = 4  # psycopg_pool's min_size, which max_size is where it is not given


class PoolTooSmall(QueueError):
    """A thread keeps its connection while it waits for another's work: a small pool would make all wait."""


def check_pools(threads: int) -> None:
    """Raise `PoolTooSmall` for a database whose pool has fewer connections than `threads` threads need."""
    wanted = threads + SPARE
    for alias in connections:
        size = _size(connections[alias].settings_dict)
        if size is not None and size < wanted:
            raise PoolTooSmall(
                f"DATABASES[{alias!r}] has a pool of {size} connections, and {threads} threads need {wanted}, or "
                f'they wait for each other. Write "OPTIONS": {{"pool": {{"max_size": {wanted}}}}}, or run with '
                f"--threads {max(1, size - SPARE)}."
            )


def _size(entry: dict[str, Any]) -> int | None:
    """Return the most connections of a database's pool (psycopg's), None where it has none."""
    pool = (entry.get("OPTIONS") or {}).get("pool")
    if not pool:
        return None
    options = pool if isinstance(pool, dict) else {}
    return int(options.get("max_size") or options.get("min_size", DEFAULT))
