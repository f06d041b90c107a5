"""Logical replication of reference tables: a publication on `default`, a subscription and a slot for each shard.

A slot exists before its subscription, since CREATE SUBSCRIPTION would wait for itself where both databases are on
one server; and the first rows are copied as of the very point at which the slot begins, in the transaction that
creates the subscription. So readers see the old copy or the new one, never an empty table, and making anew
(`resynchronise`) is the one way in which a shard is set up, extended and repaired.
"""
# ruff: noqa: SLF001 - _meta is Django's documented API

from __future__ import annotations

from pathlib import Path
from typing import Any

from django.db import OperationalError

from scalekit.db.events import REFERENCE_REPAIRED
from scalekit.db.sharding.mapping.connecting import own_connection
from scalekit.db.sharding.reference.delivering import COPYING
from scalekit.db.sharding.reference.fanout import columns_of, reference_models
from scalekit.db.sharding.reference.following import SUBSCRIBED, catch_up
from scalekit.db.sharding.reference.source import (
    FAILOVER_SLOTS,
    PUBLICATION,
    SUBSCRIPTION,
    conninfo,
    new_slot,
)
from scalekit.db.sharding.reference.statements import PATIENCE, execute, rows, slot_name, waiting

HERE = Path(__file__).parent
REFUSE_WRITES = (HERE / "refuse_writes.sql").read_text()
ALONE = "SELECT pg_try_advisory_lock(hashtextextended(%s, 0))"  # two would drop each other's slot
CREATE_TRIGGER = (HERE / "create_trigger.sql").read_text()


def resynchronise(alias: str) -> None:
    """Copy every reference table to a shard, and return when it follows from that very point.

    Raises Django's errors.
    """
    with own_connection(alias) as shard, own_connection() as default:
        shard.ensure_connection()
        default.ensure_connection()
        slot = slot_name(default, alias)
        if not rows(default, ALONE, [slot])[0][0]:
            raise OperationalError(f"Another process is copying to {alias} just now.")
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
        reading.copy(f"COPY {target} TO STDOUT") as parts,
        writing.copy(f"COPY {target} FROM STDIN") as copy,
    ):
        for part in parts:
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
        execute(shard, "DROP FUNCTION IF EXISTS scalekit_refuse_copy() CASCADE")
    with own_connection() as default:
        _drop_slot(default, slot_name(default, alias))


def _unsubscribe(shard: Any) -> None:
    if not rows(shard, SUBSCRIBED, [SUBSCRIPTION]):
        return
    for what in ("DISABLE", "SET (slot_name = NONE)"):
        execute(shard, f"ALTER SUBSCRIPTION {SUBSCRIPTION} {what}")
    execute(shard, f"DROP SUBSCRIPTION {SUBSCRIPTION}")


def _drop_slot(default: Any, slot: str) -> None:
    """Drop a slot, when its last sender has noticed that the subscription is gone."""
    for _ in waiting(PATIENCE):
        found = rows(
            default, "SELECT active_pid FROM pg_replication_slots WHERE slot_name = %s", [slot]
        )
        if not found:
            return
        if found[0][0] is None:
            execute(default, f"SELECT pg_drop_replication_slot('{slot}')")
        else:
            execute(default, f"SELECT pg_terminate_backend({int(found[0][0])})")
    raise OperationalError(f"The slot {slot} on default is still in use.")


def _knows_failover(connection: Any) -> bool:
    return bool(connection.connection.info.server_version >= FAILOVER_SLOTS)
