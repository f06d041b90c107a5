"""A connection to `default` that nobody else is on."""

from __future__ import annotations

from asyncio import _get_running_loop  # get_running_loop raises instead, at ten times the cost
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from typing import TYPE_CHECKING, Any, TypeVar

from django.db import DEFAULT_DB_ALIAS, connections
from django.db.utils import load_backend

from scalekit.db.transactions import is_open

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

T = TypeVar("T")

PATIENCE = (
    10  # seconds for a server to answer, where the settings say nothing; libpq would wait for ever
)


@contextmanager
def own_connection(alias: str = DEFAULT_DB_ALIAS, *, patience: int = PATIENCE) -> Iterator[Any]:
    """Open a connection for this block and thread alone, outside the pool, which may be used up by waiters."""
    known = connections[alias].settings_dict
    options = {name: value for name, value in known["OPTIONS"].items() if name != "pool"}
    wrapper: Any = load_backend(known["ENGINE"])
    connection = wrapper.DatabaseWrapper({**known, "OPTIONS": options}, alias)
    if connection.vendor == "postgresql":
        # Unless the settings say, or the backend, which has less for each of several hosts.
        options.setdefault(
            "connect_timeout", connection.get_connection_params().get("connect_timeout", patience)
        )
    try:
        yield connection
    finally:
        connection.close()
        if connection.connection is not None:  # Django leaves an SQLite database in memory open
            connection.connection.close()


def ask(function: Callable[[Any], T], *, patience: int = PATIENCE) -> T:
    """Return ``function(connection)``, called in a thread of its own.

    The caller's connection may be inside a transaction, or broken; and in an event loop it has none.
    """
    with ThreadPoolExecutor(1, "scalekit-shard-map") as thread:
        return thread.submit(_ask_here, function, patience).result()


def ask_at_hand(function: Callable[[Any], T]) -> T:
    """Return ``function(connection)`` on this thread's own connection if that is open and idle, else as `ask`."""
    if _get_running_loop() is None:
        connection = connections[DEFAULT_DB_ALIAS]
        if connection.connection is not None and not is_open(connection):
            return function(connection)
    return ask(function)


def _ask_here(function: Callable[[Any], T], patience: int) -> T:
    with own_connection(patience=patience) as connection:
        return function(connection)
