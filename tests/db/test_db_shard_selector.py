from __future__ import annotations

import pytest
from asgiref.sync import async_to_sync, sync_to_async
from django.http import HttpResponse
from django.test import RequestFactory, override_settings

from scalekit.db.exceptions import ShardKeyRequired
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


def test_without_the_setting_it_does_nothing(shards):
    with pytest.raises(ShardKeyRequired):
        get(counting, "?user=7")
