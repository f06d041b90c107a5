"""Commands whose --help shows how they are used, with bars on a terminal and JSON for programs."""

from __future__ import annotations

import json
from argparse import RawDescriptionHelpFormatter
from typing import TYPE_CHECKING, Any

from django.core.management.base import BaseCommand, CommandError, DjangoHelpFormatter

from scalekit.core.exceptions import ScalekitError

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator

WIDTH = 30  # characters of a bar


class Formatter(RawDescriptionHelpFormatter, DjangoHelpFormatter):
    """Keep the lines of descriptions and examples as they are."""


class TeachingCommand(BaseCommand):
    """A command whose help ends with `examples`, and whose expected errors are one line."""

    examples = ""

    def create_parser(self, prog_name: str, subcommand: str, **kwargs: Any) -> Any:
        kwargs |= {"epilog": self.examples, "formatter_class": Formatter}
        return super().create_parser(prog_name, subcommand, **kwargs)

    def handle(self, *_: Any, **options: Any) -> None:
        try:
            self.act(**options)
        except ScalekitError as error:
            raise CommandError(str(error)) from error

    def act(self, *args: Any, **options: Any) -> None:
        """Do what the command is for."""
        raise NotImplementedError

    def print_json(self, value: Any) -> None:
        self.stdout.write(json.dumps(value, default=str))

    def bar(self, share: float) -> str:
        """Return a bar, filled up to `share` of it, 0 to 1."""
        full = round(WIDTH * min(1.0, max(0.0, share)))
        return self.style.SUCCESS("█" * full) + "░" * (WIDTH - full)

    def watched(self, steps: Iterable[Any], total: int) -> Iterator[Any]:
        """Yield from `steps`, each of which counts `size`, and draw how far it is, on a terminal."""
        shown, done = self.stderr.isatty(), 0
        for step in steps:
            done += step.size
            if shown:
                line = f"\r{self.bar(done / max(1, total))} {done} of {total}"
                self.stderr.write(line, ending="", style_func=str)
                self.stderr.flush()
            yield step
        if shown and done:
            self.stderr.write("", style_func=str)
