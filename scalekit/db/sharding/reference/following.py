"""How far each shard follows `default`."""
# ruff: noqa: SLF001 - _meta is Django's documented API

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import Any

from django.db import Error, OperationalError

from scalekit.db.sharding.mapping.connecting import own_connection
from scalekit.db.sharding.reference.fanout import reference_models, shards
from scalekit.db.sharding.reference.publishing import published
from scalekit.db.sharding.reference.source import SUBSCRIPTION
from scalekit.db.sharding.reference.statements import PATIENCE, execute, rows, slot_name, waiting

HERE = Path(__file__).parent
SLOT = (HERE / "slot.sql").read_text()
SUBSCRIBED = (HERE / "subscription.sql").read_text()


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


def state_of(alias: str) -> Replicated:
    """Return how a shard is doing, with what is wrong, if anything is."""
    wanted = {model._meta.db_table for model in reference_models()}
    with own_connection() as default:
        slot = slot_state(default, alias)
        missing = wanted - published(default)
    errors = 0
    try:
        with own_connection(alias) as shard:
            found = rows(shard, SUBSCRIBED, [SUBSCRIPTION])
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
    found = rows(default, SLOT, [slot_name(default, alias)])
    return Slot(*found[0]) if found else None


def forgotten_slots(default: Any) -> list[str]:
    """Return the slots of shards that are in the settings no more: `default` keeps its log for them for ever."""
    known = {slot_name(default, alias) for alias in shards()}
    beginning = slot_name(default, "")
    sql = "SELECT slot_name::text FROM pg_replication_slots WHERE starts_with(slot_name::text, %s) ORDER BY 1"
    return [name for (name,) in rows(default, sql, [beginning]) if name not in known]


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


def catch_up(alias: str, seconds: float = PATIENCE) -> None:
    """Return when a shard shows all that is committed on `default` now. Raises `OperationalError`."""
    with own_connection() as default:
        slot = slot_name(default, alias)
        # A record of its own, for the log of an idle server may end at a position that no shard ever confirms.
        execute(default, "SELECT pg_logical_emit_message(true, 'scalekit', '')")
        end = rows(default, "SELECT pg_current_wal_lsn()::text", [])[0][0]
        sql = "SELECT FROM pg_replication_slots WHERE slot_name = %s AND confirmed_flush_lsn >= %s::pg_lsn"
        for _ in waiting(seconds):
            if rows(default, sql, [slot, end]):
                return
    raise OperationalError(f"{alias} did not catch up with default within {seconds:g} s.")
