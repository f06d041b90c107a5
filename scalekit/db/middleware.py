"""ReadYourWrites outside SessionMiddleware, ShardSelector after authentication."""

from __future__ import annotations

import time
from typing import TYPE_CHECKING

from django.utils.module_loading import import_string

from scalekit.core.middleware import FlowMiddleware
from scalekit.db.cluster import current_cluster
from scalekit.db.conf import pinnings, settings
from scalekit.db.facts import PINS, REQUEST_SHARDS, dealings
from scalekit.db.sharding.selecting import RequestShards
from scalekit.db.tokens import seal, unseal_or_refuse

if TYPE_CHECKING:
    from django.http import HttpRequest
    from django.http.response import HttpResponseBase

    from scalekit.core.middleware import Flow
    from scalekit.db.facts import Pins

HEADER = "X-Consistency-Token"


class ReadYourWrites(FlowMiddleware):
    """Let every visitor see at once what they wrote, however far replicas lag.

    After a commit, the visitor's reads go to the primary for SCALEKIT_DB_PIN_SECONDS: known by a cookie,
    or by the header `X-Consistency-Token`, which API clients send back. A request that writes nothing
    gets neither.
    """

    def flow(self, request: HttpRequest) -> Flow:
        if not current_cluster().has_replicas:
            yield None
            return None
        sent = unseal_or_refuse(request.headers.get(HEADER), "header")
        recalled = _later(sent, pinnings["default"].recall(request))
        if recalled:
            PINS.set(recalled)
        response: HttpResponseBase = yield None
        written = _written()
        if written:
            pins = _later(recalled, written)
            pinnings["default"].remember(request, response, pins)
            response.headers[HEADER] = seal(pins)
        elif sent:
            response.headers[HEADER] = seal(sent)
        return response


def _written() -> Pins:
    """Return pins for what this request committed, counted from now: commits may have taken long."""
    done = dealings()
    expiry = time.time() + settings.PIN_SECONDS
    return {} if done is None else dict.fromkeys(sorted(done.written), expiry)


def _later(one: Pins, other: Pins) -> Pins:
    return {alias: max(one.get(alias, 0), other.get(alias, 0)) for alias in {**one, **other}}


class ShardSelector(FlowMiddleware):
    """Work on the shards that SCALEKIT_DB_SHARD_SELECTOR names for a request, where queries name none.

        def shards_of(request):
            return {"users": request.user.pk} if request.user.is_authenticated else {}

    The function is called when the first such query runs, once, in the thread that runs it: it may load
    the user, also under ASGI.
    """

    def flow(self, request: HttpRequest) -> Flow:
        if not settings.SHARD_SELECTOR:
            yield None
            return None
        shards = RequestShards(import_string(settings.SHARD_SELECTOR), request)
        REQUEST_SHARDS.set(shards)
        try:
            response: HttpResponseBase = yield None
            yield response
        finally:
            shards.close()
        return None
