"""Commands whose --help shows how they are used."""

from __future__ import annotations

from argparse import RawDescriptionHelpFormatter
from typing import TYPE_CHECKING, Any

from django.core.management.base import BaseCommand, CommandError

from scalekit.sessions.accounts import current_store
from scalekit.sessions.exceptions import EngineUnsupported, SessionStoreUnavailable

if TYPE_CHECKING:
    from django.core.management.base import CommandParser

    from scalekit.sessions.stores.base import Store


class SessionsCommand(BaseCommand):
    """A command on the sessions; `examples` ends its help."""

    examples = ""

    def create_parser(self, prog_name: str, subcommand: str, **kwargs: Any) -> CommandParser:
        kwargs |= {"epilog": self.examples, "formatter_class": RawDescriptionHelpFormatter}
        return super().create_parser(prog_name, subcommand, **kwargs)

    def handle(self, *_: Any, **options: Any) -> None:
        try:
            self.act(current_store(), **options)
        except (EngineUnsupported, SessionStoreUnavailable) as error:
            raise CommandError(str(error)) from error

    def act(self, store: Store, **options: Any) -> None:
        """Do what the command is for."""
        raise NotImplementedError
