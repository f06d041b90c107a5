from __future__ import annotations

from contextlib import suppress
from typing import Any
from uuid import uuid4

from django.db import Error, IntegrityError

from scalekit.db.events import TWO_PHASE_ENDED
from scalekit.db.exceptions import TransactionInDoubt, TransactionRolledBack
from scalekit.db.sharding.mapping.connecting import own_connection
from scalekit.db.sharding.transactions.guarding import is_idle
from scalekit.db.sharding.transactions.models import Outcome
from scalekit.db.sharding.transactions.names import Name, owner_of
from scalekit.db.sharding.transactions.settling import DECIDE, end, quoted, settled

HAS_WRITTEN = "SELECT pg_current_xact_id_if_assigned() IS NOT NULL"


class Coordinator:
    """Commit the open transactions of several connections as one.

    It works below Django's blocks, which afterwards find nothing left to commit: PREPARE TRANSACTION has ended
    the transaction for the server, and the driver knows.
    """

    def __init__(self, group: str, default: Any, shards: list[Any]) -> None:
        self.group, self.default, self.shards = group, default, shards
        self.id = uuid4()
        self._prepared: list[tuple[Any, str]] = []
        self._unfinished: list[str] = []

    def commit(self) -> None:
        """Raise what made it impossible, with everything rolled back, or `TransactionInDoubt`."""
        writers = [shard for shard in self.shards if _has_written(shard)]
        if len(writers) + _has_written(self.default) < 2:  # noqa: PLR2004 - one commits by itself
            return
        try:
            self._prepare(writers)
            self._decide()
        except (
            BaseException
        ) as error:  # an interrupt too: what is prepared must hear of the outcome
            if self._outcome(error) == Outcome.ROLLBACK:
                self._undo()
                raise
            self._finish()
            if not isinstance(error, Exception):  # an interrupt that came when all was decided
                raise
            return
        self._finish()

    def raise_unfinished(self) -> None:
        """Raise `TransactionInDoubt` if a shard has yet to be told of the commit."""
        if not self._unfinished:
            return
        msg = (
            f"The transaction is committed, but {', '.join(self._unfinished)} could not be told, and does not show it "
            "before manage.py recover_transactions has run. Do not run the block again."
        )
        raise TransactionInDoubt(msg, committed=True)

    def _prepare(self, writers: list[Any]) -> None:
        owner = owner_of(self.default)
        for shard in writers:
            gid = str(Name(owner, self.id, shard.alias, self.group))
            self._prepared.append((shard, gid))  # before, for the answer may be lost
            with shard.cursor() as cursor:
                cursor.execute(f"PREPARE TRANSACTION {quoted(gid)}")

    def _decide(self) -> None:
        with self.default.cursor() as cursor:
            cursor.execute(DECIDE, [self.id, self.group])
        with self.default.wrap_database_errors:
            self.default.connection.commit()

    def _outcome(self, error: BaseException) -> str:
        """Return what was decided, for a commit whose answer is lost may have been done."""
        with suppress(Exception):  # a connection that is gone has let go of its row as well
            self.default.connection.rollback()
        try:
            outcome = settled(self.id, self.group)
        except Error as unknown:
            self._end("in doubt")
            msg = (
                f"Whether the transaction is committed cannot be told, for default does not answer ({unknown}). What "
                "is prepared stays so until manage.py recover_transactions has run. Do not run the block again before."
            )
            raise TransactionInDoubt(msg) from error
        if outcome == Outcome.ROLLBACK and isinstance(error, IntegrityError) and _is_ours(error):
            self._undo()
            msg = (
                "The transaction took longer than SCALEKIT_DB_TWO_PHASE_GRACE, and recover_transactions has rolled it "
                "back on all shards. Run the block again."
            )
            raise TransactionRolledBack(msg) from error
        return outcome

    def _undo(self) -> None:
        for shard, gid in self._prepared:
            with suppress(Error):  # recovery rolls back what cannot be reached
                self._end_on(shard, gid, Outcome.ROLLBACK)
        self._end("rolled back")

    def _finish(self) -> None:
        for shard, gid in self._prepared:
            try:
                self._end_on(shard, gid, Outcome.COMMIT)
            except Error:
                self._unfinished.append(shard.alias)
        self._end("unfinished" if self._unfinished else "committed")

    def _end_on(self, shard: Any, gid: str, outcome: str) -> None:
        """End a part on the connection that prepared it, or on a new one if that is gone."""
        try:
            if not is_idle(shard):
                with shard.wrap_database_errors:
                    shard.connection.rollback()  # it was not prepared, or failed to be
            with shard.wrap_database_errors:
                shard.connection.autocommit = True
            end(shard, gid, outcome)
            with shard.wrap_database_errors:
                shard.connection.autocommit = False
        except Error:
            shard.close()
            with own_connection(shard.alias) as other:
                end(other, gid, outcome)

    def _end(self, outcome: str) -> None:
        TWO_PHASE_ENDED.emit(group=self.group, outcome=outcome, transaction=str(self.id))


def _has_written(connection: Any) -> bool:
    """Return whether an open transaction has anything to commit: the server knows, also of functions and COPY."""
    if is_idle(connection):
        return False
    with connection.cursor() as cursor:
        cursor.execute(HAS_WRITTEN)
        return bool(cursor.fetchone()[0])


def _is_ours(error: IntegrityError) -> bool:
    """Return whether the row of the decision was there already."""
    diagnosis = getattr(error.__cause__, "diag", None)
    return getattr(diagnosis, "table_name", None) == "scalekit_db_transactiondecision"
