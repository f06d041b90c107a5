from __future__ import annotations

from contextlib import contextmanager
from typing import TYPE_CHECKING

from django.db import DEFAULT_DB_ALIAS, transaction

from scalekit.db.conf import settings
from scalekit.db.sharding.declarations import is_group
from scalekit.db.sharding.placing import scheme_of
from scalekit.db.sharding.refusals import group_unknown
from scalekit.db.sharding.transactions.blocks import Block
from scalekit.db.using import using_shard

if TYPE_CHECKING:
    from collections.abc import Iterator
    from contextlib import AbstractContextManager

    from scalekit.db.sharding.base import ShardKey


class shard_atomic(Block):  # noqa: N801 - reads as a verb, like Django's atomic
    """Open a transaction on the shard of `key`, to which queries of `group` that name no shard go meanwhile.

        with shard_atomic("users", order.customer_id):
            ...

    It nests and rolls back as `django.db.transaction.atomic` does, whose `savepoint` and `durable` it takes.
    While the group is not configured it is a transaction on the default database. A write to another shard inside
    raises `CrossShardTransaction`.
    """

    def __init__(
        self, group: str, key: ShardKey, *, savepoint: bool = True, durable: bool = False
    ) -> None:
        self.group, self.key, self.savepoint, self.durable = group, key, savepoint, durable

    def _block(self) -> AbstractContextManager[str]:
        return self._open()

    @contextmanager
    def _open(self) -> Iterator[str]:
        alias = self.alias
        with (
            using_shard(self.group, self.key),
            transaction.atomic(using=alias, savepoint=self.savepoint, durable=self.durable),
        ):
            yield alias

    @property
    def alias(self) -> str:
        """The database that the transaction is opened on."""
        return databases_of(self.group, self.key)[0]


def databases_of(group: str, *keys: ShardKey) -> list[str]:
    """Return the databases on which the rows of `keys` lie, those of all keys if none is given.

    Raises `ShardGroupUnknown`.
    """
    if not is_group(group):
        raise group_unknown(group)
    if group not in settings.SHARDING:
        return [DEFAULT_DB_ALIAS]
    scheme = scheme_of(group)
    if scheme.starts_on and not scheme.map.live:
        return [scheme.starts_on]
    named = {scheme.shard_for(key) for key in keys}
    return [alias for alias in scheme.shards if not named or alias in named]
