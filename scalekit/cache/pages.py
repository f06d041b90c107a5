"""Which visits share a page, and which responses are one: what `cached_view` decides."""

from __future__ import annotations

from collections import UserDict
from copy import copy
from dataclasses import dataclass, field, replace
from threading import get_ident
from typing import TYPE_CHECKING, Any, Self, cast

from django.conf import settings as django_settings
from django.contrib.messages.storage import default_storage
from django.contrib.messages.storage.cookie import CookieStorage
from django.core.exceptions import DisallowedHost
from django.http import HttpResponse
from django.utils import timezone, translation
from django.utils.functional import Promise

from scalekit.cache.exceptions import UncacheableArgument
from scalekit.cache.keys import encode

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from django.http import HttpRequest
    from django.http.response import HttpResponseBase

Kept = dict[str, Any]
_UNSHARED = {"private", "no-store", "no-cache", "max-age=0"}  # RFC 9111, 5.2.2


@dataclass(slots=True)
class Visit:
    """One request on its way through a cached view: under which page it goes, and what it gets."""

    request: HttpRequest
    args: tuple[Any, ...]
    kwargs: dict[str, Any]
    place: tuple[Any, ...]
    headers: tuple[str, ...] = ()
    response: HttpResponseBase | None = None
    waits: bool = True
    thread: int = field(default_factory=get_ident)

    @property
    def is_answered(self) -> bool:
        """Whether the view runs beside or after its visitor, who has a page: it is made anew, early or late."""
        return not self.waits or get_ident() != self.thread

    def of(self, visitor: object) -> Visit:
        """Return this visit of a page that is different for each value of `visitor`, which `vary` returned."""
        visitor = keyed(visitor)
        try:
            encode(visitor)
        except UncacheableArgument as error:
            msg = f"What vary= returned cannot be part of a cache key: {error} Return something simpler."
            raise UncacheableArgument(msg) from None
        return replace(self, place=(*self.place, visitor))

    def varied(self, headers: list[str]) -> Visit:
        """Return this visit of a page that is different for each value of these request headers."""
        values = tuple((name, self.request.headers.get(name)) for name in headers)
        place = (*self.place, values)
        return replace(self, place=place, headers=tuple(headers), waits=True)


def keyed(value: Any) -> Any:
    """Return a value as it may stand in a key: safe and lazy text as text, a visitor who is nobody as None."""
    if isinstance(value, Promise):
        return str(value)
    if isinstance(value, str):
        return str.__str__(value)
    return None if getattr(value, "is_anonymous", False) is True else value


def apart(request: HttpRequest) -> HttpRequest:
    """Return a copy for a view that runs while others go on with the request."""
    request = copy(request)
    request.META = dict(request.META)
    if hasattr(request, "session"):
        request.session = type(request.session)(request.session.session_key)
    if hasattr(request, "_messages"):
        request._messages = default_storage(request)  # noqa: SLF001 - where the framework looks
    return request


def place_of(request: HttpRequest, query: frozenset[str] | None) -> tuple[Any, ...] | None:
    """Return what every page depends on: address, language, time zone; None if it has no valid address."""
    try:
        host = request.get_host()
    except DisallowedHost:
        return None
    asked = [pair for pair in request.GET.lists() if query is None or pair[0] in query]
    zone = timezone.get_current_timezone_name() if django_settings.USE_TZ else None
    language = translation.get_language()
    return "view", request.scheme, host, request.path, sorted(asked), language, zone


def has_messages(request: HttpRequest) -> bool:
    """Return whether the visitor is yet to be told something, which the next page will do."""
    storage = getattr(request, "_messages", None)
    if storage is None:
        return False
    return storage.added_new or (bool(request.COOKIES) and len(storage) > 0)


class Watch:
    """Watch what a view takes from its visitor: the page is theirs alone if it takes any of it.

    `personal`: the pages are told apart by visitor, so that its session and cookies may be read.
    """

    def __init__(self, request: HttpRequest, *, personal: bool) -> None:
        self._request, self._personal = request, personal
        self._session = getattr(request, "session", None)
        self.took: tuple[str, ...] = ()

    def __enter__(self) -> Self:
        request = self._request
        self._cookies_before, self._cookies = request.COOKIES, _Cookies(request.COOKIES)
        request.COOKIES = self._cookies  # type: ignore[assignment]  # a mapping, as views use it
        self._token_used = request.META.pop("CSRF_COOKIE_NEEDS_UPDATE", False)
        self._nonce_used = bool(getattr(request, "_csp_nonce", None))
        if self._session is not None:
            self._session_before = self._session.accessed, self._session.modified
            self._session.accessed = self._session.modified = False
        return self

    def __exit__(self, *exc_info: object) -> None:
        self._request.COOKIES = self._cookies_before
        self.took = tuple(self._taken())
        if self._token_used:
            self._request.META["CSRF_COOKIE_NEEDS_UPDATE"] = True
        if self._session is not None:
            accessed, modified = self._session_before
            self._session.accessed = self._session.accessed or accessed
            self._session.modified = self._session.modified or modified

    def _taken(self) -> Iterator[str]:
        request, session = self._request, self._session
        if request.META.get("CSRF_COOKIE_NEEDS_UPDATE"):
            yield "csrf token"
        if getattr(request, "_csp_nonce", None) and not self._nonce_used:
            yield "nonce"
        if session is not None and (session.modified or (session.accessed and not self._personal)):
            yield "session"
        if self._cookies.taken and not self._personal:
            yield "cookies"
        if getattr(getattr(request, "_messages", None), "added_new", False):
            yield "messages"


class _Cookies(UserDict[str, str]):
    """A request's cookies, which remember whether one was asked for; a page's hear of those of its fragments."""

    def __init__(self, cookies: Any) -> None:
        self._outer = cookies if isinstance(cookies, _Cookies) else None
        super().__init__(cookies.data if isinstance(cookies, _Cookies) else cookies)

    taken = False

    def __getitem__(self, name: str) -> str:
        self._take(name)
        return super().__getitem__(name)

    def __contains__(self, name: object) -> bool:
        self._take(name)
        return super().__contains__(name)

    def __iter__(self) -> Iterator[str]:
        self._take(None)
        return super().__iter__()

    def _take(self, name: object) -> None:
        # The framework of messages looks for its own; whoever has any gets no shared page.
        self.taken = self.taken or name != CookieStorage.cookie_name
        if self._outer is not None:
            self._outer._take(name)  # noqa: SLF001 - of our own class


def refusal(response: HttpResponseBase, took: tuple[str, ...]) -> str | None:
    """Return in a word or two why this response may be nobody else's; None if it may be kept."""
    refusals: dict[str, Callable[[], bool]] = {
        "status": lambda: response.status_code != 200,  # noqa: PLR2004 - OK
        "stream": lambda: response.streaming or not isinstance(response, HttpResponse),
        "set-cookie": lambda: bool(response.cookies),
        "private": lambda: bool(_UNSHARED.intersection(_listed(response, "Cache-Control"))),
        "vary": lambda: "*" in _listed(response, "Vary"),
    }
    return next((why for why, refuses in refusals.items() if refuses()), next(iter(took), None))


def kept(visit: Visit, response: HttpResponseBase, took: tuple[str, ...]) -> Kept:
    """Return what is kept of a visit: the page, that it varies with headers, or why there is none."""
    why = refusal(response, took) or _nonce_in(visit.request, response)
    if why is not None:
        return {"refused": why}
    headers = sorted(set(_listed(response, "Vary")))
    if not set(headers) <= set(visit.headers):
        return {"varies": headers} if not visit.headers else {"refused": "vary"}
    sent = [[name, value] for name, value in response.items()]
    body = cast("HttpResponse", response).content
    return {"status": response.status_code, "headers": sent, "body": body}


def _nonce_in(request: HttpRequest, response: HttpResponseBase) -> str | None:
    """Find a nonce that was made before the view ran."""
    nonce = getattr(request, "_csp_nonce", None)
    content = cast("HttpResponse", response).content
    return "nonce" if nonce and str(nonce).encode() in content else None


def page(found: Kept) -> HttpResponse:
    """Return a response like the one that was kept."""
    return HttpResponse(found["body"], status=found["status"], headers=dict(found["headers"]))


def head(found: Kept) -> HttpResponse:
    """Return the same without its body."""
    response = page(found)
    response["Content-Length"] = str(len(response.content))
    response.content = b""
    return response


def _listed(response: HttpResponseBase, header: str) -> list[str]:
    words = response.headers.get(header, "").lower().split(",")
    return [word.strip() for word in words if word.strip()]
