from __future__ import annotations

import pytest

from scalekit.sessions.checks import DATABASE
from scalekit.sessions.database import SessionStore


@pytest.fixture
def engine(settings, db):
    """The database engine, on the tests' own database."""
    settings.SESSION_ENGINE = DATABASE
    return SessionStore


@pytest.fixture
def log_in(engine):
    """Return a function that gives a user one more session."""

    def log_in(user):
        session = engine()
        session["_auth_user_id"] = str(user.pk)
        session.save()
        return session.session_key

    return log_in
