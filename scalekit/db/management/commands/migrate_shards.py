from __future__ import annotations

from typing import TYPE_CHECKING, Any

from django.core.management import call_command
from django.core.management.base import BaseCommand, CommandError
from django.db import connections
from django.db.migrations.executor import MigrationExecutor

from scalekit.db.conf import schemes, settings

if TYPE_CHECKING:
    from argparse import ArgumentParser


class Command(BaseCommand):
    help = "Migrate every shard in turn; stop at the first that fails and say what was done."

    def add_arguments(self, parser: ArgumentParser) -> None:
        parser.add_argument("--group", help="Only the shards of this group.")
        parser.add_argument("--plan", action="store_true", help="Show what would be done.")
        parser.add_argument(
            "--check", action="store_true", help="Exit with 1 if a shard has migrations to run."
        )

    def handle(self, *_: Any, **options: Any) -> None:
        shards = _shards(options["group"])
        if options["plan"] or options["check"]:
            pending = {alias: _pending(alias) for alias in shards}
            self._show(pending)
            if options["check"] and any(pending.values()):
                raise SystemExit(1)
        else:
            self._migrate(shards, options["verbosity"])

    def _show(self, pending: dict[str, list[str]]) -> None:
        for alias, migrations in pending.items():
            self.stdout.write(f"{alias}: {', '.join(migrations) or 'nothing to do'}")

    def _migrate(self, shards: list[str], verbosity: int) -> None:
        for number, alias in enumerate(shards, start=1):
            self.stdout.write(f"[{number}/{len(shards)}] {alias}", ending=" ")
            self.stdout.flush()
            try:
                todo = len(_pending(alias))
                call_command("migrate", database=alias, verbosity=max(0, verbosity - 1))
            except Exception as error:
                self.stdout.write("failed")
                raise CommandError(_report(shards, number, error)) from error
            self.stdout.write(f"{todo} migrations" if todo else "was up to date")


def _shards(group: str | None) -> list[str]:
    if group is not None and group not in settings.SHARDING:
        known = ", ".join(settings.SHARDING) or "none"
        raise CommandError(f"There is no shard group {group!r}; SCALEKIT_DB_SHARDING has {known}.")
    groups = settings.SHARDING if group is None else [group]
    return list(dict.fromkeys(alias for name in groups for alias in schemes[name].shards))


def _pending(alias: str) -> list[str]:
    executor = MigrationExecutor(connections[alias])
    plan = executor.migration_plan(executor.loader.graph.leaf_nodes())
    return [f"{migration.app_label}.{migration.name}" for migration, _ in plan]


def _report(shards: list[str], number: int, error: Exception) -> str:
    done = ", ".join(shards[: number - 1]) or "none"
    left = ", ".join(shards[number:]) or "none"
    return (
        f"{shards[number - 1]} failed: {str(error).strip()}\nMigrated: {done}. Not begun: {left}. "
        "Mend it and run the command again; shards that are done are left as they are."
    )
