from __future__ import annotations

from typing import TYPE_CHECKING, Any

from django.contrib.auth import get_user_model
from django.core.exceptions import ValidationError
from django.core.management.base import CommandError

from scalekit.sessions.accounts import logout_everywhere, sessions_of
from scalekit.sessions.management.teaching import SessionsCommand

if TYPE_CHECKING:
    from argparse import ArgumentParser

    from scalekit.sessions.stores.base import Store


class Command(SessionsCommand):
    help = (
        "End all sessions of a user, on every device: a stolen laptop, a leaver, a break-in.\n\n"
        "The next request of each is anonymous, at once and on every server. To end everybody's sessions, change\n"
        "SECRET_KEY: each login is checked against it."
    )
    examples = (
        "examples:\n"
        "  manage.py end_sessions ana --dry-run       how many there are\n"
        "  manage.py end_sessions ana\n"
        "  manage.py end_sessions --id 42             also of a user who has been deleted\n"
    )

    def add_arguments(self, parser: ArgumentParser) -> None:
        who = parser.add_mutually_exclusive_group(required=True)
        who.add_argument("username", nargs="?", help="whose sessions, by what they log in with")
        who.add_argument("--id", help="whose sessions, by the user's primary key")
        parser.add_argument("--dry-run", action="store_true", help="count, and end nothing")

    def act(self, store: Store, **options: Any) -> None:  # noqa: ARG002 - asked for by the base
        text = options["id"]
        user = self._user(options["username"]) if text is None else _primary_key(text)
        if options["dry_run"]:
            self.stdout.write(f"{len(sessions_of(user))} sessions would be ended.")
        else:
            self.stdout.write(f"{logout_everywhere(user)} sessions ended.")

    def _user(self, username: str) -> Any:
        model = get_user_model()
        try:
            return model._default_manager.get_by_natural_key(username)  # noqa: SLF001 - as Django's backend does
        except model.DoesNotExist:
            raise CommandError(
                f"There is no user {username!r}. Give the primary key with --id if the user has been deleted."
            ) from None


def _primary_key(text: str) -> Any:
    """Return what a login would have written: a UUID without its hyphens would find no session."""
    try:
        return get_user_model()._meta.pk.to_python(text)  # noqa: SLF001 - as Django's login does
    except ValidationError as error:
        raise CommandError(f"--id {text!r} is no user's: {' '.join(error.messages)}") from error
