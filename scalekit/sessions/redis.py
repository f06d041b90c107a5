"""SESSION_ENGINE: one Redis hash a session, one field a key, so that a save writes only what it changed.

The idea is Spring Session's, with one script in place of its two commands: existence, fields and expiry are
checked and written in one step. Requests that run at once keep each other's keys; where both changed the
same key, the later save wins that key. The hash is named by the SHA-256 of the session key: who reads the
store cannot log in with what is there.
"""

from __future__ import annotations

from hashlib import sha256
from time import monotonic, perf_counter
from typing import TYPE_CHECKING, Any

from django.contrib.sessions.backends.base import CreateError, SessionBase, UpdateError

from scalekit.sessions.events import SESSION_LOADED, SESSION_SAVED, SESSION_UNREADABLE
from scalekit.sessions.exceptions import SessionStoreUnavailable
from scalekit.sessions.server import ask

if TYPE_CHECKING:
    from collections.abc import Set as AbstractSet

FORMAT = b"1"
PREFIX = "scalekit:session:"
RETRY_AFTER = 1.0  # seconds until one session object asks again a store that did not answer

Fields = dict[bytes, bytes]


class SessionStore(SessionBase):
    """A visitor's session in Redis or Valkey."""

    def __init__(self, session_key: str | None = None) -> None:
        super().__init__(session_key)
        self.is_unavailable = False
        self._retry_at = 0.0
        self._stored: Fields | None = None  # the fields as they are in the store, if that is known

    def load(self) -> dict[str, Any]:
        """Return the session's data; {} and no key where there is none."""
        key = self._named(self._get_or_create_session_key())  # type: ignore[attr-defined]  # not in the stubs
        started = perf_counter()
        fields: Fields = self._ask("load", lambda server: server.client.hgetall(key))
        data = self._read(fields)
        result = "absent" if data is None else "found"
        SESSION_LOADED.emit(result=result, seconds=perf_counter() - started)
        if data is None:
            self._session_key = None
            return {}
        self._stored = fields
        return data

    def exists(self, session_key: str) -> bool:
        key = self._named(session_key)
        return bool(self._ask("exists", lambda server: server.client.exists(key)))

    def create(self) -> None:
        """Save under a new key, which no one else has."""
        while True:
            self._session_key = self._get_new_session_key()  # type: ignore[attr-defined]  # not in the stubs
            try:
                self.save(must_create=True)
            except CreateError:
                continue
            self.modified = True
            return

    def save(self, must_create: bool = False) -> None:
        """Write the keys that changed. Raises UpdateError if the session was deleted meanwhile."""
        if self.session_key is None:
            return self.create()
        data = self._get_session(no_load=must_create)  # type: ignore[attr-defined]  # not in the stubs
        fields = self._write(data)
        mode = "create" if must_create else "replace" if self._stored is None else "update"
        before = self._stored if mode == "update" and self._stored else {}
        changed = {name: value for name, value in fields.items() if before.get(name) != value}
        removed = before.keys() - fields.keys() - {b"format"}
        self._send(mode, changed, removed)
        self._stored = {**fields, b"format": FORMAT}
        return None

    def delete(self, session_key: str | None = None) -> None:
        session_key = session_key or self.session_key
        if session_key is not None:
            key = self._named(session_key)
            self._ask("delete", lambda server: server.client.delete(key))

    @classmethod
    def clear_expired(cls) -> None:
        """Do nothing: the store drops a session when its time is over."""

    def _send(self, mode: str, changed: Fields, removed: AbstractSet[bytes]) -> None:
        pairs = [part for field in changed.items() for part in field]
        keys = [self._named(self.session_key)]
        args = [mode, int(self.get_expiry_age()), len(changed), *pairs, *removed]
        started = perf_counter()
        saved = self._ask("save", lambda server: server.save(keys, args, client=server.client))
        result = "saved" if saved else "refused"
        SESSION_SAVED.emit(result=result, seconds=perf_counter() - started)
        if not saved:
            raise CreateError if mode == "create" else UpdateError

    def _ask(self, operation: str, question: Any) -> Any:
        if monotonic() < self._retry_at:  # a request that asks five times shall not wait five times
            raise SessionStoreUnavailable
        try:
            answer = ask(operation, question)
        except SessionStoreUnavailable:
            self.is_unavailable, self._retry_at = True, monotonic() + RETRY_AFTER
            raise
        self.is_unavailable = False
        return answer

    def _read(self, fields: Fields) -> dict[str, Any] | None:
        if not fields:
            return None
        try:
            if fields.get(b"format") != FORMAT:
                raise ValueError("another format")
            return self._merge(fields)
        except Exception as error:  # noqa: BLE001 - a serializer may raise anything for garbage
            SESSION_UNREADABLE.emit(error=repr(error))
            return None

    def _merge(self, fields: Fields) -> dict[str, Any]:
        loads = self.serializer().loads
        data: dict[str, Any] = {}
        for name, value in fields.items():
            if name != b"format":
                data.update(loads(value))
        return data

    def _write(self, data: dict[Any, Any]) -> Fields:
        """Return one field a key, each a serialised ``{key: value}``: JSON has no other keys than text."""
        serializer = self.serializer()
        fields: Fields = {}
        for key, value in data.items():
            field = serializer.dumps({key: value})
            name = next(iter(serializer.loads(field))) if not isinstance(key, str) else key
            fields[f"key:{name}".encode("utf-8", "surrogatepass")] = field
        return fields

    @staticmethod
    def _named(session_key: str | None) -> str:
        return PREFIX + sha256((session_key or "").encode("utf-8", "surrogatepass")).hexdigest()
