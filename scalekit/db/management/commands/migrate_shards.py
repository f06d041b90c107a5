from __future__ import annotations

import sys
from functools import partial
from typing import TYPE_CHECKING, Any

from django.core.management.base import CommandError

from scalekit.core.teaching import TeachingCommand
from scalekit.db.sharding.mapping.assigning import init_map
from scalekit.db.sharding.migrating import ledger
from scalekit.db.sharding.migrating.applying import Target, migrate
from scalekit.db.sharding.migrating.drift import drift_of
from scalekit.db.sharding.migrating.lock import only_one
from scalekit.db.sharding.migrating.plans import plans
from scalekit.db.sharding.migrating.reporting import announce, describe, report, unreachable
from scalekit.db.sharding.migrating.running import Round
from scalekit.db.sharding.migrating.screen import Screen
from scalekit.db.sharding.migrating.shards import aliases_of, groups_of, parts

if TYPE_CHECKING:
    from argparse import ArgumentParser
    from collections.abc import Callable, Iterable

    from scalekit.db.sharding.migrating.steps import Name, Step
    from scalekit.db.sharding.parallel import Outcome


class Command(TeachingCommand):
    help = (
        "Migrate all shards, several at once; begin no other once one has failed.\n\n"
        "Run `migrate` first, for the default database. Each shard is migrated by the project's own `migrate`, in\n"
        "a thread of its own. What is done stays done: mend what failed and run the command again."
    )
    examples = (
        "examples:\n"
        "  manage.py migrate_shards                     all shards, four at once\n"
        "  manage.py migrate_shards --canary --jobs 16  the first shard alone, then sixteen at once\n"
        "  manage.py migrate_shards photos 0004         to this migration, as with migrate; also back to it\n"
        "  manage.py migrate_shards --plan              what would be done\n"
        "  manage.py migrate_shards --check             exit with 1 if a shard lacks a migration, or its tables differ\n"
        "                                               from those of other shards or from the models\n\n"
        "--jobs 1 runs everything in one thread, for data migrations that cannot bear others beside them."
    )

    def add_arguments(self, parser: ArgumentParser) -> None:
        parser.add_argument("app_label", nargs="?", help="only this app")
        parser.add_argument("migration_name", nargs="?", help='up or back to this one, or "zero"')
        parser.add_argument("--group", help="only the shards of this group")
        parser.add_argument(
            "--jobs", type=int, default=4, metavar="N", help="shards at once (default: 4)"
        )
        parser.add_argument(
            "--canary",
            nargs="?",
            const="",
            metavar="ALIAS",
            help="migrate this shard (or the first) alone, and the others only once that is well",
        )
        parser.add_argument("--plan", action="store_true", help="show what would be done")
        parser.add_argument(
            "--check", action="store_true", help="only look, and exit with 1 unless all is well"
        )
        parser.add_argument("--fake", action="store_true", help="as of migrate: only note as run")
        parser.add_argument("--fake-initial", action="store_true", help="as of migrate")
        parser.add_argument(
            "--no-wait", action="store_true", help="fail if another process migrates the shards"
        )

    def act(self, **options: Any) -> None:
        if options["jobs"] < 1:
            raise CommandError(f"--jobs is {options['jobs']}; write a whole number from 1 on.")
        shards = aliases_of(options["group"])
        names = ("app_label", "migration_name", "fake", "fake_initial")
        target = Target(*(options[name] for name in names))
        if not shards:
            self.stdout.write("SCALEKIT_DB_SHARDING names no shards, so there is nothing to do.")
        elif options["plan"] or options["check"]:
            self._look(shards, target, check=options["check"])
        else:
            with only_one(patient=not options["no_wait"], waiting=self._say_waiting) as loss:
                self._migrate(shards, target, loss, options)

    def _look(self, shards: list[str], target: Target, *, check: bool) -> None:
        found = plans(shards, target)
        failed = ledger.failures()
        for outcome in found:
            self.stdout.write(describe(outcome, failed))
        if check:
            # The models are as all migrations leave them, whatever part of these was asked for.
            whole = found if target.app is None else plans(shards, Target())
            differing = drift_of(_complete(whole), warn=self.stderr.write)
            for line in differing:
                self.stdout.write(line)
            if differing or len(_complete(found)) < len(shards):
                sys.exit(1)

    def _migrate(
        self, shards: list[str], target: Target, loss: Callable[[], str], options: dict[str, Any]
    ) -> None:
        ledger.close_unfinished()
        todo = self._todo(shards, target)
        if len(todo) < len(shards):
            self.stdout.write(f"Up to date: {len(shards) - len(todo)} of {len(shards)} shards.")
        screen, notes = Screen(self, todo), ledger.Notes(loss)

        def hear(step: Step) -> None:
            notes.heard(step)
            screen.heard(step)
            announce(step)

        work = partial(migrate, target)
        round_ = Round(work, hear, jobs=options["jobs"], permit=notes.fault)
        in_parts = [
            [alias for alias in part if alias in todo] for part in parts(shards, options["canary"])
        ]
        try:
            outcome = round_.over(in_parts, screen.tick)
        finally:
            screen.close()
        if not outcome.well:
            raise CommandError(report(outcome))
        if target.app is None:  # from now on the stored map decides, and no longer the settings
            for group in groups_of(options["group"]):
                init_map(group)

    def _todo(self, shards: list[str], target: Target) -> dict[str, tuple[Name, ...]]:
        """Return what is left to do, shard by shard. Raises before anything is begun if one does not answer."""
        found = plans(shards, target)
        faults = [outcome for outcome in found if outcome.error is not None]
        if faults:
            raise CommandError(unreachable(faults))
        return {outcome.alias: outcome.value for outcome in found if outcome.value}

    def _say_waiting(self) -> None:
        self.stdout.write("Another process is migrating the shards; waiting for it to end.")
        self.stdout.flush()


def _complete(found: Iterable[Outcome[tuple[Name, ...]]]) -> list[str]:
    return [outcome.alias for outcome in found if outcome.value == ()]
