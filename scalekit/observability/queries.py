"""Count queries by database, without another ENGINE.

An execute wrapper is put outermost on every connection. Not by ``append``: Django's own
``with connection.execute_wrapper(...)`` pops the last one when it ends, and would take ours if the
connection was opened inside it. Queries outside a unit of work (migrations, say) are not counted, nor is
what bypasses the wrappers: BEGIN and COMMIT, ``callproc``, COPY, fetching from a server-side cursor.
"""

from __future__ import annotations

import threading
from time import perf_counter
from typing import TYPE_CHECKING, Any

from django.db import connections
from django.db.backends.signals import connection_created

from scalekit.core.context import Fact, current_unit

if TYPE_CHECKING:
    from collections.abc import Callable

# Called with a database's alias and the seconds that a query took.
observers: list[Callable[[str, float], None]] = []


class Tally:
    """How many queries each database was sent, and the seconds they took; threads may share it."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._by_alias: dict[str, tuple[int, float]] = {}

    def add(self, alias: str, seconds: float) -> None:
        with self._lock:
            count, total = self._by_alias.get(alias, (0, 0.0))
            self._by_alias[alias] = (count + 1, total + seconds)

    def by_alias(self) -> dict[str, tuple[int, float]]:
        with self._lock:
            return dict(self._by_alias)


QUERIES: Fact[Tally | None] = Fact("db_queries", None)


def count_queries() -> None:
    """Count the queries of all connections from now on. May be called again."""
    connection_created.connect(_instrument, dispatch_uid="scalekit.observability.queries")
    for connection in connections.all(initialized_only=True):
        _instrument(connection=connection)


def _instrument(*, connection: Any, **_: Any) -> None:
    if not any(wrapper is _counted for wrapper in connection.execute_wrappers):
        connection.execute_wrappers.insert(0, _counted)


def _counted(execute: Callable[..., Any], sql: Any, params: Any, many: bool, context: Any) -> Any:
    if current_unit() is None:
        return execute(sql, params, many, context)
    started = perf_counter()
    try:
        return execute(sql, params, many, context)
    finally:
        _add(context["connection"].alias, perf_counter() - started)


def _add(alias: str, seconds: float) -> None:
    tally = QUERIES.get()
    if tally is not None:
        tally.add(alias, seconds)
    for observe in observers:
        observe(alias, seconds)
