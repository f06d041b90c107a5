"""Parts of pages, cached: what `{% cached %}` does once its arguments are known."""

from __future__ import annotations

from collections.abc import Iterable
from contextlib import nullcontext
from dataclasses import dataclass, field, replace
from functools import lru_cache, partial
from operator import attrgetter
from threading import get_ident
from typing import TYPE_CHECKING, Any

from django.conf import settings as django_settings
from django.template import RequestContext
from django.utils import timezone, translation

from scalekit.cache.decorators import cached
from scalekit.cache.events import CACHE_PAGE_REFUSED
from scalekit.cache.pages import Watch, apart

if TYPE_CHECKING:
    from collections.abc import Callable

    from django.http import HttpRequest
    from django.template import Context, NodeList

Kept = dict[str, str]


@dataclass(slots=True)
class Fragment:
    """One rendering of a part of a template: what it depends on, and what it is made from."""

    name: str
    place: tuple[Any, ...]
    nodes: NodeList
    context: Context
    personal: bool
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
        request = request_of(self.context)
        watch = nullcontext() if request is None else Watch(request, personal=self.personal)
        with watch as watched:
            self.html = self.nodes.render(self.context)
        took = () if watched is None else watched.took
        why = next(iter(took), None) or _secret_in(self.html, self.context, request)
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
    request = request_of(context)
    if request is not None:
        context["request"] = apart(request)
        if isinstance(context, RequestContext):
            context.request = context["request"]
    return context


def _secret_in(html: str, context: Context, request: HttpRequest | None) -> str | None:
    """Find a token or nonce that was made before, elsewhere on the page, and now stands in the fragment."""
    nonce = getattr(request, "_csp_nonce", None)
    if nonce and str(nonce) in html:
        return "nonce"
    token = context.get("csrf_token")
    lazy = not issubclass(type(token), str)  # isinstance() would make the token, and set its cookie
    if token is None or (lazy and not (request and request.META.get("CSRF_COOKIE_NEEDS_UPDATE"))):
        return None
    return "csrf token" if str(token) and str(token) in html else None
