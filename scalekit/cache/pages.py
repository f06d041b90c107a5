"""Which visits share a page, and which responses are one: what `cached_view` decides."""

from __future__ import annotations

from contextlib import contextmanager
from copy import copy
from dataclasses import dataclass, field, replace
from threading import get_ident
from typing import TYPE_CHECKING, Any, cast

from django.conf import settings as django_settings
from django.contrib.messages.storage import default_storage
from django.core.exceptions import DisallowedHost
from django.http import HttpResponse, QueryDict
from django.template.response import SimpleTemplateResponse
from django.utils import timezone, translation
from django.utils.functional import Promise
from django.utils.safestring import SafeData

from scalekit.cache.exceptions import UncacheableArgument
from scalekit.cache.keys import encode
from scalekit.cache.visitors import NOTHING, is_nobody
from scalekit.cache.watching import bare

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from django.http import HttpRequest
    from django.http.response import HttpResponseBase

Kept = dict[str, Any]
_UNSHARED = {"private", "no-store", "no-cache", "max-age=0"}  # RFC 9111, 5.2.2
# What the framework's decorators tell its middleware.
_SAID = frozenset({"xframe_options_exempt", "csrf_exempt", "_csp_config", "_csp_ro_config"})
_OF_A_RESPONSE = frozenset(
    {"headers", "cookies", "closed", "status_code", "_charset", "_container"}
    | {"_handler_class", "_reason_phrase", "_resource_closers"}
)
_OF_A_TEMPLATE = frozenset(
    {"template_name", "context_data", "using", "_is_rendered", "_post_render_callbacks", "_request"}
)


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
    free: frozenset[str] = NOTHING
    cookies: frozenset[str] = frozenset()
    thread: int = field(default_factory=get_ident)

    @property
    def is_answered(self) -> bool:
        """Whether the view runs beside or after its visitor, who has a page: it is made anew, early or late."""
        return not self.waits or get_ident() != self.thread

    def of(self, varied: object, visitor: object) -> Visit:
        """Return this visit of a page that is different for each value `vary` returned, and each `visitor`."""
        varied = keyed(varied)
        try:
            encode(varied)
        except UncacheableArgument as error:
            msg = f"What vary= returned cannot be part of a cache key: {error} Return something simpler."
            raise UncacheableArgument(msg) from None
        return replace(self, place=(*self.place, varied, visitor))

    def varied(self, headers: list[str]) -> Visit:
        """Return this visit of a page that is different for each value of these request headers."""
        values = tuple((name, self.request.headers.get(name)) for name in headers)
        place = (*self.place, values)
        return replace(self, place=place, headers=tuple(headers), waits=True)


def keyed(value: Any) -> Any:
    """Return a value as it may stand in a key: lazy text as text, a visitor who is nobody as None.

    Text that is safe is told apart: the same text of a visitor is escaped.
    """
    if isinstance(value, Promise):
        value = str(value)
    if isinstance(value, SafeData):
        return "safe", str.__str__(str(value))
    if isinstance(value, str):
        return str.__str__(value)
    return None if is_nobody(value) else value


def apart(request: HttpRequest) -> HttpRequest:
    """Return a copy for a view that runs while others go on with the request."""
    request = copy(request)
    request.META = dict(request.META)
    if hasattr(request, "environ"):
        request.environ = request.META
    vars(request).pop("headers", None)
    if hasattr(request, "session"):
        session = bare(request.session)
        request.session = type(session)(session.session_key)
    if hasattr(request, "_messages"):
        request._messages = default_storage(request)  # noqa: SLF001 - where the framework looks
    return request


def hand(view: Any, request: HttpRequest, beside: HttpRequest) -> None:
    """Give `beside` to a class-based view that holds the request itself: it would get at it past the watch."""
    while view is not None:
        held = getattr(view, "__self__", None)
        if getattr(held, "request", None) is request:
            held.request = beside  # type: ignore[union-attr]  # it has one
        view = getattr(view, "func", None) or getattr(view, "__wrapped__", None)


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


@contextmanager
def narrowed(request: HttpRequest, query: frozenset[str] | None) -> Iterator[None]:
    """Show the view only those parameters that its page is kept by: nobody is to write into others' pages."""
    if query is None:
        yield
        return
    before, text = request.GET, request.META.get("QUERY_STRING", "")
    asked = QueryDict(mutable=True, encoding=request.GET.encoding)
    for name in before:
        if name in query:
            asked.setlist(name, before.getlist(name))
    asked._mutable = False  # noqa: SLF001 - as the framework makes its own
    request.GET, request.META["QUERY_STRING"] = asked, asked.urlencode()  # type: ignore[assignment]  # a request's own may be immutable
    try:
        yield
    finally:
        request.GET, request.META["QUERY_STRING"] = before, text


def refusal(response: HttpResponseBase, took: tuple[str, ...]) -> str | None:
    """Return in a word or two why this response may be nobody else's; None if it may be kept."""
    refusals: dict[str, Callable[[], bool]] = {
        "status": lambda: response.status_code != 200,  # noqa: PLR2004 - OK
        "stream": lambda: response.streaming or not isinstance(response, HttpResponse),
        "set-cookie": lambda: bool(response.cookies),
        "private": lambda: bool(_UNSHARED.intersection(_listed(response, "Cache-Control"))),
        "vary": lambda: "*" in _listed(response, "Vary"),
        "attributes": lambda: bool(_unknown(response)),
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
    said = {name: _plain(vars(response)[name]) for name in _SAID if name in vars(response)}
    return {"status": response.status_code, "headers": sent, "body": body, "said": said}


def _unknown(response: HttpResponseBase) -> set[str]:
    """Return what somebody has written on the response for who knows whom: a kept page would not say it."""
    kind = type(response)
    if not kind.__module__.startswith("django."):  # others' classes have attributes of their own
        return set()
    known = _OF_A_TEMPLATE if issubclass(kind, SimpleTemplateResponse) else frozenset()
    return vars(response).keys() - _OF_A_RESPONSE - known - _SAID


def _plain(value: Any) -> Any:
    """Return a policy as plain data, which every serializer keeps."""
    if isinstance(value, dict):
        return {str(name): _plain(item) for name, item in value.items()}
    if isinstance(value, (list, tuple)):
        return [_plain(item) for item in value]
    if isinstance(value, (set, frozenset)):
        return sorted(_plain(item) for item in value)
    return str.__str__(value) if isinstance(value, str) else value


def _nonce_in(request: HttpRequest, response: HttpResponseBase) -> str | None:
    """Find a nonce that was made before the view ran."""
    nonce = getattr(request, "_csp_nonce", None)
    content = cast("HttpResponse", response).content
    return "nonce" if nonce and str(nonce).encode() in content else None


def page(found: Kept) -> HttpResponse:
    """Return a response like the one that was kept."""
    response = HttpResponse(found["body"], status=found["status"], headers=dict(found["headers"]))
    vars(response).update(found["said"])
    return response


def head(found: Kept) -> HttpResponse:
    """Return the same without its body."""
    response = page(found)
    response["Content-Length"] = str(len(response.content))
    response.content = b""
    return response


def _listed(response: HttpResponseBase, header: str) -> list[str]:
    words = response.headers.get(header, "").lower().split(",")
    return [word.strip() for word in words if word.strip()]
