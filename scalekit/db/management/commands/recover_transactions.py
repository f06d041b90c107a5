from __future__ import annotations

from typing import TYPE_CHECKING, Any

from django.core.management.base import CommandError

from scalekit.core.teaching import TeachingCommand
from scalekit.db.conf import settings
from scalekit.db.sharding.transactions.recovering import Recovered, Unreached, recover

if TYPE_CHECKING:
    from argparse import ArgumentParser


class Command(TeachingCommand):
    help = (
        "End the transactions over several shards (two_phase) that a process has left prepared.\n\n"
        "Those whose commit was decided are committed; others are rolled back once they are older than "
        "SCALEKIT_DB_TWO_PHASE_GRACE seconds. Any number of these commands may run at once. Exits with 1 if a shard did not answer."
    )
    examples = (
        "examples:\n"
        "  manage.py recover_transactions              as a regular job, every minute\n"
        "  manage.py recover_transactions --dry-run    what is prepared, and what would become of it\n"
        "  manage.py recover_transactions --grace 0    now: whoever is just about to commit is told to run again"
    )

    def add_arguments(self, parser: ArgumentParser) -> None:
        parser.add_argument("--dry-run", action="store_true", help="show, and change nothing")
        parser.add_argument(
            "--grace",
            type=float,
            metavar="SECONDS",
            help="how old what was not decided must be (default: SCALEKIT_DB_TWO_PHASE_GRACE)",
        )

    def act(self, **options: Any) -> None:
        grace = settings.TWO_PHASE_GRACE if options["grace"] is None else options["grace"]
        found = list(self._shown(grace, dry_run=options["dry_run"]))
        unreached = [one.alias for one in found if isinstance(one, Unreached)]
        if unreached:
            raise CommandError(
                f"{', '.join(unreached)} did not answer. Run the command again when they do."
            )
        if not found:
            self.stdout.write("Nothing is prepared.")

    def _shown(self, grace: float, *, dry_run: bool) -> Any:
        for one in recover(grace, dry_run=dry_run):
            self.stdout.write(_line(one, dry_run=dry_run))
            yield one


def _line(one: Recovered | Unreached, *, dry_run: bool) -> str:
    if isinstance(one, Unreached):
        return f"{one.alias}  did not answer: {one.error}"
    part = one.part
    action = f"would {one.action}" if dry_run and one.action != "wait" else one.action
    return f"{part.alias}  {part.transaction}  {part.age:.0f} s old  {action}"
