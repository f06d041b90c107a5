"""End a user's sessions when the password changes, however it was changed.

Django ends them too, by the hash in the session, but only when each comes back, and only where its middleware asks.
"""

from __future__ import annotations

from functools import partial
from typing import Any

from django.apps import apps
from django.conf import settings as django_settings
from django.contrib.auth import get_user_model
from django.db import transaction
from django.db.models.signals import post_save

from scalekit.sessions.accounts import ENGINES, end_sessions, sessions_of
from scalekit.sessions.conf import settings
from scalekit.sessions.exceptions import SessionStoreUnavailable


def watch() -> None:
    """Listen to the project's users, if it has any: whatever class they are saved by, since a proxy sends for itself."""
    if apps.is_installed("django.contrib.auth"):
        post_save.connect(_saved, dispatch_uid="scalekit.sessions")


def _saved(*, instance: Any, created: bool, using: str, **_: Any) -> None:
    # AbstractBaseUser keeps the new password there from set_password() until it has told the validators.
    changed = getattr(instance, "_password", None) is not None and not created
    if not changed or django_settings.SESSION_ENGINE not in ENGINES:
        return
    if not isinstance(instance, get_user_model()):
        return
    if settings.LOGOUT_ON_PASSWORD_CHANGE:
        end = partial(_end, _names_of(instance))
        transaction.on_commit(end, using=using, robust=True)


def _names_of(user: Any) -> list[str]:
    """List the sessions now: by the commit, Django has given the visitor who changed it a new one."""
    try:
        return [session.name for session in sessions_of(user)]
    except (
        SessionStoreUnavailable
    ):  # announced; the hash in each session ends it when it comes back
        return []


def _end(names: list[str]) -> None:
    if names:
        end_sessions(names)
