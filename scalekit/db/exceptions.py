"""What can go wrong between a query and its database."""

from __future__ import annotations

from django.db import InternalError, OperationalError

from scalekit.core.exceptions import ScalekitError


class ShardKeyRequired(ScalekitError):
    """A query on a sharded model names no shard."""


class SeveralShards(ShardKeyRequired):
    """A query on a sharded model names rows of several shards."""


class WrongShard(ScalekitError):
    """A row would be written to another shard than the one its key belongs to."""


class CrossShardQuery(ScalekitError):
    """A query would have to join tables of different databases."""


class ScatterUnsupported(ScalekitError):
    """A query over all shards cannot be answered exactly as one database would."""


class ShardKeyInvalid(ScalekitError, TypeError):
    """A shard key is neither an integer, a string nor a UUID."""


class TokenRefused(ScalekitError, ValueError):
    """A consistency token is forged, damaged or absurd."""


class WriteOnReplica(ScalekitError, InternalError):
    """A statement that writes was given to a replica, and the primary stands in for it just now."""


class PrimaryDown(ScalekitError, OperationalError):
    """The primary cannot be reached just now, and nothing of this query was executed."""


class StalePrimary(ScalekitError, OperationalError):
    """A server takes writes although another was promoted in its place."""
