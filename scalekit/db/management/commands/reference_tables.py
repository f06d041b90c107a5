from __future__ import annotations

from typing import TYPE_CHECKING, Any

from django.core.management.base import CommandError
from django.db import DEFAULT_DB_ALIAS, Error, connections

from scalekit.core.teaching import TeachingCommand
from scalekit.db.sharding.reference.comparing import differences, wait
from scalekit.db.sharding.reference.delivering import bring
from scalekit.db.sharding.reference.fanout import by_replication, reference_models, shards
from scalekit.db.sharding.reference.following import Replicated, state_of
from scalekit.db.sharding.reference.noting import copy_everything, waiting
from scalekit.db.sharding.reference.publishing import publish, unpublish
from scalekit.db.sharding.reference.replication import drop, resynchronise

if TYPE_CHECKING:
    from argparse import ArgumentParser

SHOWN = 10  # primary keys of rows that differ


class Command(TeachingCommand):
    help = (
        "Keep the copies of reference tables on every shard.\n\n"
        "setup   let PostgreSQL replicate them to every shard; again after a new table or shard\n"
        "status  how far each shard is behind\n"
        "verify  compare every copy with the default database, row by row where sums differ\n"
        "repair  bring what waits, and copy anew to shards that differ or do not follow\n"
        "drop    end the replication; the rows stay\n\n"
        "Exits with 1 if a shard does not follow, or differs."
    )
    examples = (
        "examples:\n"
        "  manage.py reference_tables setup --dry-run\n"
        "  manage.py reference_tables status --json\n"
        "  manage.py reference_tables verify --shard shard_1\n"
        "  manage.py reference_tables repair                   as a regular job"
    )

    def add_arguments(self, parser: ArgumentParser) -> None:
        parser.add_argument("action", choices=["setup", "status", "verify", "repair", "drop"])
        parser.add_argument("--shard", action="append", metavar="ALIAS", help="only this shard")
        parser.add_argument("--dry-run", action="store_true", help="show, and change nothing")
        parser.add_argument("--json", action="store_true", help="status as JSON, for programs")

    def act(self, **options: Any) -> None:
        if not reference_models():
            raise CommandError("There is no model derived from ReferenceModel.")
        if not shards():
            self.stdout.write("No database but default has these tables: there is nothing to do.")
            return
        aliases = options["shard"] or shards()
        unknown = set(aliases) - set(shards())
        if unknown:
            raise CommandError(
                f"{', '.join(sorted(unknown))}: no shard. Shards are {', '.join(shards()) or 'none'}."
            )
        getattr(self, options["action"])(aliases, options)

    def setup(self, aliases: list[str], options: dict[str, Any]) -> None:
        dry = options["dry_run"]
        if not by_replication():
            if not dry:
                copy_everything()
            self._each(aliases, "every row is noted", None if dry else bring)
            return
        change = publish(dry_run=dry)
        self.stdout.write(change or "default: published already")
        # What was written before a table was published has reached no shard, whatever they say.
        behind = shards() if change else [alias for alias in aliases if state_of(alias).problem]
        for alias in sorted(set(aliases) - set(behind)):
            self.stdout.write(f"{alias}: follows already")
        self._each(behind, "copied, and follows", None if dry else resynchronise)

    def status(self, aliases: list[str], options: dict[str, Any]) -> None:
        replicated = by_replication()
        found = [state_of(alias) if replicated else _waiting(alias) for alias in aliases]
        if options["json"]:
            self.print_json([_as_json(state) for state in found])
        else:
            for state in found:
                self.stdout.write(_line(state, replicated=replicated))
        if any(state.problem for state in found):
            raise SystemExit(1)

    def verify(self, aliases: list[str], options: dict[str, Any]) -> None:  # noqa: ARG002 - one of several actions
        differing = [alias for alias in aliases if self._differs(alias)]
        if differing:
            raise CommandError("Copies differ. Run manage.py reference_tables repair.")

    def repair(self, aliases: list[str], options: dict[str, Any]) -> None:
        if (
            options["dry_run"] and not by_replication()
        ):  # to compare, what waits would be brought first
            for alias in aliases:
                self.stdout.write(f"{alias}: {waiting(alias)} changes to be brought")
            return
        fails = [alias for alias in aliases if not self._is_well(alias)]
        if by_replication():
            self._each(fails, "copied, and follows", None if options["dry_run"] else resynchronise)
        elif fails:
            copy_everything(fails)
            self._each(fails, "every row was brought", bring)

    def drop(self, aliases: list[str], options: dict[str, Any]) -> None:
        if any(connections[alias].vendor != "postgresql" for alias in (DEFAULT_DB_ALIAS, *aliases)):
            raise CommandError("Only PostgreSQL replicates; the outbox has nothing to be dropped.")
        self._each(aliases, "follows no more", None if options["dry_run"] else drop)
        if not options["dry_run"] and set(aliases) == set(shards()):
            unpublish()

    def _is_well(self, alias: str) -> bool:
        if by_replication() and (problem := state_of(alias).problem):
            self.stdout.write(f"{alias}: {problem}")
            return False
        return not self._differs(alias)

    def _differs(self, alias: str) -> bool:
        try:
            wait(alias)
            found = {model: differences(alias, model) for model in reference_models()}
        except Error as error:
            self.stdout.write(f"{alias}: {str(error).strip()}")
            return True
        for model, keys in found.items():
            if keys:
                more = f" and {len(keys) - SHOWN} more" if len(keys) > SHOWN else ""
                rows = f"{', '.join(keys[:SHOWN])}{more}"
                self.stdout.write(f"{alias}: {model._meta.label} differs in {rows}")  # noqa: SLF001 - _meta is Django's documented API
        if not any(found.values()):
            self.stdout.write(f"{alias}: {len(found)} tables are equal")
        return any(found.values())

    def _each(self, aliases: list[str], done: str, act: Any) -> None:
        failed = []
        for alias in aliases:
            try:
                if act is not None:
                    act(alias)
            except Error as error:
                failed.append(alias)
                self.stdout.write(f"{alias}: {str(error).strip()}")
            else:
                self.stdout.write(f"{alias}: {done}" if act else f"{alias}: to be done")
        if failed:
            raise CommandError(
                f"{', '.join(failed)} failed; what is done stays. Mend it and run this again."
            )


def _waiting(alias: str) -> Replicated:
    count = waiting(alias)
    return Replicated(alias, f"{count} changes wait for it" if count else "")


def _line(state: Replicated, *, replicated: bool) -> str:
    told = f"{state.alias:<20} {state.problem or 'follows'}"
    if not replicated:
        return told
    left = "unlimited" if state.left is None else f"{state.left:,} bytes"
    return f"{told}; {state.lag:,} bytes behind, log {state.wal_status or 'not kept'}, {left} left; {state.errors} errors"


def _as_json(state: Replicated) -> dict[str, Any]:
    return {name: getattr(state, name) for name in Replicated.__slots__}
