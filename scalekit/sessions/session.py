"""Django's session over a `Store`: it remembers what it has loaded, so that a save sends only what changed."""

from __future__ import annotations

from contextlib import suppress
from dataclasses import dataclass
from functools import lru_cache, partial
from time import monotonic, perf_counter, time
from typing import TYPE_CHECKING, Any, ClassVar, TypeVar

from django.contrib.auth import SESSION_KEY
from django.contrib.sessions.backends.base import (
    VALID_KEY_CHARS,
    CreateError,
    SessionBase,
    UpdateError,
)
from django.utils.crypto import get_random_string

from scalekit.core.exceptions import SettingInvalid
from scalekit.sessions import previous
from scalekit.sessions.conf import settings
from scalekit.sessions.events import (
    SESSION_ADOPTED,
    SESSION_LARGE,
    SESSION_LOADED,
    SESSION_SAVED,
    SESSION_UNREADABLE,
)
from scalekit.sessions.exceptions import SessionStoreUnavailable, SessionTooLarge
from scalekit.sessions.records import (
    PICKLED,
    Change,
    Fields,
    Mode,
    Record,
    changed_inside,
    name_of,
    name_of_copy,
    name_of_user,
    read_fields,
    write_fields,
)
from scalekit.sessions.steps import Blocking, afinish, finish

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping
    from contextlib import AbstractContextManager

    from scalekit.sessions.steps import Steps
    from scalekit.sessions.stores.base import Store

T = TypeVar("T")

RETRY_AFTER = 1.0  # seconds until one session object asks again a store that did not answer


class StoredSessionBase(SessionBase):
    """A visitor's session; a subclass names the store. Passes for any of Django's engines."""

    store: ClassVar[Store]
    adopts = True  # whether it looks for the session in the previous engine

    def __init__(self, session_key: str | None = None) -> None:
        self._record: Record | None = None  # what the store holds, if that is known
        self._loaded: dict[Any, Any] = {}  # the data it was read as
        super().__init__(session_key)
        refuse_pickle(self.serializer)
        self.is_unavailable = False
        self._retry_at = 0.0
        self._settled: Outcome | None = None

    @property
    def modified(self) -> bool:
        """Whether there is something to save; also a list or dict that was changed in its place."""
        return self._is_marked or self._has_changed_inside()

    @modified.setter
    def modified(self, value: bool) -> None:
        self._is_marked = value

    @property
    def saved_at(self) -> float | None:
        """When the session was last saved (Unix time), if it was loaded from the store."""
        return self._record.saved if self._record else None

    def load(self) -> dict[str, Any]:
        """Return the session's data; {} and no key where there is none."""
        return self._run(self._loading())

    async def aload(self) -> dict[str, Any]:
        return await self._arun(self._loading())

    def exists(self, session_key: str) -> bool:
        return self._run(self.store.exists(name_of(session_key)))

    async def aexists(self, session_key: str) -> bool:
        return await self._arun(self.store.exists(name_of(session_key)))

    def create(self) -> None:
        """Save under a new key, which no one else has."""
        for self._session_key in _new_keys():
            try:
                self.save(must_create=True)
            except CreateError:
                continue
            self.modified = True
            return

    async def acreate(self) -> None:
        for self._session_key in _new_keys():
            try:
                await self.asave(must_create=True)
            except CreateError:
                continue
            self.modified = True
            return

    def save(self, must_create: bool = False) -> None:
        """Write the keys that changed. Raises UpdateError if the session was deleted meanwhile."""
        if self._settled is not None:
            return self._take_settled()
        if self.session_key is None:
            return self.create()
        data = self._get_session(no_load=must_create)  # type: ignore[attr-defined]  # not in the stubs
        return self._run(self._saving(data, must_create=must_create))

    async def asave(self, must_create: bool = False) -> None:
        if self.session_key is None:
            return await self.acreate()
        data = await self._aget_session(no_load=must_create)  # type: ignore[attr-defined]  # as above
        return await self._arun(self._saving(data, must_create=must_create))

    async def asettle(self, *, saving: bool) -> None:
        """Load and, if `saving`, save now what the middleware, which is no coroutine, will: it hears how that went."""
        with suppress(SessionStoreUnavailable):  # it will be told so too, at once
            await self._aget_session()  # type: ignore[attr-defined]  # not in the stubs
        if not saving or self.is_empty():
            return
        self.modified = True  # what was changed in its place no longer shows, once it is saved
        self._settled = Outcome()
        try:
            await self.asave()
        except (UpdateError, SessionStoreUnavailable, SessionTooLarge) as error:
            self._settled = Outcome(error)

    def delete(self, session_key: str | None = None) -> None:
        self._run(self._deleting(session_key or self.session_key))

    async def adelete(self, session_key: str | None = None) -> None:
        await self._arun(self._deleting(session_key or self.session_key))

    @classmethod
    def clear_expired(cls) -> None:
        """Remove expired sessions, a thousand at a time; a store that forgets them by itself has none."""
        for _ in cls.store.clear_expired():
            pass

    def _run(self, steps: Steps[T]) -> T:
        with self._asking():
            return finish(steps)

    async def _arun(self, steps: Steps[T]) -> T:
        with self._asking():
            return await afinish(steps)

    def _asking(self) -> AbstractContextManager[None]:
        if monotonic() < self._retry_at:  # a request that asks five times shall not wait five times
            raise SessionStoreUnavailable
        return _Asking(self)

    def _loading(self) -> Steps[dict[str, Any]]:
        if self.session_key is None:
            return {}
        started = perf_counter()
        record = yield from self.store.load(name_of(self.session_key))
        data = self._taken(record)
        if data is None and record is None and self._previous():
            data = yield from self._adopting()
        result = "absent" if data is None else "found"
        SESSION_LOADED.emit(result=result, seconds=perf_counter() - started)
        if data is None:
            self._session_key = None
            return {}
        return data

    def _taken(self, record: Record | None) -> dict[str, Any] | None:
        """Return a record's data, and remember it; None if it is none, over, or unreadable."""
        if record is None or _is_over(record):
            return None
        try:
            data = read_fields(self.serializer(), record.fields)
        except Exception as error:  # noqa: BLE001 - a serializer may raise anything for garbage
            SESSION_UNREADABLE.emit(error=repr(error))
            return None
        self._record, self._loaded = record, dict(data)
        return data

    def _adopting(self) -> Steps[dict[str, Any] | None]:
        """Take over the session that the previous engine has under this key, once, and under the same key.

        Where it or all of its user's have ended here, a tombstone refuses. That of the user is looked for
        again at the end, since `logout_everywhere` sets it before it lists.
        """
        key = str(self.session_key)
        found = yield Blocking(partial(previous.read, key))
        if not found:
            return None
        owner, record = str(found.get(SESSION_KEY, "")), None
        if not (yield from self._has_left(owner)):
            record = yield from self._copying(key, found, owner)
        if record is not None and (yield from self._has_left(owner)):
            yield from self.store.delete(name_of(key), previous.tombstone_seconds())
            record = None
        SESSION_ADOPTED.emit(result="refused" if record is None else "adopted")
        return self._taken(record)

    def _copying(self, key: str, found: Mapping[str, Any], owner: str) -> Steps[Record | None]:
        """Copy what was found, unless that was done before: of two requests at once, one copies, both find it.

        A mark stays, which outlives the copy: one that expires is not made again.
        """
        name, mark, record = name_of(key), name_of_copy(key), None
        seconds = int(self.get_expiry_age(expiry=found.get("_session_expiry")))
        if seconds > 0 and not (yield from self.store.has_ended(mark)):
            fields = write_fields(self.serializer(), found, {}, {})
            change = Change("create", fields, None, seconds, owner)
            record = yield from self.store.save(name, change)
        if record is None:
            return (yield from self.store.load(name))
        yield from self.store.delete(mark, previous.tombstone_seconds())
        return record

    def _has_left(self, owner: str) -> Steps[bool]:
        """Tell whether all sessions of a user that the previous engine has were ended."""
        return bool(owner) and (yield from self.store.has_ended(name_of_user(owner)))

    def _saving(self, data: dict[Any, Any], *, must_create: bool) -> Steps[None]:
        stored = self._record.fields if self._record else {}
        fields = write_fields(self.serializer(), data, self._loaded, stored)
        _weigh(fields)
        known = self._record is not None
        mode: Mode = "create" if must_create else "update" if known else "replace"
        owner = str(data.get(SESSION_KEY, ""))
        change = Change(mode, fields, self._record, int(self.get_expiry_age()), owner)
        started = perf_counter()
        record = yield from self.store.save(name_of(self.session_key), change)
        result = "saved" if record else "refused"
        SESSION_SAVED.emit(result=result, seconds=perf_counter() - started)
        if record is None:
            raise CreateError if must_create else UpdateError
        self._record, self._loaded = record.as_known(fields), dict(data)

    def _deleting(self, session_key: str | None) -> Steps[None]:
        if session_key is None:
            return
        seconds = previous.tombstone_seconds() if self._previous() else 0
        yield from self.store.delete(name_of(session_key), seconds)
        if self._previous():
            yield Blocking(partial(previous.forget, session_key))

    def _previous(self) -> str:
        return settings.PREVIOUS_ENGINE if self.adopts else ""

    def _has_changed_inside(self) -> bool:
        data = self.__dict__.get("_session_cache")
        if data is None or self._record is None:
            return False
        return changed_inside(self.serializer(), data, self._record.fields)

    def _take_settled(self) -> None:
        settled, self._settled = self._settled, None
        if settled is not None and settled.error is not None:
            raise settled.error


@dataclass(frozen=True, slots=True)
class Outcome:
    """How a save that ran ahead of the middleware went."""

    error: Exception | None = None


class _Asking:
    """Remember on the session that its store did not answer."""

    __slots__ = ("_session",)

    def __init__(self, session: StoredSessionBase) -> None:
        self._session = session

    def __enter__(self) -> None: ...

    def __exit__(self, kind: object, error: BaseException | None, trace: object) -> None:
        session = self._session
        session.is_unavailable = isinstance(error, SessionStoreUnavailable)
        if session.is_unavailable:
            session._retry_at = monotonic() + RETRY_AFTER  # noqa: SLF001 - ours


def _new_keys() -> Iterator[str]:
    """Give random keys. Nobody asks whether one is taken: whoever creates it is told (165 bits seldom are)."""
    while True:
        yield get_random_string(32, VALID_KEY_CHARS)


def _is_over(record: Record) -> bool:
    limit = settings.ABSOLUTE_SECONDS
    return bool(limit) and 0 < record.created <= time() - limit


def _weigh(fields: Fields) -> None:
    size = sum(len(name) + len(value) for name, value in fields.items())
    if size <= settings.WARN_BYTES:
        return
    largest = max(fields, key=lambda name: len(fields[name])).decode(errors="replace")
    key = largest.removeprefix("key:")
    if size > settings.MAX_BYTES:
        raise SessionTooLarge(
            f"A session of {size} bytes is more than SCALEKIT_SESSIONS_MAX_BYTES = {settings.MAX_BYTES};"
            f" its largest key is {key!r}. Keep such data in a model or in the cache, and its id here."
        )
    SESSION_LARGE.emit(bytes=size, key=key)


@lru_cache(maxsize=8)
def refuse_pickle(serializer: Any) -> None:
    """Raise `SettingInvalid` for a serializer that makes pickles: who can write to the store could run code."""
    if serializer().dumps({"a": 1}).startswith(PICKLED):
        raise SettingInvalid(
            f"SESSION_SERIALIZER {serializer.__module__}.{serializer.__qualname__} makes pickles, which run code"
            " when they are loaded; scalekit.sessions loads none. Write SESSION_SERIALIZER ="
            ' "django.contrib.sessions.serializers.JSONSerializer".'
        )
