"""Two-phase commit: a block whose writes to several shards all happen, or none.

Every shard prepares first; the row that says "commit" is then committed on `default`, with whatever the block
wrote there; then every shard commits. Whoever inserts that row first, the coordinator or `recover_transactions`,
has decided, so a coordinator that died or was slow leaves no doubt (J. Gray, A. Reuter: Transaction Processing,
10.4; PostgreSQL manual, PREPARE TRANSACTION).
"""
# ruff: noqa: SLF001 - Django marks a TestCase's own blocks there

from __future__ import annotations

from contextlib import ExitStack, contextmanager
from typing import TYPE_CHECKING, Any

from django.db import DEFAULT_DB_ALIAS, connections, transaction

from scalekit.db.conf import settings
from scalekit.db.exceptions import CrossShardTransaction, TwoPhaseUnavailable
from scalekit.db.sharding.transactions.blocks import Block
from scalekit.db.sharding.transactions.coordinating import Coordinator
from scalekit.db.sharding.transactions.guarding import joined
from scalekit.db.sharding.transactions.opening import databases_of

if TYPE_CHECKING:
    from collections.abc import Iterator
    from contextlib import AbstractContextManager

    from scalekit.db.sharding.base import ShardKey


class two_phase(Block):  # noqa: N801 - reads as a verb, like Django's atomic
    """Commit what is written to `default` and to the shards of `group` as one transaction, or none of it.

        with two_phase("users", giver, taker):
            ...

    With keys, only their shards take part; without, all of the group. It must be the outermost transaction. Needs
    PostgreSQL on `default` and the shards, the group in SCALEKIT_DB_TWO_PHASE, max_prepared_transactions above 0,
    and `manage.py recover_transactions` as a regular job. Raises `TwoPhaseUnavailable`, `TransactionRolledBack` and
    `TransactionInDoubt`. Inside a TestCase, which lets nothing be committed, it is a savepoint on each database.
    """

    def __init__(self, group: str, *keys: ShardKey) -> None:
        self.group, self.keys = group, keys

    def _block(self) -> AbstractContextManager[None]:
        return self._open()

    @contextmanager
    def _open(self) -> Iterator[None]:
        aliases = list(dict.fromkeys((DEFAULT_DB_ALIAS, *databases_of(self.group, *self.keys))))
        if len(aliases) == 1:  # one database needs one phase
            with transaction.atomic(durable=True):
                yield
            return
        default, *shards = self._connections(aliases)
        everyone = (default, *shards)
        testing = any(block._from_testcase for c in everyone for block in c.atomic_blocks)
        with ExitStack() as blocks:
            for connection in everyone:
                blocks.enter_context(transaction.atomic(using=connection.alias))
            blocks.enter_context(joined(everyone))
            yield
            if any(connection.needs_rollback for connection in everyone):
                for connection in everyone:
                    connection.set_rollback(True)
                return
            if testing:
                return
            hooks = [(connection, _taken_hooks(connection)) for connection in everyone]
            coordinator = Coordinator(self.group, default, shards)
            coordinator.commit()
        _run(hooks)
        coordinator.raise_unfinished()

    def _connections(self, aliases: list[str]) -> list[Any]:
        if self.group not in settings.TWO_PHASE:
            msg = (
                f"Write SCALEKIT_DB_TWO_PHASE = [{self.group!r}] to use two_phase({self.group!r}), and let "
                "manage.py recover_transactions run every minute: what a process leaves prepared holds its locks."
            )
            raise TwoPhaseUnavailable(msg)
        found = [connections[alias] for alias in aliases]
        for connection in found:
            _require_fit(connection, self.group)
        return found


def _require_fit(connection: Any, group: str) -> None:
    alias = connection.alias
    if connection.vendor != "postgresql":
        msg = f"two_phase({group!r}) needs PostgreSQL, but {alias} is {connection.display_name}."
        raise TwoPhaseUnavailable(msg)
    is_manual = not connection.atomic_blocks and not connection.get_autocommit()
    if is_manual or not all(block._from_testcase for block in connection.atomic_blocks):
        msg = (
            f"two_phase({group!r}) commits, so it must be the outermost transaction; one is open on {alias}. "
            "Enter it first; in a view under ATOMIC_REQUESTS, decorate the view with @transaction.non_atomic_requests."
        )
        raise CrossShardTransaction(msg)


def _taken_hooks(connection: Any) -> list[Any]:
    """Take what waits for the commit, so that none of it runs before all databases have left their blocks."""
    hooks, connection.run_on_commit = connection.run_on_commit, []
    return list(hooks)


def _run(hooks: list[tuple[Any, list[Any]]]) -> None:
    with ExitStack() as stack:  # runs the next even if one raises
        for connection, waiting in reversed(hooks):
            stack.callback(_run_hooks, connection, waiting)


def _run_hooks(connection: Any, waiting: list[Any]) -> None:
    connection.run_on_commit = waiting
    connection.run_and_clear_commit_hooks()
