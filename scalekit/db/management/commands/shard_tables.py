from __future__ import annotations

import time
from contextlib import contextmanager
from typing import TYPE_CHECKING, Any

from django.apps import apps
from django.core.exceptions import FieldError
from django.core.management.base import CommandError
from django.db import DEFAULT_DB_ALIAS, OperationalError, connections
from django.utils import timezone

from scalekit.core.teaching import Formatter, TeachingCommand
from scalekit.db.conf import schemes, settings
from scalekit.db.sharding.mapping.assigning import init_map
from scalekit.db.sharding.mapping.connecting import own_connection
from scalekit.db.sharding.mapping.loading import StoredMap
from scalekit.db.sharding.migrating.lock import NO_LIMITS
from scalekit.db.sharding.splitting import switching
from scalekit.db.sharding.splitting.backfilling import backfill, unfilled
from scalekit.db.sharding.splitting.capturing import (
    is_capturing,
    pending,
    start_capturing,
    stop_capturing,
)
from scalekit.db.sharding.splitting.copying import Mover
from scalekit.db.sharding.splitting.models import SplitTable
from scalekit.db.sharding.splitting.preflight import began_on_shards, obstacles
from scalekit.db.sharding.splitting.tables import tables_of
from scalekit.db.sharding.splitting.verifying import Verifier

if TYPE_CHECKING:
    from argparse import ArgumentParser
    from collections.abc import Iterator

    from django.db.models import QuerySet

FOLLOW_SECONDS = 0.5  # between two looks at what has changed
SHOWN_DIFFERENCES = 20
ACTIONS = {
    "plan": "say what would be copied, and what stands in the way; changes nothing",
    "start": "copy all rows while the site goes on; goes on where it was stopped",
    "status": "show how far it is",
    "verify": "compare each row with its copy",
    "switch": "let the shards have the rows from now on",
    "complete": "drop the old tables, after the switch",
    "cancel": "stop, before the switch: drop the triggers and empty the copies",
}


class Command(TeachingCommand):
    help = (
        "Make the tables of a live site sharded ones (PostgreSQL).\n\n"
        'The models are ShardedModels already and the group\'s OPTIONS have "starts_on": "default": rows lie on\n'
        "default, as ever. This copies them to the shards, keeps the copies up to date by triggers, compares them, and\n"
        "switches in one transaction. Each action may be killed and run again."
    )
    examples = (
        "examples, in order:\n"
        "  manage.py shard_tables backfill photos.Comment owner_id --from photo__owner_id\n"
        "  manage.py shard_tables plan users\n"
        "  manage.py shard_tables start users --follow    copy, then keep up until Ctrl-C\n"
        "  manage.py shard_tables verify users            each row, by a hash both sides make\n"
        "  manage.py shard_tables switch users            writers wait for a moment\n"
        "  manage.py shard_tables complete users          drop what is left on default\n\n"
        "Before the switch, cancel leaves everything as it was. After it there is no way back but copying."
    )

    def add_arguments(self, parser: ArgumentParser) -> None:
        actions = parser.add_subparsers(dest="action", required=True, metavar="ACTION")
        fill = actions.add_parser(
            "backfill", help="fill a new column with the shard key", formatter_class=Formatter
        )
        fill.add_argument("model", help="as in photos.Comment")
        fill.add_argument("field", help="the new column, which is NULL so far")
        fill.add_argument("--from", dest="path", required=True, help="as in photo__owner_id")
        fill.add_argument("--dry-run", action="store_true", help="count the rows, fill none")
        for name, text in ACTIONS.items():
            action = actions.add_parser(
                name, help=text, description=text, formatter_class=Formatter
            )
            action.add_argument("group", help="as in SCALEKIT_DB_SHARDING")
            if name == "start":
                action.add_argument(
                    "--follow", action="store_true", help="keep up until Ctrl-C afterwards"
                )
            if name == "switch":
                action.add_argument(
                    "--patience",
                    type=float,
                    default=10.0,
                    metavar="SECONDS",
                    help="how long to try for the locks (10); writers wait 0.3 at a time",
                )
                action.add_argument(
                    "--without-verify", action="store_true", help="though nothing was compared"
                )
            if name in ("complete", "cancel"):
                action.add_argument("--yes", action="store_true", help="do not ask")

    def act(self, *, action: str, **options: Any) -> None:
        if action == "backfill":
            self._backfill(**options)
            return
        group = options["group"]
        if group not in settings.SHARDING:
            known = ", ".join(settings.SHARDING) or "none"
            raise CommandError(
                f"There is no shard group {group!r}; SCALEKIT_DB_SHARDING has {known}."
            )
        mover = Mover(group, schemes[group], tables_of(group), DEFAULT_DB_ALIAS)
        if action in ("plan", "status"):
            getattr(self, f"_{action}")(mover)
            return
        try:
            with alone(mover):
                getattr(self, f"_{action}")(mover, **options)
        except OperationalError as error:
            raise CommandError(
                f"{str(error).strip()}. Nothing is left half done; run this again when that is mended."
            ) from error

    def _backfill(self, *, model: str, field: str, path: str, dry_run: bool, **_: Any) -> None:
        try:
            found = apps.get_model(model)
            total = unfilled(found, field, DEFAULT_DB_ALIAS)
            if dry_run:
                self.stdout.write(f"{total} rows of {model} would get {field} from {path}.")
                return
            steps = self.watched(backfill(found, field, path, DEFAULT_DB_ALIAS), total)
            done = sum(step.size for step in steps)
        except (LookupError, ValueError, FieldError) as error:
            raise CommandError(str(error)) from error
        left = unfilled(found, field, DEFAULT_DB_ALIAS)
        self.stdout.write(f"{done} rows filled, {left} left.")
        if left:
            raise CommandError(f"{left} rows have nothing at {path}: decide where they belong.")

    def _plan(self, mover: Mover) -> None:
        found = list(obstacles(mover))
        for table in mover.tables:
            self.stdout.write(
                f"{table.name}: about {_estimate(mover, table):,} rows, by {table.key}"
            )
        for obstacle in found:
            self.stdout.write(self.style.ERROR(obstacle))
        if found:
            raise SystemExit(1)
        self.stdout.write("Nothing stands in the way.")

    def _start(self, mover: Mover, *, follow: bool, **_: Any) -> None:
        self._require_before(mover)
        for obstacle in obstacles(mover):
            raise CommandError(obstacle)
        init_map(mover.group)
        start_capturing(mover.group, mover.tables, connections[mover.source])
        mover.begin()
        total = sum(_estimate(mover, table) for table in mover.tables)
        copied = sum(step.size for step in self.watched(mover.copy(), total))
        caught = mover.catch_up()
        self.stdout.write(f"{copied:,} rows copied, {caught.changes:,} changes carried over.")
        while follow:
            try:
                time.sleep(FOLLOW_SECONDS)
                mover.catch_up()
            except KeyboardInterrupt:
                break

    def _status(self, mover: Mover) -> None:
        if has_switched(mover):
            self.stdout.write(f"{mover.group} has switched: its rows are on the shards.")
            return
        states = {s.table: s for s in states_of(mover)}
        for table in mover.tables:
            state = states.get(table.name)
            copied, done = (0, False) if state is None else (state.copied, state.done)
            share = 1.0 if done else copied / max(1, _estimate(mover, table))
            self.stdout.write(
                f"{self.bar(min(share, 1.0 if done else 0.99))} {copied:,} {table.name}"
            )
        connection = connections[mover.source]
        if is_capturing(mover.group, connection):
            self.stdout.write(f"{pending(mover.group, connection):,} changes to be carried over.")

    def _verify(self, mover: Mover, **_: Any) -> None:
        self._require_copied(mover)
        for obstacle in obstacles(
            mover
        ):  # that may have come since; rows without a key are not compared
            raise CommandError(obstacle)
        switching.near(mover)
        verifier, begun = Verifier(mover), timezone.now()
        total = sum(s.copied for s in states_of(mover))
        looked = sum(step.size for step in self.watched(verifier.walk(), total))
        for found in verifier.differences[:SHOWN_DIFFERENCES]:
            self.stdout.write(
                self.style.ERROR(f"{found.table} {found.row} {found.what} on {found.shard}")
            )
        if verifier.differences:
            raise CommandError(f"{len(verifier.differences)} of {looked:,} rows differ.")
        states_of(mover).update(verified_at=begun)
        self.stdout.write(self.style.SUCCESS(f"{looked:,} rows are the same on their shards."))

    def _switch(self, mover: Mover, *, patience: float, without_verify: bool, **_: Any) -> None:
        self._require_copied(mover)
        # Rows were compared with where they belonged by the map of then.
        changed_at = init_map(mover.group).changed_at
        unverified = states_of(mover).exclude(verified_at__gt=changed_at)
        if unverified.exists() and not without_verify:
            raise CommandError(f"Run manage.py shard_tables verify {mover.group} first.")
        if not switching.near(mover):
            raise CommandError(
                "Writers are faster than the copying of their changes; nothing was switched. Try at a quieter time."
            )
        try:
            spent = switching.switch(mover, patience)
        except OperationalError as error:
            raise CommandError(
                f"Nothing was switched: {str(error).strip()}. A transaction holds one of the tables; end it, or give "
                "more --patience."
            ) from error
        self.stdout.write(
            self.style.SUCCESS(f"Switched. Writers waited {spent * 1000:.0f} ms at most.")
        )

    def _complete(self, mover: Mover, *, yes: bool, **_: Any) -> None:
        if not mover.scheme.map.live:
            raise CommandError(f"{mover.group} has not been switched.")
        self._ask(
            yes, "Drop the old tables on default, with all rows as they were before the switch?"
        )
        stop_capturing(mover.group, mover.tables, connections[mover.source])
        switching.finish(mover)
        states_of(mover).delete()
        self.stdout.write(
            'Done. Take "starts_on" out of the group\'s OPTIONS with the next release.'
        )

    def _cancel(self, mover: Mover, *, yes: bool, **_: Any) -> None:
        self._require_before(mover)
        self._ask(yes, f"Empty the copies on {', '.join(mover.scheme.shards)}?")
        states_of(mover).delete()  # first: whoever starts after half of this begins anew
        stop_capturing(mover.group, mover.tables, connections[mover.source])
        mover.empty()
        self.stdout.write("Cancelled. The rows are where they were.")

    def _ask(self, yes: bool, question: str) -> None:
        if not yes and input(f"{question} [yes/no] ") != "yes":
            raise CommandError("Nothing was changed.")

    def _require_before(self, mover: Mover) -> None:
        if has_switched(mover):
            raise CommandError(f"{mover.group} has switched already: its rows are on the shards.")
        if not mover.scheme.starts_on:
            raise CommandError(began_on_shards(mover.group))

    def _require_copied(self, mover: Mover) -> None:
        self._require_before(mover)
        done = set(states_of(mover).filter(done=True).values_list("table", flat=True))
        is_done = done >= {table.name for table in mover.tables}
        if not is_done or not is_capturing(mover.group, connections[mover.source]):
            raise CommandError(f"Run manage.py shard_tables start {mover.group} to its end first.")


def has_switched(mover: Mover) -> bool:
    return bool(mover.scheme.starts_on) and mover.scheme.map.live


def _estimate(mover: Mover, table: Any) -> int:
    with connections[mover.source].cursor() as cursor:
        cursor.execute(
            "SELECT reltuples FROM pg_class WHERE oid = to_regclass(%s)",
            [connections[mover.source].ops.quote_name(table.name)],
        )
        row = cursor.fetchone()
    return max(0, int(row[0])) if row else 0


def states_of(mover: Mover) -> QuerySet[SplitTable]:
    return SplitTable.objects.using(mover.source).filter(group=mover.group)


@contextmanager
def alone(mover: Mover) -> Iterator[None]:
    """Let no other process split this group meanwhile; the lock goes with the connection."""
    if connections[mover.source].vendor != "postgresql":
        yield  # nothing is done there
        return
    with own_connection(mover.source) as connection:
        connection.set_autocommit(False)  # a transaction's lock also holds through PgBouncer
        with connection.cursor() as cursor:
            cursor.execute(NO_LIMITS)
            cursor.execute(
                "SELECT pg_try_advisory_xact_lock(hashtext(%s))", [f"scalekit split {mover.group}"]
            )
            if not cursor.fetchone()[0]:
                raise CommandError(f"Another process is at work on {mover.group}.")
        if isinstance(mover.scheme.stored, StoredMap):
            mover.scheme.stored.reload()  # the process before may have switched
        yield
