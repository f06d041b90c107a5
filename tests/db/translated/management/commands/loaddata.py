from __future__ import annotations

from django.core.management.commands.loaddata import Command as DjangosCommand


class Command(DjangosCommand):
    """Another app's own loaddata, with an option of its own."""

    def add_arguments(self, parser):
        super().add_arguments(parser)
        parser.add_argument("--populate", action="store_true")

    def handle(self, *fixtures, populate, **options):
        super().handle(*fixtures, **options)
        if populate:
            self.stdout.write("populated")
