"""What becomes of a transaction of the code under test, inside that of a TestCase or not."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

from django.db import connections, transaction

if TYPE_CHECKING:
    from django.db.backends.base.base import BaseDatabaseWrapper


@dataclass(slots=True)
class Fate:
    """What became of the transaction in which a job was enqueued."""

    connection: BaseDatabaseWrapper
    blocks: list[Any] = field(default_factory=list)  # of the code under test
    has_committed: bool = False

    @classmethod
    def of(cls, alias: str) -> Fate:
        connection = connections[alias]
        blocks = [b for b in connection.atomic_blocks if not getattr(b, "_from_testcase", False)]
        fate = cls(connection, blocks)
        try:
            transaction.on_commit(fate.commit, using=alias)
        except transaction.TransactionManagementError:  # autocommit is off: nobody will be told
            fate.has_committed = True
        return fate

    def commit(self) -> None:
        self.has_committed = True

    @property
    def is_sealed(self) -> bool:
        """Whether it has committed, or would have if no TestCase held it: Django forgets what rolled back."""
        if self.has_committed:
            return True
        stands = any(entry[1] == self.commit for entry in self.connection.run_on_commit)
        return stands and not self.is_open

    @property
    def is_open(self) -> bool:
        current = self.connection.atomic_blocks
        return not self.has_committed and any(block in current for block in self.blocks)
