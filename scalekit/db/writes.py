"""See writes as they are executed, so that a visitor is pinned by what was written, not by guesses.

    mark_written("default")     # after a write that no statement shows: a function, a COPY

Only primaries with replicas are watched, and only inside requests and jobs.
"""

from __future__ import annotations

import re
from functools import partial
from typing import TYPE_CHECKING, Any

from django.db import connections
from django.db.backends.signals import connection_created

from scalekit.core.context import current_unit, unit_of_work
from scalekit.db.cluster import current_cluster
from scalekit.db.events import VISITOR_PINNED
from scalekit.db.facts import PINS, dealings, pin
from scalekit.db.transactions import is_open, is_testing

if TYPE_CHECKING:
    from collections.abc import Callable

    from django.db.backends.base.base import BaseDatabaseWrapper

_BLANK = re.compile(r"(?:--[^\n]*(?:\n|$)|[\s(;]+)*")
_MARK = re.compile(r"/\*|\*/")
_WORD = re.compile(r"[A-Za-z]+")
_HIDDEN_WRITE = re.compile(r"\b(?:INSERT|UPDATE|DELETE|MERGE|INTO|ANALYZE)\b", re.IGNORECASE)
_READS = frozenset({"SELECT", "WITH", "VALUES", "TABLE", "EXPLAIN"})
_NEUTRAL = frozenset(
    {"SHOW", "SET", "RESET", "PRAGMA", "USE", "LISTEN", "UNLISTEN", "DISCARD", "DEALLOCATE"}
    | {"BEGIN", "START", "COMMIT", "END", "ROLLBACK", "ABORT", "SAVEPOINT", "RELEASE"}
    | {"DECLARE", "FETCH", "MOVE", "CLOSE", "CHECKPOINT"}
)


def is_write(sql: Any) -> bool:
    """Return whether a statement changes data, as far as its words tell; in doubt, it does.

    A SELECT counts as a read although a function in it may write.
    """
    text = sql if isinstance(sql, str) else _text(sql)
    word = _WORD.match(text, _beginning(text))
    first = word.group().upper() if word else ""
    if first == "SELECT" and ";" not in text and "INTO" not in text.upper():
        return False
    if first in _READS:
        return bool(_HIDDEN_WRITE.search(text))
    return first not in _NEUTRAL or ";" in text.rstrip("; \t\r\n")


def _beginning(text: str) -> int:
    """Return where a statement begins, behind brackets and comments, which PostgreSQL lets nest."""
    at = _blank(text, 0)
    while text.startswith("/*", at):
        depth = 0
        for mark in _MARK.finditer(text, at):
            depth += 1 if mark.group() == "/*" else -1
            if depth == 0:
                at = _blank(text, mark.end())
                break
        else:
            return len(text)  # a comment without an end: in doubt, a write
    return at


def _blank(text: str, at: int) -> int:
    found = _BLANK.match(text, at)
    return found.end() if found else at


def _text(sql: Any) -> str:
    """Return the text of psycopg's composed SQL, and of bytes."""
    if isinstance(sql, bytes):
        return sql.decode(errors="replace")
    return str(sql.as_string(None) if hasattr(sql, "as_string") else sql)


def observe_writes() -> None:
    """Watch every connection that is opened from now on."""
    connection_created.connect(_watch, dispatch_uid="scalekit.db.writes")


def _watch(connection: BaseDatabaseWrapper, **_: Any) -> None:
    """Watch a primary that has replicas; on others a write needs no remembering."""
    primary = current_cluster().primaries.get(connection.alias)
    if primary is not None and primary.replicas and _observe not in connection.execute_wrappers:
        # First, since Django's `execute_wrapper()` removes the last one when its block ends.
        connection.execute_wrappers.insert(0, _observe)


def _observe(
    execute: Callable[..., Any], sql: Any, params: Any, many: bool, context: dict[str, Any]
) -> Any:
    result = execute(sql, params, many, context)
    if current_unit() is not None and is_write(sql):
        _written_on(context["connection"])
    return result


def mark_written(alias: str = "default") -> None:
    """Pin this visitor to primary `alias` once the transaction commits, as an observed write does."""
    if current_unit() is not None:
        _written_on(connections[alias])


def _written_on(connection: BaseDatabaseWrapper) -> None:
    """Pin at once in autocommit, otherwise on commit; a rollback, also to a savepoint, drops the pin."""
    if not connection.in_atomic_block or not is_open(connection):
        _committed(connection.alias)
        return
    done = dealings()
    if done is None or any(_is_ours(entry[1], done) for entry in connection.run_on_commit):
        return
    # Not for this unit of work, which reads inside its transaction anyway, but for jobs that are enqueued
    # in the transaction and carry its facts.
    done.uncommitted.setdefault(connection.alias, PINS.get().get(connection.alias))
    pin(connection.alias)
    hook = partial(_committed_in, current_unit(), connection.alias, done)
    connection.on_commit(hook, robust=True)
    if not is_testing():  # Django's captureOnCommitCallbacks counts on the order
        # Before all others: one may read what was written here, and one that raises ends the row.
        connection.run_on_commit.insert(0, connection.run_on_commit.pop())


def _is_ours(hook: Any, done: Any) -> bool:
    return isinstance(hook, partial) and hook.func is _committed_in and hook.args[2] is done


def _committed_in(unit: Any, alias: str, _done: Any) -> None:
    with unit_of_work(unit):
        _committed(alias)


def _committed(alias: str) -> None:
    done = dealings()
    if done is None:
        return
    done.uncommitted.pop(alias, None)
    if alias not in done.written:
        done.written.add(alias)
        VISITOR_PINNED.emit(alias=alias)
    pin(alias)
