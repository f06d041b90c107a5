"""Write down on `default` what becomes of each migration of each shard."""
# ruff: noqa: SLF001 - _meta is Django's documented API

from __future__ import annotations

from datetime import timedelta
from typing import TYPE_CHECKING

from django.core.management import CommandError
from django.db import Error, connections, router
from django.utils import timezone

from scalekit.db.sharding.migrating.models import ShardMigration, State
from scalekit.db.sharding.migrating.steps import What, text_of

if TYPE_CHECKING:
    from collections.abc import Callable

    from scalekit.db.sharding.migrating.steps import Name, Step

STATES = {
    What.STARTED: State.RUNNING,
    What.APPLIED: State.DONE,
    What.UNAPPLIED: State.UNDONE,
    What.BROKEN: State.FAILED,
}
CUT_SHORT = "It did not come to its end: the process was killed, or its machine."


class Notes:
    """Writes down what a round does; once that fails, no further shard may begin."""

    def __init__(self, loss: Callable[[], str]) -> None:
        self._loss = loss
        self._fault = ""

    def heard(self, step: Step) -> None:
        try:
            note(step)
        except Error as error:
            self._fault = f"the ledger cannot be written ({text_of(error)})"

    def fault(self) -> str:
        """Return why no further shard may begin, the loss of the lock included; or nothing."""
        return self._fault or self._loss()


def note(step: Step) -> None:
    """Write a step down, if it is one of a migration. Only one `migrate_shards` writes at a time."""
    state = STATES.get(step.what)
    if state is None or step.migration is None:
        return
    app, name = step.migration
    ShardMigration.objects.update_or_create(
        alias=step.alias,
        app=app,
        name=name,
        defaults={
            "state": state,
            "started_at": timezone.now() - timedelta(seconds=step.seconds),
            "seconds": None if state is State.RUNNING else round(step.seconds, 3),
            "error": step.error,
        },
    )


def close_unfinished() -> None:
    """Mark what an earlier process was killed in: whoever asks holds the lock, so nothing runs now.

    Raises CommandError where there is no ledger yet.
    """
    if not _exists():
        raise CommandError(
            f"The default database has no table {ShardMigration._meta.db_table} yet. Run manage.py migrate first, "
            "then this command."
        )
    left = ShardMigration.objects.filter(state=State.RUNNING)
    left.update(state=State.FAILED, error=CUT_SHORT)


def failures() -> dict[tuple[str, Name], str]:
    """Return what failed last, by shard and migration."""
    if not _exists():
        return {}
    rows = ShardMigration.objects.filter(state=State.FAILED)
    return {
        (alias, (app, name)): error
        for alias, app, name, error in rows.values_list("alias", "app", "name", "error")
    }


def _exists() -> bool:
    connection = connections[router.db_for_write(ShardMigration)]
    return ShardMigration._meta.db_table in connection.introspection.table_names()
