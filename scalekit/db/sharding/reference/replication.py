"""Logical replication of reference tables: a publication on `default`, a subscription and a slot for each shard.

A slot exists before its subscription, since CREATE SUBSCRIPTION would wait for itself where both databases are on
one server; and the first rows are copied as of the very point at which the slot begins, in the transaction that
creates the subscription. So readers see the old copy or the new one, never an empty table, and making anew
(`resynchronise`) is the one way in which a shard is set up, extended and repaired.
"""

# ruff: noqa: SLF001 - _meta is Django's documented API

from __future__ import annotations

import time
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from django.db import Error, OperationalError

from scalekit.db.events import REFERENCE_REPAIRED
from scalekit.db.sharding.mapping.connecting import own_connection
from scalekit.db.sharding.reference.delivering import COPYING
from scalekit.db.sharding.reference.fanout import columns_of, reference_models
from scalekit.db.sharding.reference.source import (
    FAILOVER_SLOTS,
    PUBLICATION,
    SUBSCRIPTION,
    conninfo,
    new_slot,
    slot_of,
)

if TYPE_CHECKING:
    from collections.abc import Iterator

HERE = Path(__file__).parent
REFUSE_WRITES = (HERE / "refuse_writes.sql").read_text()
CREATE_TRIGGER = (HERE / "create_trigger.sql").read_text()
SLOT = (HERE / "slot.sql").read_text()
SUBSCRIBED = (HERE / "subscription.sql").read_text()
PATIENCE = 30.0  # seconds for a worker to end, or a shard to catch up


@dataclass(frozen=True, slots=True)
class Replicated:
    """How one shard is doing. `lag` is how many bytes of log `default` keeps for it."""

    alias: str
    problem: str = ""
    lag: int = 0
    wal_status: str = ""
    left: int | None = None
    errors: int = 0


@dataclass(frozen=True, slots=True)
class Slot:
    """What `default` keeps for a shard: `lag` and `left` in bytes, the latter None without a limit."""

    active: bool
    wal_status: str
    left: int | None
    lag: int
    limit: str


def publish(*, dry_run: bool = False) -> str:
    """Let the publication name every reference table; return what that took."""
    tables = [model._meta.db_table for model in reference_models()]
    with own_connection() as default:
        if published(default) == set(tables):
            return ""
        names = ", ".join(default.ops.quote_name(table) for table in tables)
        is_new = not _rows(default, "SELECT FROM pg_publication WHERE pubname = %s", [PUBLICATION])
        verb, what = ("CREATE", "FOR TABLE") if is_new else ("ALTER", "SET TABLE")
        statement = f"{verb} PUBLICATION {PUBLICATION} {what} {names}"
        if not dry_run:
            _execute(default, statement)
        return statement


def published(default: Any) -> set[str]:
    """Return the tables that `default` publishes to shards."""
    sql = "SELECT tablename FROM pg_publication_tables WHERE pubname = %s"
    return {row[0] for row in _rows(default, sql, [PUBLICATION])}


def state_of(alias: str) -> Replicated:
    """Return how a shard is doing, with what is wrong, if anything is."""
    wanted = {model._meta.db_table for model in reference_models()}
    with own_connection() as default:
        slot = slot_state(default, alias)
        missing = wanted - published(default)
    errors = 0
    try:
        with own_connection(alias) as shard:
            found = _rows(shard, SUBSCRIBED, [SUBSCRIPTION])
    except Error as error:
        problem = f"does not answer: {str(error).strip()}"
    else:
        problem = _problem(found, slot, wanted, missing)
        errors = int(found[0][2]) if found else 0
    if slot is None:
        return Replicated(alias, problem, errors=errors)
    return Replicated(alias, problem, slot.lag, slot.wal_status, slot.left, errors)


def slot_state(default: Any, alias: str) -> Slot | None:
    """Return the slot of a shard, None if it has none."""
    found = _rows(default, SLOT, [_slot(default, alias)])
    return Slot(*found[0]) if found else None


def _problem(found: list[Any], slot: Slot | None, wanted: set[str], missing: set[str]) -> str:
    if not found:
        return "has no subscription"
    enabled, running, _, subscribed = found[0]
    unknown = wanted - {name.replace('"', "") for name in subscribed}
    lost = slot is not None and slot.wal_status == "lost"
    problems = {
        f"{', '.join(sorted(missing))} is not published": missing,
        "does not subscribe to every table": unknown,
        "its slot on default is gone": slot is None,
        "was away for longer than default keeps its log (max_slot_wal_keep_size)": lost,
        "its subscription is disabled": not enabled,
        "its subscription is not running": not running or (slot is not None and not slot.active),
    }
    return next((text for text, holds in problems.items() if holds), "")


def resynchronise(alias: str) -> None:
    """Copy every reference table to a shard, and return when it follows from that very point.

    Raises Django's errors.
    """
    with own_connection(alias) as shard, own_connection() as default:
        shard.ensure_connection()
        default.ensure_connection()
        slot = _slot(default, alias)
        _unsubscribe(shard)
        _drop_slot(default, slot)
        failover = _knows_failover(default) and _knows_failover(shard)
        try:
            with new_slot(slot, failover=failover) as snapshot:
                _fill_as_of(snapshot, default, shard, slot, failover=failover)
        except BaseException:  # a slot that nobody reads keeps the log for ever
            _drop_slot(default, slot)
            raise
    catch_up(alias)
    REFERENCE_REPAIRED.emit(alias=alias)


def _fill_as_of(snapshot: str, default: Any, shard: Any, slot: str, *, failover: bool) -> None:
    raw = default.connection
    with default.wrap_database_errors, raw.transaction():
        raw.execute("SET TRANSACTION ISOLATION LEVEL REPEATABLE READ, READ ONLY")
        raw.execute(f"SET TRANSACTION SNAPSHOT '{snapshot}'")
        _fill(default, shard, slot, failover=failover)


def _fill(default: Any, shard: Any, slot: str, *, failover: bool) -> None:
    """Replace the rows of a shard and subscribe it, in one transaction there."""
    raw, models = shard.connection, reference_models()
    with shard.wrap_database_errors, raw.transaction():
        raw.execute(COPYING)
        raw.execute(REFUSE_WRITES)
        for model in reversed(models):
            table = shard.ops.quote_name(model._meta.db_table)
            raw.execute(CREATE_TRIGGER.format(table=table))
            raw.execute(f"DELETE FROM {table}")  # noqa: S608 - a quoted name
        for model in models:
            _copy(default, shard, model)
        raw.execute(_subscribe(slot, failover=failover))


def _copy(default: Any, shard: Any, model: Any) -> None:
    quote = shard.ops.quote_name
    target = f"{quote(model._meta.db_table)} ({', '.join(map(quote, columns_of(model)))})"
    with (
        default.connection.cursor() as reading,
        shard.connection.cursor() as writing,
        reading.copy(f"COPY {target} TO STDOUT") as rows,
        writing.copy(f"COPY {target} FROM STDIN") as copy,
    ):
        for part in rows:
            copy.write(part)


def _subscribe(slot: str, *, failover: bool) -> str:
    from psycopg import sql

    source = sql.Literal(conninfo(for_servers=True)).as_string(None)
    options = f"create_slot = false, slot_name = '{slot}', copy_data = false"
    if failover:
        options += ", failover = true"
    return f"CREATE SUBSCRIPTION {SUBSCRIPTION} CONNECTION {source} PUBLICATION {PUBLICATION} WITH ({options})"


def drop(alias: str) -> None:
    """End the replication to a shard; its rows stay, and may be written there again."""
    with own_connection(alias) as shard:
        shard.ensure_connection()
        _unsubscribe(shard)
        _execute(shard, "DROP FUNCTION IF EXISTS scalekit_refuse_copy() CASCADE")
    with own_connection() as default:
        _drop_slot(default, _slot(default, alias))


def unpublish() -> None:
    with own_connection() as default:
        _execute(default, f"DROP PUBLICATION IF EXISTS {PUBLICATION}")


def catch_up(alias: str, seconds: float = PATIENCE) -> None:
    """Return when a shard shows all that is committed on `default` now. Raises `OperationalError`."""
    with own_connection() as default:
        slot = _slot(default, alias)
        # A record of its own, for the log of an idle server may end at a position that no shard ever confirms.
        _execute(default, "SELECT pg_logical_emit_message(true, 'scalekit', '')")
        end = _rows(default, "SELECT pg_current_wal_lsn()::text", [])[0][0]
        sql = "SELECT FROM pg_replication_slots WHERE slot_name = %s AND confirmed_flush_lsn >= %s::pg_lsn"
        for _ in _waiting(seconds):
            if _rows(default, sql, [slot, end]):
                return
    raise OperationalError(f"{alias} did not catch up with default within {seconds:g} s.")


def _unsubscribe(shard: Any) -> None:
    if not _rows(shard, SUBSCRIBED, [SUBSCRIPTION]):
        return
    for what in ("DISABLE", "SET (slot_name = NONE)"):
        _execute(shard, f"ALTER SUBSCRIPTION {SUBSCRIPTION} {what}")
    _execute(shard, f"DROP SUBSCRIPTION {SUBSCRIPTION}")


def _drop_slot(default: Any, slot: str) -> None:
    """Drop a slot, when its last sender has noticed that the subscription is gone."""
    for _ in _waiting(PATIENCE):
        found = _rows(
            default, "SELECT active_pid FROM pg_replication_slots WHERE slot_name = %s", [slot]
        )
        if not found:
            return
        if found[0][0] is None:
            _execute(default, f"SELECT pg_drop_replication_slot('{slot}')")
        else:
            _execute(default, f"SELECT pg_terminate_backend({int(found[0][0])})")
    raise OperationalError(f"The slot {slot} on default is still in use.")


def _slot(default: Any, alias: str) -> str:
    sql = "SELECT oid::bigint FROM pg_database WHERE datname = current_database()"
    return slot_of(alias, _rows(default, sql, [])[0][0])


def _knows_failover(connection: Any) -> bool:
    return bool(connection.connection.info.server_version >= FAILOVER_SLOTS)


def _waiting(seconds: float) -> Iterator[None]:
    end = time.monotonic() + seconds
    while time.monotonic() < end:
        yield
        time.sleep(0.05)


def _rows(connection: Any, sql: str, params: list[Any]) -> list[Any]:
    with connection.cursor() as cursor:
        cursor.execute(sql, params)
        return list(cursor.fetchall())


def _execute(connection: Any, sql: str) -> None:
    with connection.cursor() as cursor:
        cursor.execute(sql)
