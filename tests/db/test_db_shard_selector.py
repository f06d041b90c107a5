from __future__ import annotations

import gc
import weakref

import pytest
from asgiref.sync import async_to_sync, sync_to_async
from django.http import HttpResponse, StreamingHttpResponse
from django.test import RequestFactory, override_settings

from scalekit.core.context import portable_facts
from scalekit.db.exceptions import ShardKeyRequired
from scalekit.db.facts import SHARDS
from scalekit.db.middleware import ShardSelector

asked = []


def of_request(request):
    from tests.db.shop.models import Customer

    Customer.objects.count()  # as loading the user would
    asked.append(request.path)
    return {"users": int(request.GET["user"])} if "user" in request.GET else {}


def counting(request):
    from tests.db.shop.models import Order

    return HttpResponse(Order.objects.count() + Order.objects.count())


@pytest.fixture
def selected(shards):
    from tests.db.shop.models import Order

    Order.objects.create(customer_id=7)
    asked.clear()
    with override_settings(SCALEKIT_DB_SHARD_SELECTOR=f"{__name__}.of_request"):
        yield


def get(view, query=""):
    return ShardSelector(view)(RequestFactory().get(f"/{query}"))


def test_queries_that_name_no_shard_go_to_the_request_s(selected):
    assert get(counting, "?user=7").content == b"2"
    assert len(asked) == 1


def test_a_request_without_a_shard_has_none(selected):
    with pytest.raises(ShardKeyRequired):
        get(counting)


def test_a_request_that_needs_no_shard_is_not_asked(selected):
    get(lambda request: HttpResponse(), "?user=7")
    assert asked == []


def test_the_selector_may_query_under_asgi(selected):
    async def view(request):
        return await sync_to_async(counting)(request)

    async def serve():
        return await get(view, "?user=7")

    assert async_to_sync(serve)().content == b"2"


def test_inside_a_block_for_another_group_it_is_asked_once(selected):
    def view(request):
        with SHARDS.bind({"shops": 5}):
            return counting(request)

    assert get(view, "?user=7").content == b"2"
    assert len(asked) == 1


def test_a_selector_that_failed_is_asked_again(selected):
    def view(request):
        with pytest.raises(ValueError, match="invalid literal"):
            counting(request)
        request.GET = {"user": "7"}
        return counting(request)

    assert get(view, "?user=none").content == b"2"


def test_a_request_is_let_go_when_it_ends(selected):
    gc.collect()
    gc.disable()
    try:
        request = RequestFactory().get("/?user=7")
        ended = weakref.ref(request)
        ShardSelector(lambda request: HttpResponse())(request)
        del request
        assert ended() is None
    finally:
        gc.enable()


def test_jobs_of_the_request_go_to_its_shard(selected):
    def view(request):
        counting(request)
        return HttpResponse(str(portable_facts()["db_shards"]["users"]))

    assert get(view, "?user=7").content == b"key:7"


def test_a_streamed_body_knows_the_shard(selected):
    def view(request):
        return StreamingHttpResponse(counting(request).content for _ in range(2))

    assert b"".join(get(view, "?user=7")) == b"22"


def test_without_the_setting_it_does_nothing(shards):
    with pytest.raises(ShardKeyRequired):
        get(counting, "?user=7")
