"""What the commands on sessions share."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from django.core.management.base import CommandError

from scalekit.core.teaching import TeachingCommand
from scalekit.sessions.accounts import current_store
from scalekit.sessions.exceptions import EngineUnsupported, SessionStoreUnavailable

if TYPE_CHECKING:
    from scalekit.sessions.stores.base import Store


class SessionsCommand(TeachingCommand):
    """A command on the store of the sessions."""

    def handle(self, *_: Any, **options: Any) -> None:
        try:
            self.act(current_store(), **options)
        except (EngineUnsupported, SessionStoreUnavailable) as error:
            raise CommandError(str(error)) from error

    def act(self, store: Store, **options: Any) -> None:
        """Do what the command is for."""
        raise NotImplementedError
