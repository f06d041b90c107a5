"""SESSION_ENGINE: sessions in the database, with copies in Redis or Valkey from which they are read."""

from __future__ import annotations

from scalekit.sessions.session import StoredSessionBase
from scalekit.sessions.stores.hybrid import HybridStore


class SessionStore(StoredSessionBase):
    """A visitor's session in the database, and for speed in Redis or Valkey."""

    store = HybridStore()
