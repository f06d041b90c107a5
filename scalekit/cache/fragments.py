"""Parts of pages, cached: what `{% cached %}` does once its arguments are known."""

from __future__ import annotations

from collections.abc import Iterable
from copy import copy
from dataclasses import dataclass, field, replace
from functools import lru_cache, partial
from operator import attrgetter
from threading import get_ident
from typing import TYPE_CHECKING, Any

from django.conf import settings as django_settings
from django.http import HttpRequest
from django.template import RequestContext
from django.utils import timezone, translation
from django.utils.functional import LazyObject

from scalekit.cache.decorators import cached
from scalekit.cache.events import CACHE_PAGE_REFUSED
from scalekit.cache.pages import apart
from scalekit.cache.visitors import ALL, NOTHING, are_somebody, is_nobody, known, whose
from scalekit.cache.watching import Watch

if TYPE_CHECKING:
    from collections.abc import Callable

    from django.template import Context, NodeList

Kept = dict[str, str]


@dataclass(slots=True)
class Fragment:
    """One rendering of a part of a template: what it depends on, and what it is made from."""

    name: str
    place: tuple[Any, ...]
    nodes: NodeList
    context: Context
    free: frozenset[str] = NOTHING
    tags: tuple[str, ...] = ()
    depends_on: tuple[Any, ...] = ()
    html: str | None = None
    aside: Context = field(init=False)
    thread: int = field(default_factory=get_ident)

    def __post_init__(self) -> None:
        self.aside = _snapshot(self.context)

    def render(self) -> Kept:
        """Render it for the page that waits, or beside it; return what may be kept of it."""
        if get_ident() != self.thread:  # the page is on its way already, and its context with it
            return replace(self, context=_apart(self.aside), thread=get_ident()).render()
        request = request_of(self.context) or _nobody_s(self.context)
        with (
            Watch(request, self.free, messages=True) as watch,
            self.context.push(watch.watched(self.context.flatten())),
        ):
            self.html = self.nodes.render(self.context)
        why = next(iter(watch.took), None) or _secret_in(self.html, self.context, request)
        if why is None:
            return {"html": str.__str__(self.html)}
        CACHE_PAGE_REFUSED.emit(function=f"fragment.{self.name}", reason=why)
        return {"refused": why}


@lru_cache(maxsize=1024)
def fragments(name: str, ttl: float | None, ends: tuple[str, ...], **options: Any) -> Any:
    """Return the cached function of all fragments of this name, to be called with a place and a `Fragment`.

    `ends` names what the tag says of their end: "tags", "depends_on".
    """

    def render(_: object, fragment: Fragment) -> Kept:
        return fragment.render()

    render.__module__, render.__qualname__ = "fragment", name
    ending: dict[str, Any] = {end: partial(_of_fragment, attrgetter(end)) for end in ends}
    return cached(ttl, key=lambda place, _: place, **ending, **options)(render)


def _of_fragment(take: Callable[[Fragment], Any], _: object, fragment: Fragment) -> Any:
    return take(fragment)


def surroundings(context: Context) -> tuple[Any, ...]:
    """Return what every fragment depends on beside its arguments."""
    zone = timezone.get_current_timezone_name() if django_settings.USE_TZ else None
    return translation.get_language(), zone, context.autoescape


def visitor_of(
    context: Context, values: tuple[Any, ...], *, personal: bool
) -> tuple[object, frozenset[str]]:
    """Return what the key of a fragment says of its visitor, and what it may take from them.

    Only who has been asked for already can be named: a fragment of all visitors asks nobody who they are.
    """
    request = request_of(context) or _nobody_s(context)
    if personal and are_somebody(values):
        request.COOKIES.get("")  # a page or fragment around it hears that this part is personal
        return "personal", ALL
    is_guest_s = any(is_nobody(value) for value in values)
    user = known(getattr(request, "user", None))  # after the values, which may have asked
    visitor, free = whose(request, user, values)
    if "session" in free or (user is not None and visitor == "guest" and is_guest_s):
        return visitor, free
    return None, NOTHING


def listed(value: Any) -> tuple[Any, ...]:
    """Return the one value, or the many, that an argument of the tag stands for."""
    if value in (None, ""):
        return ()
    many = isinstance(value, Iterable) and not isinstance(value, str)
    return tuple(value) if many else (value,)


def request_of(context: Context) -> HttpRequest | None:
    """Return the request of the page, if its template was rendered for one."""
    return getattr(context, "request", None) or context.get("request")


def _snapshot(context: Context) -> Context:
    """Return the context as it is now: loops will have put other values into its dicts."""
    values: dict[Any, Any] = context.flatten()
    if isinstance(values.get("forloop"), dict):
        values["forloop"] = dict(values["forloop"])
    return context.new(values)


def _apart(context: Context) -> Context:
    """Put a copy of the request wherever it stands in the context: by itself, or in a view or a form."""
    request = request_of(context)
    if request is None:
        return context
    beside = apart(request)
    for name, value in context.flatten().items():
        context[name] = _with(value, request, beside)
    context["request"] = beside
    if isinstance(context, RequestContext):
        context.request = beside
    return context


def _with(value: Any, request: HttpRequest, beside: HttpRequest) -> Any:
    if value is request:
        return beside
    if issubclass(type(value), LazyObject):  # it has no attributes but those of what it stands for
        return value
    held = [name for name, item in getattr(value, "__dict__", {}).items() if item is request]
    if held:
        value = copy(value)
        value.__dict__.update(dict.fromkeys(held, beside))
    return value


def _nobody_s(context: Context) -> HttpRequest:
    """Return a request to watch where a template is rendered for none, as for a task: its user counts."""
    request = HttpRequest()
    if "user" in context:
        request.user = context["user"]
    return request


def _secret_in(html: str, context: Context, request: HttpRequest) -> str | None:
    """Find a token or nonce that was made before, elsewhere on the page, and now stands in the fragment."""
    nonce = getattr(request, "_csp_nonce", None)
    if nonce and str(nonce) in html:
        return "nonce"
    token = context.get("csrf_token")
    lazy = not issubclass(type(token), str)  # isinstance() would make the token, and set its cookie
    if token is None or (lazy and not request.META.get("CSRF_COOKIE_NEEDS_UPDATE")):
        return None
    return "csrf token" if str(token) and str(token) in html else None
