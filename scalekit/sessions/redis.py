"""SESSION_ENGINE: sessions in Redis or Valkey, one hash each."""

from __future__ import annotations

from scalekit.sessions.session import StoredSessionBase
from scalekit.sessions.stores.redis import RedisStore


class SessionStore(StoredSessionBase):
    """A visitor's session in Redis or Valkey."""

    store = RedisStore()
