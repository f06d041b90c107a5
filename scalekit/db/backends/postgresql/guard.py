"""What a replica's connection refuses itself, because the server would not, or not any more.

The server refuses writes: a standby always, and what was one until its promotion by
``default_transaction_read_only``. Two kinds of statement slip through. Advisory locks "succeed" on a
standby and exclude nobody; and a statement may switch read-only mode off, stacked before a write.
"""

from __future__ import annotations

import re
from contextlib import contextmanager, suppress
from typing import TYPE_CHECKING, Any

from scalekit.db.exceptions import WriteOnReplica

if TYPE_CHECKING:
    from collections.abc import Iterator

_COMMENT = re.compile(r"/\*.*?\*/|--[^\n]*", re.DOTALL)
_LOCK = re.compile(r"\bpg_(?:try_)?advisory_(?:xact_)?lock")
_SWITCH = re.compile(r"\b(?:set|set_config|reset|alter|discard)\b")
_READ_WRITE = re.compile(r"\bread\s+write\b")


def refuse_on_replica(sql: Any, params: Any = None) -> None:
    """Raise `WriteOnReplica` for a statement that must not reach a replica."""
    text = (sql if isinstance(sql, str) else _text(sql)).lower()
    if "advisory" in text and _LOCK.search(text):
        raise WriteOnReplica(
            "An advisory lock on a replica excludes nobody: take it on the primary."
        )
    if "set_config" in text and params:
        text = f"{text} {params}".lower()
    if "transaction_read_only" in text and _SWITCH.search(text):
        raise WriteOnReplica("A connection to a replica stays read-only: write on the primary.")
    if "write" in text and _READ_WRITE.search(_COMMENT.sub(" ", text)):
        raise WriteOnReplica("A transaction on a replica reads only: write on the primary.")
    if 'u&"' in text:
        raise WriteOnReplica('Names in the form U&"..." are not read by the guard of a replica.')


def _text(sql: Any) -> str:
    if isinstance(sql, bytes):
        return sql.decode(errors="replace")
    return str(sql.as_string(None) if hasattr(sql, "as_string") else sql)


class Guarded:
    """A psycopg cursor class's methods that send statements, each looked at first."""

    def execute(self, query: Any, params: Any = None, *args: Any, **kwargs: Any) -> Any:
        refuse_on_replica(query, params)
        return super().execute(query, params, *args, **kwargs)  # type: ignore[misc]  # a mixin

    def executemany(self, query: Any, *args: Any, **kwargs: Any) -> Any:
        refuse_on_replica(query)
        return super().executemany(query, *args, **kwargs)  # type: ignore[misc]  # a mixin

    def stream(self, query: Any, params: Any = None, *args: Any, **kwargs: Any) -> Any:
        refuse_on_replica(query, params)
        return super().stream(query, params, *args, **kwargs)  # type: ignore[misc]  # a mixin

    def copy(self, statement: Any, params: Any = None, *args: Any, **kwargs: Any) -> Any:
        refuse_on_replica(statement, params)
        return super().copy(statement, params, *args, **kwargs)  # type: ignore[misc]  # a mixin


_classes: dict[type, type] = {}


def guarded(cursor_class: type) -> type:
    """Return a subclass of a psycopg cursor that refuses what a replica must not be asked."""
    if cursor_class not in _classes:
        _classes[cursor_class] = type(
            f"Guarded{cursor_class.__name__}", (Guarded, cursor_class), {}
        )
    return _classes[cursor_class]


class GuardedNamed:
    """A server-side cursor, which Django makes itself, with `execute` looked at first."""

    def __init__(self, cursor: Any) -> None:
        self._cursor = cursor

    def __getattr__(self, name: str) -> Any:
        return getattr(self._cursor, name)

    def __iter__(self) -> Iterator[Any]:
        return iter(self._cursor)

    def execute(self, query: Any, params: Any = None, *args: Any, **kwargs: Any) -> Any:
        refuse_on_replica(query, params)
        return self._cursor.execute(query, params, *args, **kwargs)


@contextmanager
def reading_only(primary: Any) -> Iterator[None]:
    """Let a primary that stands in for a replica refuse writes as that would, functions that write included."""
    if primary.vendor != "postgresql" or primary.autocommit is False:
        yield
        return
    with primary.wrap_database_errors:
        primary.connection.execute("SET default_transaction_read_only = on")
    try:
        yield
    finally:
        with suppress(primary.Database.Error):  # a connection that broke is given up anyway
            primary.connection.execute("RESET default_transaction_read_only")
