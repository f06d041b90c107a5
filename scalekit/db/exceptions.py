"""What can go wrong between a query and its database."""

from __future__ import annotations

from django.core.exceptions import ValidationError
from django.db import IntegrityError, InternalError, OperationalError

from scalekit.core.exceptions import ScalekitError


class ShardKeyRequired(ScalekitError):
    """A query on a sharded model names no shard."""


class SeveralShards(ShardKeyRequired):
    """A query on a sharded model names rows of several shards."""


class WrongShard(ScalekitError):
    """A row would be written to another shard than the one its key belongs to."""


class CrossShardRelation(WrongShard, ValidationError, ValueError):
    """Rows of different shards, or of different shard groups, would be related; a form shows it as its error."""

    def __str__(self) -> str:
        return str(self.message)  # not a list of them, as a ValidationError says


class ShardGroupUnknown(ScalekitError, LookupError):
    """Neither the setting nor a model names this shard group."""


class CrossShardQuery(ScalekitError):
    """A query would have to join tables of different databases."""


class ScatterUnsupported(ScalekitError):
    """A query over all shards cannot be answered exactly as one database would."""


class CursorInvalid(ScalekitError, ValueError):
    """A page cursor is damaged, or belongs to another order."""


class ShardFailed(ScalekitError, OperationalError):
    """A shard did not answer.

    `alias` names it; what its database said is the cause (`__cause__`).
    """

    def __init__(self, message: str = "", *, alias: str = "") -> None:
        super().__init__(message)
        self.alias = alias


class ShardKeyInvalid(ScalekitError, TypeError):
    """A shard key is neither an integer, a string nor a UUID."""


class KeyDecides(ScalekitError):
    """In this shard group the key decides which shard holds a row, and only a slot is known."""


class KeyUnassigned(ScalekitError, LookupError):
    """A shard key has no shard yet, and its group gives none to a key that nobody assigned."""


class ShardLocked(ScalekitError):
    """A request that works on one shard would change to another."""


class ShardMapConflict(ScalekitError):
    """The slot map was changed by somebody else meanwhile, so this change was not made."""


class ShardMapInvalid(ScalekitError, ValueError):
    """The slot map has no such slot, shard or range."""


class ShardMapUnavailable(ScalekitError, OperationalError):
    """The slot map cannot be read, and this process has not read it before."""


class ShardMapStale(ScalekitError, OperationalError):
    """A slot has moved to another shard since this transaction began; run its block again."""


class ShardsBeingMigrated(ScalekitError):
    """Another process is migrating the shards. Wait for it, or leave out --no-wait to have that done here."""


class StrayMigration(ScalekitError):
    """A data migration would write to another database than the one it migrates."""


class CrossShardTransaction(ScalekitError):
    """A transaction would write to two shards, which could not be committed as one."""


class TwoPhaseUnavailable(ScalekitError):
    """A group's shards cannot be committed together."""


class TransactionRolledBack(ScalekitError, OperationalError):
    """A transaction over several shards was rolled back on all of them; run its block again."""


class TransactionInDoubt(ScalekitError, OperationalError):
    """A transaction over several shards waits for `recover_transactions`.

    `committed` is True if its outcome is settled and a shard has yet to be told, None if nobody knows it now.
    """

    def __init__(self, message: str = "", *, committed: bool | None = None) -> None:
        super().__init__(message)
        self.committed = committed


class WriteOnCopy(WrongShard):
    """A row of a reference table would be written to a shard, which has a copy; write it on `default`."""


class TokenRefused(ScalekitError, ValueError):
    """A consistency token is forged, damaged or absurd."""


class WriteOnReplica(ScalekitError, InternalError):
    """A statement that writes was given to a replica, and the primary stands in for it just now."""


class PrimaryDown(ScalekitError, OperationalError):
    """The primary cannot be reached just now, and nothing of this query was executed."""


class StalePrimary(ScalekitError, OperationalError):
    """A server takes writes although another was promoted in its place."""


class SplitRefused(ScalekitError):
    """A table cannot be copied to shards, or handed over to them, as things are."""


class LookupTaken(ScalekitError, IntegrityError):
    """Another row, perhaps of another shard, has a value that is unique across shards."""


class LookupUnsupported(ScalekitError):
    """A write to a column in shard_lookups does not say which values the rows will have."""
