"""Members of the club whose families live on two shards, `a` and `b`."""

from __future__ import annotations

from scalekit.db.models import ShardLookup
from scalekit.db.sharding.slots import Slots
from tests.db.club_databases import club

EMAIL = "ann@example.org"
SCHEME = Slots("users", shards=["a", "b"], slots=4096)
HERE = 1
THERE = next(key for key in range(2, 99) if SCHEME.shard_for(key) != SCHEME.shard_for(HERE))
home = SCHEME.shard_for


def member(family, email=EMAIL, **values):
    return club().Member.objects.create(family=family, email=email, **values)


def index():
    """Return what the index says: the rows of each field's values."""
    return sorted(ShardLookup.objects.values_list("field", "row_id"))


def stored(email=EMAIL):
    return club().Member.objects.scatter().filter(email=email).count()
