"""What happens between a query and its database, for whoever counts or logs it."""

from __future__ import annotations

import logging

from scalekit.core.events import Event

READ_ROUTED = Event("db_read_routed", "A read was given a server.", labels=("alias", "reason"))
REPLICA_DOWN = Event(
    "db_replica_down",
    "A replica failed, hangs, lags or is cut off, and left the rotation.",
    labels=("alias", "reason"),
    level=logging.WARNING,
)
REPLICA_UP = Event(
    "db_replica_up",
    "A replica is well again and back in rotation.",
    labels=("alias",),
    level=logging.INFO,
)
REPLICA_LAG = Event(
    "db_replica_lag",
    "A replica was probed; `lag` is how many seconds it is behind its primary.",
    labels=("alias",),
    seconds="lag",
)
MONITOR_BLIND = Event(
    "db_monitor_blind",
    "A server answers, but does not let the monitor see where its log ends.",
    labels=("alias",),
    level=logging.WARNING,
)
READ_RETRIED = Event(
    "db_read_retried",
    "A read failed on its server and was run again on another.",
    labels=("alias", "next"),
    level=logging.INFO,
)
VISITOR_PINNED = Event(
    "db_visitor_pinned",
    "A visitor wrote, so their next reads go where that can be seen.",
    labels=("alias",),
)
PIN_REFUSED = Event(
    "db_pin_refused",
    "A consistency token of a cookie or header was forged, damaged or absurd.",
    labels=("source", "reason"),
    level=logging.WARNING,
)
PIN_EXPIRED = Event(
    "db_pin_expired",
    "A consistency token came that was too old to demand anything.",
    labels=("source",),
)
PINNING_FAILED = Event(
    "db_pinning_failed",
    "The cache that tells a user's devices of each other's writes did not answer.",
    level=logging.WARNING,
)
POSITION_UNKNOWN = Event(
    "db_position_unknown",
    "A primary did not say where its log ends: the visitor's reads go to it, and to no replica.",
    labels=("alias",),
    level=logging.WARNING,
)
SCATTERED = Event(
    "db_scattered", "A query was sent to several shards.", labels=("group",), level=None
)
SHARD_FAILED = Event(
    "db_shard_failed",
    "A shard did not answer, and is missing in a partial answer.",
    labels=("alias", "group"),
    level=logging.WARNING,
)
READS_FREED = Event(
    "db_reads_freed",
    "A server hung; reads that waited for it were woken, to be run elsewhere.",
    labels=("alias",),
    level=logging.WARNING,
)
PRIMARY_SILENT = Event(
    "db_primary_silent",
    "A primary did not answer the monitor; it is looked for among its hosts.",
    labels=("alias",),
)
PRIMARY_DOWN = Event(
    "db_primary_down",
    "A primary cannot be reached: its data is read-only until it, or another, is back.",
    labels=("alias",),
    level=logging.ERROR,
)
PRIMARY_UP = Event(
    "db_primary_up",
    "A primary takes writes again.",
    labels=("alias",),
    seconds="seconds",
    level=logging.WARNING,
)
PRIMARY_MOVED = Event(
    "db_primary_moved",
    "Another server was promoted to be the primary of a cluster.",
    level=logging.WARNING,
)
SPLIT_BRAIN = Event(
    "db_split_brain",
    "A server takes writes although another was promoted in its place; it was refused.",
    labels=("alias",),
    level=logging.CRITICAL,
)
SHARD_MAP_CHANGED = Event(
    "db_shard_map_changed",
    "This process goes by a newer slot map from now on.",
    labels=("group",),
    level=logging.INFO,
)
SHARD_MAP_UNREAD = Event(
    "db_shard_map_unread",
    "The slot map could not be read again; this process goes on by the one it has.",
    labels=("group",),
    level=logging.WARNING,
)
HOT_KEY = Event(
    "db_hot_key",
    "One shard key got a large share of its group's traffic in a window of this process.",
    labels=("group",),
    level=logging.WARNING,
)
REFERENCE_QUEUED = Event(
    "db_reference_queued",
    "Rows of reference tables could not be brought to a shard; they wait for it on the default database.",
    labels=("alias",),
    level=logging.WARNING,
)
REFERENCE_DIVERGED = Event(
    "db_reference_diverged",
    "A shard's copy of a reference table differs from the default database.",
    labels=("alias", "table"),
    level=logging.ERROR,
)
REFERENCE_REPAIRED = Event(
    "db_reference_repaired",
    "A shard was given its copies of all reference tables anew.",
    labels=("alias",),
    level=logging.WARNING,
)
TWO_PHASE_ENDED = Event(
    "db_two_phase_ended",
    "A transaction over several shards was committed, rolled back or left to recovery.",
    labels=("group", "outcome"),
    level=None,
)
TRANSACTION_RECOVERED = Event(
    "db_transaction_recovered",
    "A prepared transaction whose coordinator is gone was committed or rolled back.",
    labels=("alias", "outcome"),
    level=logging.WARNING,
)
KEY_TRAFFIC_UNSTORED = Event(
    "db_key_traffic_unstored",
    "What this process has counted of shard keys could not be stored on the default database.",
    level=logging.WARNING,
)
SHARD_MIGRATED = Event(
    "db_shard_migrated",
    "A shard has all the migrations that `migrate_shards` was to run on it.",
    labels=("alias",),
    seconds="seconds",
    level=logging.INFO,
)
SHARD_MIGRATION_FAILED = Event(
    "db_shard_migration_failed",
    "A migration failed on a shard, and no further shard was begun.",
    labels=("alias",),
    level=logging.ERROR,
)
ID_LEASE_FAILED = Event(
    "db_id_lease_failed",
    "A process got no number to make ids with, and makes them at random for a while.",
    level=logging.WARNING,
)
LOOKUP_RECLAIMED = Event(
    "db_lookup_reclaimed",
    "A value that is unique across shards was reserved by a writer who is gone, and is free again.",
    labels=("model",),
    level=logging.INFO,
)
