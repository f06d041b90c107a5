from __future__ import annotations

from io import StringIO
from pathlib import Path
from typing import TYPE_CHECKING, Any

from django.apps import apps
from django.core.management.base import CommandError

from scalekit.db.sharding.fixtures.joining import JOINS
from scalekit.db.sharding.fixtures.overridden import overridden
from scalekit.db.sharding.fixtures.placing import databases, is_dumped_from

if TYPE_CHECKING:
    from django.core.management.base import CommandParser
    from django.core.management.commands.dumpdata import Command as Overridden
else:
    Overridden = overridden("dumpdata")

COMPRESSED = {".bz2", ".gz", ".lzma", ".xz", ".zip"}


class Command(Overridden):
    help = (
        f"{Overridden.help} With shards, and without --database: the rows of the default database and of all "
        "shards, in one fixture."
    )

    def add_arguments(self, parser: CommandParser) -> None:
        super().add_arguments(parser)
        if databases():
            parser.set_defaults(database=None)

    def handle(self, *app_labels: Any, **options: Any) -> None:
        if options["database"] is not None:
            super().handle(*app_labels, **options)
            return
        output = None if options["output"] is None else Path(options["output"])
        if options["format"] not in JOINS or (output and output.suffix in COMPRESSED):
            raise CommandError(
                f"Several databases are dumped into one file as {', '.join(JOINS)}, and not compressed. Name one "
                "with --database, or pipe the output into gzip."
            )
        parts = [self._part(alias, app_labels, options) for alias in databases()]
        whole = JOINS[options["format"]](parts)
        if output is None:
            self.stdout.write(whole, ending="")
        else:
            output.write_text(whole)

    def _part(self, alias: str, app_labels: Any, options: dict[str, Any]) -> str:
        """Return the rows that are one database's own."""
        others = [
            model._meta.label  # noqa: SLF001 - Django's documented API
            for model in apps.get_models()
            if not is_dumped_from(model, alias)
        ]
        text = StringIO()
        part = Overridden(stdout=text)
        part.stderr = self.stderr
        exclude = [*options["exclude"], *others]
        options = {**options, "database": alias, "output": None, "exclude": exclude}
        try:
            part.handle(*app_labels, **options)
        except CommandError as error:
            raise CommandError(f"{alias}: {error}") from error
        return text.getvalue()
