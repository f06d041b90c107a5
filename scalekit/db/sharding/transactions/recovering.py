"""End what a coordinator has left prepared: committed where that was decided, else rolled back after a while."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from django.db import DEFAULT_DB_ALIAS, Error, OperationalError, connections

from scalekit.db.cluster import current_cluster
from scalekit.db.events import TRANSACTION_RECOVERED
from scalekit.db.sharding.mapping.connecting import own_connection
from scalekit.db.sharding.transactions.names import owner_of, parse, prefix
from scalekit.db.sharding.transactions.settling import OUTCOME, end, settled

if TYPE_CHECKING:
    from collections.abc import Iterator
    from uuid import UUID

HERE = Path(__file__).parent
PREPARED = (HERE / "prepared.sql").read_text()
FORGET = (HERE / "forget.sql").read_text()
LOCK_NOT_AVAILABLE = "55P03"
KEPT_DAYS = 30  # decisions outlive any coordinator, and any failover to a standby that is behind


@dataclass(frozen=True, slots=True)
class Prepared:
    """One shard's part of a transaction that waits for its outcome; `age` in seconds."""

    alias: str
    gid: str
    transaction: UUID
    group: str
    age: float


@dataclass(frozen=True, slots=True)
class Recovered:
    """What was done about it, or would be: commit, rollback, wait, or that somebody else was quicker."""

    part: Prepared
    action: str


@dataclass(frozen=True, slots=True)
class Unreached:
    """A shard that did not answer: what is prepared there stays so."""

    alias: str
    error: str


def shards_with_transactions() -> list[str]:
    """Return the shards that may hold prepared transactions of ours."""
    if connections[DEFAULT_DB_ALIAS].vendor != "postgresql":
        return []  # two_phase() is refused there
    aliases = dict.fromkeys(shard.primary.alias for shard in current_cluster().shards)
    return [alias for alias in aliases if connections[alias].vendor == "postgresql"]


def prepared_on(alias: str, owner: str) -> list[Prepared]:
    """Return our prepared transactions on a shard, the oldest first, also of a time when it had another alias.

    Raises Django's errors.
    """
    with own_connection(alias) as connection, connection.cursor() as cursor:
        cursor.execute(PREPARED, [prefix(owner)])
        rows = cursor.fetchall()
    named = ((gid, age, parse(owner, gid)) for gid, age in rows)
    return [
        Prepared(alias, gid, name.transaction, name.group, age)
        for gid, age, name in named
        if name is not None
    ]


def recover(grace: float, *, dry_run: bool = False) -> Iterator[Recovered | Unreached]:
    """End each prepared transaction; those without a decision if they are older than `grace` seconds.

    Any number may run at once, and beside living coordinators. Raises Django's errors if `default` is down.
    """
    shards = shards_with_transactions()
    if not shards:
        return
    with own_connection() as connection:
        owner = owner_of(connection)
    left: set[UUID] = set()
    complete = True
    for alias in shards:
        for one in _recovered_on(alias, owner, grace, dry_run=dry_run):
            if isinstance(one, Unreached):
                complete = False
            else:
                left.add(one.part.transaction)
            yield one
    if complete and not dry_run:
        _forget(left)


def _recovered_on(
    alias: str, owner: str, grace: float, *, dry_run: bool
) -> Iterator[Recovered | Unreached]:
    try:
        parts = prepared_on(alias, owner)
    except Error as error:
        yield Unreached(alias, str(error).strip())
        return
    for part in parts:
        yield _recovered(part, grace, dry_run=dry_run)


def _recovered(part: Prepared, grace: float, *, dry_run: bool) -> Recovered | Unreached:
    outcome = _decided(part)
    if outcome is None and part.age < grace:
        return Recovered(part, "wait")
    if dry_run:
        return Recovered(part, outcome or "rollback")
    try:
        outcome = outcome or settled(part.transaction, part.group)
    except OperationalError as error:
        if getattr(error.__cause__, "sqlstate", None) != LOCK_NOT_AVAILABLE:
            raise
        return Recovered(
            part, "wait"
        )  # its coordinator has written what it decided, and not committed it
    try:
        with own_connection(part.alias) as connection:
            was_left = end(connection, part.gid, outcome)
    except Error as error:
        return Unreached(part.alias, str(error).strip())
    if was_left:
        TRANSACTION_RECOVERED.emit(alias=part.alias, outcome=outcome, gid=part.gid)
    return Recovered(part, outcome if was_left else "done by another")


def _decided(part: Prepared) -> str | None:
    with own_connection() as connection, connection.cursor() as cursor:
        cursor.execute(OUTCOME, [part.transaction])
        row = cursor.fetchone()
    return None if row is None else str(row[0])


def _forget(left: set[UUID]) -> None:
    """Delete old decisions; every shard has said that it waits for none of them."""
    with own_connection() as connection, connection.cursor() as cursor:
        cursor.execute(FORGET, [KEPT_DAYS, list(left)])
