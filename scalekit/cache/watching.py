"""What a page or a part of one takes from its visitor: whoever takes any of it is made for them alone."""

from __future__ import annotations

from functools import partial
from typing import TYPE_CHECKING, Any, Self

from django.contrib.auth.context_processors import PermWrapper
from django.contrib.messages.storage.base import BaseStorage
from django.contrib.messages.storage.cookie import CookieStorage
from django.contrib.sessions.backends.base import SessionBase
from django.db.models import Model
from django.utils.functional import SimpleLazyObject

from scalekit.cache.cookies import Cookies
from scalekit.cache.visitors import known

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable, Collection, Iterator, Mapping

    from django.http import HttpRequest

_MISSING: Any = object()


class Watch:
    """Watch what is taken from a visitor, all but what is `free` since the key tells these visitors apart.

    `cookies` are those that may be read though not all are free. Messages are told once: who reads them in
    a part of a page says so by `messages`; a page is given to nobody who has any.
    """

    def __init__(
        self,
        request: HttpRequest,
        free: frozenset[str],
        *,
        cookies: Collection[str] = (),
        messages: bool = False,
    ) -> None:
        self._request, self._free = request, free
        self._cookies, self._messages = cookies, messages
        self._notes: dict[str, None] = {}
        self._before: dict[str, tuple[Any, Any]] = {}
        self.took: tuple[str, ...] = ()

    def note(self, what: str) -> None:
        """Remember that it was taken."""
        self._notes[what] = None

    def __enter__(self) -> Self:
        request = self._request
        self._session, self._storage, user = (
            bare(getattr(request, name, None)) for name in ("session", "_messages", "user")
        )
        self._known = known(user)
        self._token_used = request.META.pop("CSRF_COOKIE_NEEDS_UPDATE", False)
        self._nonce_used = bool(getattr(request, "_csp_nonce", None))
        self._told = getattr(self._storage, "added_new", False)
        if self._session is not None:
            self._session_before = self._session.accessed, self._session.modified
            self._session.accessed = self._session.modified = False
        for name in ("user", "session", "_messages"):
            self._put(name, self._lazily)
        self._put("auser", self._asking)
        if "cookies" not in self._free:
            self._hide_header()
            self._put("COOKIES", lambda _, cookies: Cookies(cookies, self._take_cookie))
        return self

    def __exit__(self, *exc_info: object) -> None:
        request = self._request
        for name, (before, ours) in self._before.items():
            if getattr(request, name) is ours:  # a login has put another user there
                setattr(request, name, before)
        if "cookies" not in self._free:
            self._show_header()
        self.took = tuple(self._taken())
        if self._token_used:
            request.META["CSRF_COOKIE_NEEDS_UPDATE"] = True
        if self._session is not None:
            accessed, modified = self._session_before
            self._session.accessed = self._session.accessed or accessed
            self._session.modified = self._session.modified or modified

    def watched(self, variables: Mapping[Any, Any]) -> dict[Any, Any]:
        """Return those variables of a template that are the visitor's, as they are watched."""
        ours = {name: self._ours(value) for name, value in variables.items()}
        return {name: value for name, value in ours.items() if value is not None}

    def _ours(self, value: Any) -> Any:
        if type(value) is PermWrapper:
            user = self._ours(value.user)
            return None if user is None else PermWrapper(user)
        for before, ours in self._before.values():
            if value is before:
                return ours
        what = self._kind(bare(value))
        return self._lazily(what, value) if what is not None and self._is_watched(what) else None

    def _kind(self, found: Any) -> str | None:
        """Return what a variable is, of this request or of the one that this is a copy of."""
        kind = type(found)  # isinstance() would ask for what is lazy
        if issubclass(kind, BaseStorage):
            return "messages"
        if issubclass(kind, SessionBase):
            return "session"
        is_known = self._known is not None and found is self._known
        return "user" if is_known or (issubclass(kind, Model) and found == self._known) else None

    def _is_watched(self, what: str) -> bool:
        return self._messages if what == "messages" else what not in self._free

    def _put(self, name: str, watched: Callable[[str, Any], Any]) -> None:
        what = {"COOKIES": "cookies", "_messages": "messages", "auser": "user"}.get(name, name)
        before = getattr(self._request, name, None)
        if before is not None and self._is_watched(what):
            self._before[name] = before, watched(what, before)
            setattr(self._request, name, self._before[name][1])

    def _lazily(self, what: str, value: Any) -> _Watched:
        return _Watched(partial(self.note, what), value)

    def _asking(self, what: str, ask: Callable[[], Awaitable[Any]]) -> Callable[[], Awaitable[Any]]:
        async def asked() -> Any:
            self.note(what)
            return await ask()

        return asked

    def _take_cookie(self, name: object) -> None:
        # The framework of messages looks for its own; whoever has any gets no shared page.
        is_of_messages = name == CookieStorage.cookie_name and not self._messages
        if not is_of_messages and name not in self._cookies:
            self.note("cookies")

    def _hide_header(self) -> None:
        """Take away the raw header: it would give all cookies at once, and the session's key with them."""
        request = self._request
        self._headers = vars(request).pop("headers", _MISSING)
        self._header = request.META.pop("HTTP_COOKIE", _MISSING)

    def _show_header(self) -> None:
        request = self._request
        vars(request).pop("headers", None)
        if self._headers is not _MISSING:
            vars(request)["headers"] = self._headers
        if self._header is not _MISSING:
            request.META["HTTP_COOKIE"] = self._header

    def _taken(self) -> Iterator[str]:
        request, session = self._request, self._session
        if request.META.get("CSRF_COOKIE_NEEDS_UPDATE"):
            yield "csrf token"
        if getattr(request, "_csp_nonce", None) and not self._nonce_used:
            yield "nonce"
        yield from sorted(self._notes, key=["messages", "user", "session", "cookies"].index)
        if session is not None and (session.modified or self._reads(session)):
            yield "session"
        if not self._told and getattr(self._storage, "added_new", False):
            yield "messages"

    def _reads(self, session: Any) -> bool:
        return session.accessed and "session" not in self._free


class _Watched(SimpleLazyObject):  # type: ignore[type-arg]  # generic for the checker alone
    """Something of the visitor's, which says by `note` that it was looked at."""

    def __init__(self, note: Callable[[], None], bare: Any) -> None:
        self.__dict__["bare"] = bare

        def take() -> Any:
            note()
            return bare

        super().__init__(take)


def bare(value: Any) -> Any:
    """Return what is watched, to look at it unnoticed."""
    while type(value) is _Watched:
        value = value.__dict__["bare"]
    return value
