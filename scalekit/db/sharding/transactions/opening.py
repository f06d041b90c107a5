from __future__ import annotations

from contextlib import contextmanager
from typing import TYPE_CHECKING

from django.db import DEFAULT_DB_ALIAS, transaction

from scalekit.db.conf import settings
from scalekit.db.sharding.placing import scheme_of
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
        super().__init__()
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
        if self.group not in settings.SHARDING:
            return DEFAULT_DB_ALIAS
        return scheme_of(self.group).shard_for(self.key)
