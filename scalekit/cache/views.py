"""`cached_view`: a page that all visitors share who may share it."""

from __future__ import annotations

import inspect
from collections.abc import Awaitable, Callable, Generator
from dataclasses import replace
from functools import wraps
from typing import TYPE_CHECKING, Any, Literal, TypeVar, cast

from asgiref.sync import iscoroutinefunction, sync_to_async
from django.http.response import HttpResponseBase

from scalekit.cache.decorators import cached
from scalekit.cache.events import CACHE_PAGE_REFUSED
from scalekit.cache.exceptions import UncacheableFunction
from scalekit.cache.pages import (
    Kept,
    Visit,
    apart,
    hand,
    has_messages,
    head,
    kept,
    narrowed,
    page,
    place_of,
)
from scalekit.cache.visitors import ALL, Asked, are_somebody, listed, whose
from scalekit.cache.watching import Watch

if TYPE_CHECKING:
    from collections.abc import Sequence
    from datetime import timedelta

    from django.http import HttpRequest

V = TypeVar("V", bound=Callable[..., Any])
Step = tuple[Literal["ask", "peek", "load", "forget"], Visit]
Flow = Generator[Step, Any, HttpResponseBase | None]


class cached_view:  # noqa: N801 - used as a decorator
    """Keep the page that a view returns, for every visitor who would have got the same one.

    The page is kept by its address, language and time zone, and by the request headers that its `Vary`
    names. Logged-in visitors run the view each time; give `vary`, a function of the request that returns
    what the page depends on, to keep their pages too. What the view takes from its visitor makes the page
    theirs, and it is not kept, unless what `vary` returned names them: it is or holds the user who is logged
    in, their primary key, or the key of the session. `personal` says that it does in another way.
    `query` names the parameters of the query string that matter, and that the view gets; without it all do.

    Only GET with 200 is kept, and nothing that was made for one visitor: with a cookie, a CSRF token, a
    nonce, messages, anything from the session or the cookies, or a `Cache-Control` that forbids it. `tags`
    and `depends_on` may be functions of the view's arguments; these and all other options are those of
    `cached`, but `key`, and `timeout`: a view that nobody waits for has no visitor to give its cookies to.
    """

    def __init__(
        self,
        ttl: float | timedelta | None = 300,
        *,
        vary: Callable[[HttpRequest], object] | None = None,
        query: Sequence[str] | None = None,
        personal: bool = False,
        **options: Any,
    ) -> None:
        if callable(ttl):
            raise UncacheableFunction("Write @cached_view(), with parentheses.")
        if "key" in options:
            raise UncacheableFunction(
                "@cached_view takes no key=: say with vary= what else matters."
            )
        if "timeout" in options:
            msg = "@cached_view takes no timeout=: set one where the view waits, in its queries for example."
            raise UncacheableFunction(msg)
        self.vary, self.personal = vary, personal
        self.query = None if query is None else frozenset(query)
        self.options = {name: _of_the_view(option) for name, option in options.items()}
        self.cached = cached(ttl, key=_place, **self.options)

    def __call__(self, view: V) -> V:
        serve = _serve_async if iscoroutinefunction(view) else _serve
        return cast("V", serve(self, view))

    def visit(self, request: HttpRequest, args: Any, kwargs: Any) -> Visit | None:
        """Return the visit of a page, or None where there is none that could be shared."""
        if request.method not in {"GET", "HEAD"}:
            return None
        place = place_of(request, self.query)
        return None if place is None else Visit(request, args, kwargs, place)

    def of(self, visit: Visit, user: Any, varied: object, asked: Asked) -> Visit | None:
        """Return whose visit it is, or None if their page is nobody else's before it is made."""
        values = listed(varied)
        visitor, free = whose(visit.request, user, values)
        if self.personal and are_somebody(values):
            visitor, free = "personal", ALL
        if "session" not in free and (asked.session or "Authorization" in visit.request.headers):
            return None  # RFC 9111, 3.5
        if self.vary is None and visitor == "member":
            return None
        visit = visit.of(varied, visitor)
        return replace(visit, free=free, cookies=asked.cookies_of(values))


def _flow(visit: Visit) -> Flow:
    """Yield what is to be done, for a thread or an event loop to do; return the response, None for the view's.

    Of a page that is nobody else's it is kept that it is: no visitor waits until another's is ready.
    """
    only_head = visit.request.method == "HEAD"
    look: Literal["peek", "ask"] = "peek" if only_head else "ask"
    found: Kept = yield look, visit
    visit.waits = False
    if found and "varies" in found and visit.response is None:
        visit = visit.varied(found["varies"])
        found = yield look, visit
        visit.waits = False
    if visit.response is not None:
        return visit.response
    if found and "body" in found:
        return head(found) if only_head else page(found)
    if only_head:
        return None
    visit.waits = True
    found = yield "load", visit
    if "body" in found:  # it was an error page until now: let that of the next visitor be kept
        yield "forget", visit
    return visit.response


def _serve(options: cached_view, view: Callable[..., HttpResponseBase]) -> Callable[..., Any]:
    @wraps(view)
    def load(_: object, visit: Visit) -> Kept:
        request = _request_of(view, visit)
        narrow = narrowed(request, options.query)
        with narrow, Watch(request, visit.free, cookies=visit.cookies) as watch:
            response = _rendered(view(request, *visit.args, **visit.kwargs))
        return _taken(view, visit, response, watch)

    pages = options.cached(load)
    steps = _steps(pages, load)

    def enter(request: HttpRequest, visit: Visit | None) -> Visit | None:
        asked = Asked(request)
        if visit is None or has_messages(request):
            return None
        with asked:
            varied = options.vary(request) if options.vary is not None else None
        return options.of(visit, getattr(request, "user", None), varied, asked)

    @wraps(view)
    def serve(request: HttpRequest, *args: Any, **kwargs: Any) -> HttpResponseBase:
        visit = enter(request, options.visit(request, args, kwargs))
        if visit is None:
            return view(request, *args, **kwargs)
        flow = _flow(visit)
        step = _advance(flow, None)
        while isinstance(step, tuple):
            name, at = step
            step = _advance(flow, steps[name](at.place, at))
        return view(request, *args, **kwargs) if step is None else step

    return serve


def _serve_async(
    options: cached_view, view: Callable[..., Awaitable[HttpResponseBase]]
) -> Callable[..., Any]:
    """Do as `_serve` does."""

    @wraps(view)
    async def load(_: object, visit: Visit) -> Kept:
        request = _request_of(view, visit)
        narrow = narrowed(request, options.query)
        with narrow, Watch(request, visit.free, cookies=visit.cookies) as watch:
            response: Any = await view(request, *visit.args, **visit.kwargs)
            if _is_lazy(response):
                response = await sync_to_async(_rendered)(response)
        return _taken(view, visit, response, watch)

    pages = options.cached(load)
    steps = _steps(pages, load)

    async def enter(request: HttpRequest, visit: Visit | None) -> Visit | None:
        asked = Asked(request)
        if visit is None or (request.COOKIES and await sync_to_async(has_messages)(request)):
            return None
        with asked:
            varied = await _async(options.vary)(request) if options.vary is not None else None
        return options.of(visit, await _user_of(request), varied, asked)

    @wraps(view)
    async def serve(request: HttpRequest, *args: Any, **kwargs: Any) -> HttpResponseBase:
        visit = await enter(request, options.visit(request, args, kwargs))
        if visit is None:
            return await view(request, *args, **kwargs)
        flow = _flow(visit)
        step = _advance(flow, None)
        while isinstance(step, tuple):
            name, at = step
            step = _advance(flow, await steps[name](at.place, at))
        return await view(request, *args, **kwargs) if step is None else step

    return serve


def _steps(pages: Any, load: Callable[..., Any]) -> dict[str, Callable[..., Any]]:
    return {"ask": pages, "peek": pages.peek, "load": load, "forget": pages.invalidate}


def _advance(flow: Flow, result: Any) -> Step | HttpResponseBase | None:
    try:
        return flow.send(result)
    except StopIteration as end:
        return cast("HttpResponseBase | None", end.value)


def _is_lazy(response: HttpResponseBase) -> bool:
    return callable(getattr(response, "render", None))


def _rendered(response: Any) -> HttpResponseBase:
    """Render what Django would render later, when a token or a cookie could no longer be noticed."""
    return cast("HttpResponseBase", response.render() if _is_lazy(response) else response)


def _request_of(view: Callable[..., Any], visit: Visit) -> HttpRequest:
    """Return the visit's request, or a copy for a run beside its visitor."""
    if not visit.is_answered:
        return visit.request
    beside = apart(visit.request)
    hand(view, visit.request, beside)
    return beside


def _async(vary: Callable[..., Any]) -> Callable[..., Any]:
    return vary if iscoroutinefunction(vary) else sync_to_async(vary)


async def _user_of(request: HttpRequest) -> Any:
    ask = getattr(request, "auser", None)
    return getattr(request, "user", None) if ask is None else await ask()


def _taken(
    view: Callable[..., Any], visit: Visit, response: HttpResponseBase, watch: Watch
) -> Kept:
    """Give the response to its visitor, if they wait for it; return what is kept of it."""
    if not visit.is_answered:
        visit.response = response
    found = kept(visit, response, watch.took)
    if "refused" in found:
        name = f"{view.__module__}.{getattr(view, '__qualname__', type(view).__qualname__)}"
        CACHE_PAGE_REFUSED.emit(function=name, reason=found["refused"])
    return found


def _place(place: object, _: Visit) -> object:
    return place


def _of_the_view(option: Any) -> Any:
    """Let an option that is a function of the view's arguments be one of ours."""
    if not inspect.isfunction(option) and not inspect.ismethod(option):
        return option
    return lambda _, visit: option(visit.request, *visit.args, **visit.kwargs)
