from __future__ import annotations

from typing import TYPE_CHECKING, Any

from django.core.management.base import CommandError
from django.db import DataError, connections

from scalekit.core.teaching import Formatter, TeachingCommand
from scalekit.db.sharding.citus import cluster
from scalekit.db.sharding.citus.checks import groups
from scalekit.db.sharding.citus.columns import faults_of_group
from scalekit.db.sharding.citus.ddl import KeyMissing

if TYPE_CHECKING:
    from argparse import ArgumentParser

    from scalekit.db.sharding.citus.scheme import Citus


class Command(TeachingCommand):
    help = (
        "Distribute the tables of a shard group over a Citus cluster, and look at them.\n\n"
        "The group's BACKEND is scalekit.db.sharding.citus.Citus. Run `migrate` first: it makes ordinary tables\n"
        "on the coordinator, which `distribute` turns into distributed ones, with all their rows."
    )
    examples = (
        "examples:\n"
        "  manage.py citus distribute --dry-run         the statements, in order\n"
        "  manage.py citus distribute                   run them in one transaction: all, or nothing\n"
        "  manage.py citus status                       what Citus knows of the tables\n"
        "  manage.py citus isolate 7                    a shard of its own for the key 7\n"
        "  manage.py citus isolate 7 --to worker-3:5432 and that shard on this worker\n\n"
        "distribute may be run again after later migrations: it takes what is left. Writers of a table wait while\n"
        "its rows are spread."
    )

    def add_arguments(self, parser: ArgumentParser) -> None:
        actions = parser.add_subparsers(dest="action", required=True, metavar="ACTION")
        for name, text in (
            ("distribute", "distribute the tables that are not yet distributed"),
            ("status", "show the tables that Citus knows"),
            ("isolate", "give a key a shard of its own"),
        ):
            action = actions.add_parser(
                name, help=text, description=text, formatter_class=Formatter
            )
            action.add_argument("--group", help="the shard group (default: the one Citus keeps)")
            if name != "status":
                action.add_argument(
                    "--dry-run", action="store_true", help="show what would be done"
                )
            if name == "isolate":
                action.add_argument("key", help="the shard key, as in 7")
                action.add_argument("--to", metavar="HOST:PORT", help="the worker for that shard")

    def act(self, *, action: str, group: str | None, **options: Any) -> None:
        name, scheme = _the_group(group)
        connection = connections[scheme.coordinator]
        if cluster.version(connection) is None:
            raise CommandError(
                f"The database {scheme.coordinator!r} has no Citus. Install it, add citus to "
                "shared_preload_libraries, and run there: CREATE EXTENSION citus;"
            )
        if action == "distribute":
            self._distribute(name, scheme, connection, dry_run=options["dry_run"])
        elif action == "isolate":
            self._isolate(name, connection, options)
        else:
            self._status(connection)

    def _distribute(self, group: str, scheme: Citus, connection: Any, *, dry_run: bool) -> None:
        for fault in faults_of_group(group, connection):
            raise CommandError(f"{fault.text} {fault.hint}")
        try:
            todo = cluster.plan(group, scheme, connection)
        except KeyMissing as error:
            raise CommandError(str(error)) from error
        if not todo:
            self.stdout.write("All tables of the group are distributed.")
        elif dry_run:
            self.stdout.write("".join(f"{statement};\n" for statement in todo), ending="")
        else:
            cluster.distribute(todo, connection)
            self._status(connection)

    def _isolate(self, group: str, connection: Any, options: dict[str, Any]) -> None:
        target = _address(options["to"]) if options["to"] else None
        if options["dry_run"]:
            where = f" on {options['to']}" if target else ""
            self.stdout.write(f"Key {options['key']} would get a shard of its own{where}.")
            return
        try:
            shard = cluster.isolate(group, options["key"], connection)
        except DataError as error:
            raise CommandError(f"{options['key']!r} is no key of {group}: {error}") from error
        self.stdout.write(f"Key {options['key']} has shard {shard} of its own.")
        if target:
            source, port = cluster.move(shard, *target, connection)
            self.stdout.write(f"It was on {source}:{port}, and is on {options['to']}.")

    def _status(self, connection: Any) -> None:
        for table, kind, column, together, shards, size in cluster.tables(connection):
            by = f" by {column}" if column and column != "<none>" else ""
            self.stdout.write(
                f"{table}: {kind}{by}, {shards} shards, {size}, co-located in {together}"
            )


def _the_group(name: str | None) -> tuple[str, Citus]:
    found = {group: scheme for group, scheme in groups() if name in (None, group)}
    if len(found) != 1:
        known = ", ".join(group for group, _ in groups()) or "none"
        raise CommandError(f"Name the group with --group. Groups that Citus keeps: {known}.")
    return next(iter(found.items()))


def _address(text: str) -> tuple[str, int]:
    host, _, port = text.rpartition(":")
    if not host or not port.isdecimal():
        raise CommandError(f"--to is {text!r}; write HOST:PORT, as pg_dist_node has it.")
    return host, int(port)
