"""Migrate one database by the project's own `migrate` command, and tell of each migration."""

from __future__ import annotations

from contextlib import ExitStack
from dataclasses import dataclass
from io import StringIO
from time import monotonic
from typing import TYPE_CHECKING, Any

from django.core.management import call_command, get_commands, load_command_class
from django.db import connections

from scalekit.db.sharding.migrating.plans import loading
from scalekit.db.sharding.migrating.steps import Name, Step, Tell, What, text_of

if TYPE_CHECKING:
    from collections.abc import Callable

    from django.core.management.base import BaseCommand
    from django.db.migrations.migration import Migration

STARTS = ("apply_start", "unapply_start")
ENDS = {"apply_success": What.APPLIED, "unapply_success": What.UNAPPLIED}


@dataclass(frozen=True, slots=True)
class Target:
    """How far to migrate, and how: the arguments and options of Django's `migrate`."""

    app: str | None = None
    name: str | None = None
    fake: bool = False
    fake_initial: bool = False

    @property
    def labels(self) -> list[str]:
        return [label for label in (self.app, self.name) if label is not None]

    def options(self, alias: str) -> dict[str, Any]:
        """Return the options of `migrate`, which is to ask nothing and print nothing."""
        fakes = {"fake": self.fake, "fake_initial": self.fake_initial}
        quiet = {"interactive": False, "verbosity": 0, "stdout": StringIO()}
        return {"database": alias, **fakes, **quiet}


class Watch:
    """Turn what Django says of its progress on one database into steps; call `loaded` at the first word."""

    def __init__(self, alias: str, tell: Tell, loaded: Callable[[], None]) -> None:
        self._alias, self._tell, self._loaded = alias, tell, loaded
        self._current: Name | None = None
        self._began = 0.0

    def __call__(self, action: str, migration: Migration | None) -> None:
        self._loaded()
        if action in STARTS and migration is not None:
            self._current, self._began = (migration.app_label, migration.name), monotonic()
            self._say(What.STARTED)
        elif action in ENDS:
            self._say(ENDS[action], monotonic() - self._began)
            self._current = None

    def failed(self, error: BaseException) -> None:
        if self._current is not None:
            self._say(What.BROKEN, monotonic() - self._began, text_of(error))

    def _say(self, what: What, seconds: float = 0.0, error: str = "") -> None:
        self._tell(Step(self._alias, what, self._current, seconds, error))


class Watched:
    """Mixed into a `migrate` command; calls `watch` for each of its steps."""

    watch: Watch

    def migration_progress_callback(
        self, action: str, migration: Migration | None = None, fake: bool = False
    ) -> None:
        self.watch(action, migration)
        super().migration_progress_callback(action, migration, fake)  # type: ignore[misc]  # of the command


def migrate(target: Target, alias: str, tell: Tell) -> None:
    """Migrate one database in this thread. Raises what `migrate` raises."""
    connections[
        alias
    ].ensure_connection()  # what may take its time, before others wait for this thread
    with ExitStack() as stack:
        stack.enter_context(loading)
        watch = Watch(alias, tell, loaded=stack.close)
        try:
            call_command(_command(watch), *target.labels, **target.options(alias))
        except BaseException as error:  # an interrupt too: the ledger and the screen hear of it
            watch.failed(error)
            raise


def _command(watch: Watch) -> BaseCommand:
    """Return the project's `migrate`: an installed app may have one of its own."""
    found: Any = get_commands()["migrate"]
    command = found if not isinstance(found, str) else load_command_class(found, "migrate")
    made: BaseCommand = type("WatchedMigrate", (Watched, type(command)), {"watch": watch})()
    return made
