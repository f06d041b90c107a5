"""ReadYourWrites outside SessionMiddleware, ShardSelector after authentication."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from asgiref.sync import sync_to_async
from django.utils.cache import patch_cache_control

from scalekit.core.middleware import FlowMiddleware
from scalekit.db.cluster import current_cluster
from scalekit.db.conf import pinnings
from scalekit.db.facts import PINS, REQUEST_SHARDS, dealings
from scalekit.db.locating import located
from scalekit.db.pins import merged
from scalekit.db.sharding.selecting import RequestShards, selector
from scalekit.db.tokens import seal, unseal_or_refuse

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable

    from django.http import HttpRequest
    from django.http.response import HttpResponseBase

    from scalekit.core.middleware import Flow
    from scalekit.db.pins import Pins

HEADER = "X-Consistency-Token"
SAFE_METHODS = frozenset({"GET", "HEAD", "OPTIONS", "TRACE", "QUERY"})


class ReadYourWrites(FlowMiddleware):
    """Let every visitor see at once what they wrote, however far replicas lag.

    After its last commit a request asks the primary, with one query, where its log ends. The visitor comes
    back with that position in a cookie, API clients in the header `X-Consistency-Token`, and is then read
    for by replicas that have replayed it, or by the primary. A request that writes nothing gets neither.
    """

    def __init__(self, get_response: Callable[[HttpRequest], Any]) -> None:
        super().__init__(get_response)
        self._inner = get_response
        self.get_response = self._aserve if self._is_async else self._serve

    def flow(self, request: HttpRequest) -> Flow:  # noqa: ARG002 - the contract's
        yield None  # the unit of work is all that is wanted of it: what surrounds it here may query
        return None

    def _serve(self, request: HttpRequest) -> HttpResponseBase:
        if not current_cluster().has_replicas:
            return self._inner(request)  # type: ignore[no-any-return]  # Django's contract
        recalled = _recall(request)
        response: HttpResponseBase = self._inner(request)
        return _answer(request, response, recalled)

    async def _aserve(self, request: HttpRequest) -> HttpResponseBase:
        if not current_cluster().has_replicas:
            return await self._inner(request)  # type: ignore[no-any-return]  # Django's contract
        recall = _in_thread(_recall) if pinnings["default"].waits else _at_once(_recall)
        recalled = await recall(request)
        response = await self._inner(request)
        # The thread of this request's own queries, so on the connection that has committed.
        answer = _in_thread(_answer) if _written() else _at_once(_answer)
        await answer(request, response, recalled)
        return response  # type: ignore[no-any-return]  # Django's contract


def _in_thread(function: Callable[..., Any]) -> Callable[..., Awaitable[Any]]:
    return sync_to_async(function, thread_sensitive=True)


def _at_once(function: Callable[..., Any]) -> Callable[..., Awaitable[Any]]:
    async def call(*args: Any) -> Any:
        return function(*args)

    return call


def _recall(request: HttpRequest) -> Pins:
    """Begin with what this visitor must see."""
    sent = unseal_or_refuse(request.headers.get(HEADER), "header")
    recalled = merged(sent, pinnings["default"].recall(request))
    if recalled:
        PINS.set(recalled)
    if request.method not in SAFE_METHODS and (done := dealings()) is not None:
        done.unsafe = True
    return recalled


def _answer(request: HttpRequest, response: HttpResponseBase, recalled: Pins) -> HttpResponseBase:
    """Give the visitor what the next request must see."""
    written = _written()
    if written:
        found = located(written)
        # A pin that never had a position is met by one taken now, after all that it could mean.
        pins = merged({a: p for a, p in recalled.items() if p.system or a not in found}, found)
        pinnings["default"].remember(request, response, pins)
        response.headers[HEADER] = seal(pins)
        patch_cache_control(response, private=True)  # a pin is one visitor's: no CDN may keep it
    return response


def _written() -> list[str]:
    done = dealings()
    return [] if done is None else sorted(done.written)


class ShardSelector(FlowMiddleware):
    """Work on the shards that SCALEKIT_DB_SHARD_SELECTOR names for a request, where queries name none.

        SCALEKIT_DB_SHARD_SELECTOR = {"users": {"BACKEND": "scalekit.db.sharding.resolvers.user.UserResolver"}}

    or the dotted path of a function that returns ``{"users": request.user.pk}``. Asked when the first such
    query runs, once, in the thread that runs it: it may load the user, also under ASGI. From then on
    `using_shard` of another key of the group raises `ShardLocked`.
    """

    def flow(self, request: HttpRequest) -> Flow:
        select = selector()
        if select is None:
            yield None
            return None
        shards = RequestShards(select, request)
        REQUEST_SHARDS.set(shards)
        try:
            response: HttpResponseBase = yield None
            yield response
        finally:
            shards.close()
        return None
