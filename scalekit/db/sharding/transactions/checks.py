"""System checks of transactions over several shards."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from django.core.checks import (
    CheckMessage,
    Error,
    Warning,  # noqa: A004 - Django's name
)
from django.db import DEFAULT_DB_ALIAS, connections

from scalekit.core.exceptions import SettingInvalid
from scalekit.db.conf import settings
from scalekit.db.sharding.mapping.connecting import own_connection
from scalekit.db.sharding.transactions.names import owner_of
from scalekit.db.sharding.transactions.recovering import prepared_on

if TYPE_CHECKING:
    from collections.abc import Iterator

    from scalekit.db.topology import Cluster

LATE = 300.0  # seconds after which a prepared transaction has been forgotten by whoever should recover it


def faults_of_transactions(cluster: Cluster) -> Iterator[CheckMessage]:
    """Find what the settings say wrong about shards' transactions."""
    try:
        groups = settings.TWO_PHASE
    except SettingInvalid:  # scalekit.core.E002 says so
        return
    for group in groups:
        if group not in settings.SHARDING:
            known = ", ".join(settings.SHARDING) or "none"
            yield Error(
                f"SCALEKIT_DB_TWO_PHASE names the group {group!r}, which SCALEKIT_DB_SHARDING does not have.",
                hint=f"Groups are: {known}.",
                id="scalekit.db.E051",
            )
    for alias in sorted(cluster.shard_aliases):
        if connections.settings[alias]["ATOMIC_REQUESTS"]:
            yield Warning(
                f"Every request opens a transaction on the shard {alias}, also those that work on another.",
                hint=f'Remove ATOMIC_REQUESTS from DATABASES["{alias}"]; put shard_atomic() around what writes.',
                id="scalekit.db.W051",
            )


def faults_of_shard(cluster: Cluster, alias: str) -> Iterator[CheckMessage]:
    """Find what keeps the server of a shard from two-phase commits, or was left there by them."""
    groups = {shard.group for shard in cluster.shards if shard.primary.alias == alias}
    if not groups & set(settings.TWO_PHASE):
        return
    if not _most_prepared(alias):
        yield Error(
            f"{alias} has max_prepared_transactions = 0, so two_phase() fails there.",
            hint="Set it to max_connections in postgresql.conf, on its standbys too, and restart the server.",
            id="scalekit.db.E050",
        )
        return
    late = [part for part in _left_on(alias) if part.age > LATE]
    if late:
        yield Warning(
            f"{alias} has {len(late)} prepared transactions that nobody has ended, the oldest for "
            f"{late[0].age:.0f} s. They hold their locks, and keep VACUUM from cleaning up.",
            hint="Run manage.py recover_transactions, and see why it does not run every minute.",
            id="scalekit.db.W050",
        )


def _most_prepared(alias: str) -> int:
    with connections[alias].cursor() as cursor:
        cursor.execute("SELECT current_setting('max_prepared_transactions')::int")
        return int(cursor.fetchone()[0])


def _left_on(alias: str) -> list[Any]:
    if connections[DEFAULT_DB_ALIAS].vendor != "postgresql":
        return []
    with own_connection() as connection:
        owner = owner_of(connection)
    return prepared_on(alias, owner)
