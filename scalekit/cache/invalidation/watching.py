"""See what is written, statement by statement, through Django's own `execute_wrappers`."""

from __future__ import annotations

from contextlib import nullcontext
from typing import TYPE_CHECKING, Any
from weakref import WeakSet, ref

from django.core.exceptions import ValidationError
from django.db import DatabaseError, DataError, IntegrityError, ProgrammingError, connections
from django.db.backends.signals import connection_created

from scalekit.cache.invalidation.models import Target, names_of_rows
from scalekit.cache.invalidation.naming import on_server
from scalekit.cache.invalidation.opened import is_open
from scalekit.cache.invalidation.rows import MOST_ROWS
from scalekit.cache.invalidation.statements import only_reads, writes_of
from scalekit.cache.invalidation.transactions import note_write, transaction_of
from scalekit.cache.invalidation.watched import watched
from scalekit.core.context import current_unit, unit_of_work

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Sequence

    from django.db.backends.base.base import BaseDatabaseWrapper

    from scalekit.cache.invalidation.statements import Write

_QUIET = ("SELECT", "SAVEPOINT", "RELEASE", "ROLLBACK")
_REFUSED = (IntegrityError, DataError, ProgrammingError)  # the server said that nothing was written
_UNKNOWN = (LookupError, TypeError, ValueError, ValidationError)


def observe(
    execute: Callable[..., Any], sql: Any, params: Any, many: bool, context: dict[str, Any]
) -> Any:
    """Announce what a statement writes; a SELECT costs two looks at its text."""
    if type(sql) is str and sql.startswith(_QUIET) and ";" not in sql:
        return execute(sql, params, many, context)
    text = text_of(sql)
    if not only_reads(text):
        note_write(context["connection"])
    found = [] if watched.is_empty else _concerned(writes_of(text))
    if not found:
        return execute(sql, params, many, context)
    return _announced(lambda: execute(sql, params, many, context), found, params, many, context)


def text_of(sql: Any) -> str:
    """Return the text of psycopg's composed SQL, and of bytes."""
    if isinstance(sql, bytes):
        return sql.decode(errors="replace")
    return str(sql.as_string(None) if hasattr(sql, "as_string") else sql)


def _concerned(writes: Iterable[Write]) -> list[tuple[Write, Target]]:
    """Return the writes that end something, each with a model whose rows it changes."""
    return [
        (write, target)
        for write in writes
        for target in watched.targets_of(write.table, write.verb, cascades=write.cascades)
    ]


def _announced(
    call: Callable[[], Any],
    found: list[tuple[Write, Target]],
    params: Any,
    many: bool,
    context: dict[str, Any],
) -> Any:
    connection = context["connection"]
    _be_first(connection)
    transaction = transaction_of(connection)
    if transaction.is_large:  # name no more rows
        found = [(write, Target(target.model, None)) for write, target in found]
    transaction.hold(_by_cache(_names_before(found, params, many)))
    # Outside any unit of work nothing would remember which database was written: this one does.
    unit = unit_of_work(transaction.unit) if current_unit() is None else nullcontext()
    changed = True
    try:
        with unit:
            result = call()
            transaction.add(_by_cache(_names_after(found, context)))
    except DatabaseError as error:
        changed = not isinstance(error, _REFUSED)
        raise
    finally:
        if not is_open(connection):
            transaction.end(changed=changed)
    return result


def _by_cache(names: Sequence[str]) -> dict[str, tuple[str, ...]]:
    return {alias: on_server(alias, names) for alias in watched.aliases()} if names else {}


def _names_before(found: list[tuple[Write, Target]], params: Any, many: bool) -> list[str]:
    """Return the names that a statement is known to end before it runs."""
    names: list[str] = []
    for write, target in found:
        rows = () if _is_generated(write, target) else _rows(write, target, params, many)
        names.extend(_names(target, rows))
    return list(dict.fromkeys(names))


def _names_after(found: list[tuple[Write, Target]], context: dict[str, Any]) -> list[str]:
    """Return the names of rows to which the database has given their keys."""
    names: list[str] = []
    for write, target in found:
        if _is_generated(write, target):
            names.extend(_names(target, _generated(write, target, context)))
    return names


def _names(target: Target, rows: Sequence[Any] | None) -> list[str]:
    try:
        return list(names_of_rows(target.model, rows))
    except _UNKNOWN:
        return list(names_of_rows(target.model, None))


def _is_generated(write: Write, target: Target) -> bool:
    return (
        write.columns is not None
        and target.column is not None
        and target.column not in write.columns
    )


def _rows(write: Write, target: Target, params: Any, many: bool) -> Sequence[Any] | None:
    """Return the keys of the rows that are written; None where the statement does not say."""
    slots = write.rows.get(target.column or "")
    if slots is None or (many and not _is_short(params)):
        return None
    try:
        given = params if many else (params,)
        rows = [value for each in given for slot in slots for value in slot.values(each)]
    except _UNKNOWN:
        return None
    return rows if len(rows) <= MOST_ROWS else None


def _is_short(params: Any) -> bool:
    """Return whether the parameters of an executemany() may be read here: a generator gives them only once."""
    return isinstance(params, list | tuple) and len(params) <= MOST_ROWS


def _generated(write: Write, target: Target, context: dict[str, Any]) -> Sequence[Any] | None:
    """Return the keys that the database gave to the rows of an INSERT; None where it does not say."""
    cursor, vendor = context["cursor"].cursor, context["connection"].vendor
    if vendor == "postgresql":
        return _returned(cursor, target)
    single = any(len(slots) == 1 and not slots[0].each for slots in write.rows.values())
    if single and vendor in {"sqlite", "mysql"} and cursor.lastrowid:
        return (cursor.lastrowid,)
    return None


def _returned(cursor: Any, target: Target) -> Sequence[Any] | None:
    """Return a column of what INSERT ... RETURNING gave, and leave it to be fetched again."""
    names = [column[0].casefold() for column in cursor.description or ()]
    if target.column not in names or not hasattr(cursor, "scroll"):
        return None
    rows = cursor.fetchall()
    if rows:
        cursor.scroll(0, mode="absolute")
    at = names.index(target.column)
    told = len(rows) <= MOST_ROWS and all(isinstance(row, tuple) for row in rows)
    return [row[at] for row in rows] if told else None


def _be_first(connection: BaseDatabaseWrapper) -> None:
    """Stand around all other wrappers, so that what one of them remembers is remembered in our unit of work."""
    wrappers = connection.execute_wrappers
    if observe in wrappers and wrappers[0] is not observe:
        wrappers.remove(observe)
        wrappers.insert(0, observe)


# By id, since a WeakSet may not be iterated while threads add to it.
_connections: dict[int, ref[BaseDatabaseWrapper]] = {}
# Watched from the middle of a transaction on: whether it had written before, nobody has seen.
_late: WeakSet[BaseDatabaseWrapper] = WeakSet()


def watch_connections() -> None:
    """Look at every connection, of any thread, from the moment when something depends on models.

    One in whose thread anything at all is loaded is looked at from then on (`see_from_now_on`). A project
    that caches nothing pays nothing.
    """
    watched.on_begin = _begin
    connection_created.connect(_created, dispatch_uid="scalekit.cache.watching")
    for connection in connections.all(initialized_only=True):
        _created(connection)


def see_from_now_on(connection: BaseDatabaseWrapper) -> None:
    """Watch a connection of this thread; what its open transaction did before counts as a write."""
    _watch(connection)
    if connection in _late:
        _late.discard(connection)
        note_write(connection)


def _begin() -> None:
    if watched.is_empty:
        return
    for reference in list(_connections.values()):
        connection = reference()
        if connection is not None:
            _watch(connection)


def _created(connection: BaseDatabaseWrapper, **_: Any) -> None:
    key = id(connection)
    _connections[key] = ref(connection, lambda _: _connections.pop(key, None))
    if not watched.is_empty:
        _watch(connection)


def _watch(connection: BaseDatabaseWrapper) -> None:
    if observe not in connection.execute_wrappers:
        # First, since Django's `execute_wrapper()` removes the last one when its block ends.
        connection.execute_wrappers.insert(0, observe)
        if connection.in_atomic_block:
            _late.add(connection)
