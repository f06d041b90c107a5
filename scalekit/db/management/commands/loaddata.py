from __future__ import annotations

from typing import TYPE_CHECKING, Any

from django.core.management.base import CommandError
from django.core.management.commands.loaddata import READ_STDIN
from django.db import DEFAULT_DB_ALIAS, router

from scalekit.db.sharding.declarations import group_of, is_reference
from scalekit.db.sharding.fixtures.overridden import overridden
from scalekit.db.sharding.fixtures.placing import belongs_elsewhere, databases, has_copies
from scalekit.db.sharding.lookup_index.claiming import claimed
from scalekit.db.sharding.reference.noting import noting

if TYPE_CHECKING:
    from django.core.management.base import CommandParser
    from django.core.management.commands.loaddata import Command as Overridden
else:
    Overridden = overridden("loaddata")


class Command(Overridden):
    help = (
        f"{Overridden.help} With shards, and without --database: in the default database and in all shards, "
        "each row where it belongs. With --database: what belongs there."
    )

    skips_copies = False

    def add_arguments(self, parser: CommandParser) -> None:
        super().add_arguments(parser)
        if databases():
            parser.set_defaults(database=None)

    def handle(self, *fixture_labels: Any, **options: Any) -> None:
        if options["database"] is not None:
            super().handle(*fixture_labels, **options)
            return
        if READ_STDIN in fixture_labels:
            raise CommandError(
                "What is piped in can be read only once: write a file, or --database."
            )
        for alias in databases():
            if options["verbosity"]:
                self.stdout.write(f"{alias}: ", ending="")
            part = type(self)()  # one each: it keeps which files it has found
            part.stdout, part.stderr = self.stdout, self.stderr
            part.skips_copies = alias != DEFAULT_DB_ALIAS
            part.handle(*fixture_labels, **{**options, "database": alias})

    def save_obj(self, obj: Any) -> bool:
        """Save a row if this database is the one it belongs on, and let others know who have something of it."""
        model = type(obj.object)
        if self.skips_copies and has_copies(model):
            return False
        if not router.allow_migrate_model(self.using, model):
            return False
        if belongs_elsewhere(obj.object, self.using):
            return False
        if is_reference(model):
            return self._save_reference(obj)
        if group_of(model) is None:
            return super().save_obj(obj)
        with claimed([obj.object], self.using):
            return super().save_obj(obj)

    def _save_reference(self, obj: Any) -> bool:
        with noting(self.using, type(obj.object)) as keys:
            saved = super().save_obj(obj)
            if saved and keys is not None:
                keys.append(obj.object.pk)
            return saved
