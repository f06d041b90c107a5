"""SESSION_ENGINE: sessions in the database, one row each. Needs scalekit.sessions in INSTALLED_APPS, and `migrate`."""

from __future__ import annotations

from scalekit.sessions.session import StoredSessionBase
from scalekit.sessions.stores.database import DatabaseStore


class SessionStore(StoredSessionBase):
    """A visitor's session in the database."""

    store = DatabaseStore()
