"""Values that depend on models, on a cache without leases: never stale in the process that writes."""

from __future__ import annotations

import threading
from concurrent.futures import ThreadPoolExecutor

import pytest
from asgiref.sync import async_to_sync
from django.db import connections, transaction

from scalekit.cache import cached, invalidate_tags
from tests.cache.shop.models import Photo
from tests.db.databases import rolled_back

pytestmark = pytest.mark.usefixtures("photos")


@cached(ttl=60, depends_on=[Photo])
def titles():
    return sorted(Photo.objects.values_list("title", flat=True))


@cached(ttl=60, depends_on=[Photo])
async def titles_async():
    return sorted([title async for title in Photo.objects.values_list("title", flat=True)])


def test_a_write_is_seen():
    assert titles() == []
    Photo.objects.create(title="sea")
    assert titles() == titles.peek() == ["sea"]
    Photo.objects.all().delete()
    assert titles() == []


def test_a_transaction_sees_its_own_rows_and_no_other_reader_does():
    titles()
    with rolled_back():
        Photo.objects.create(title="sea")
        assert titles() == ["sea"]
    assert titles() == []
    with transaction.atomic():
        Photo.objects.create(title="sea")
    assert titles() == ["sea"]


def test_async_functions_see_a_write():
    async def through():
        before = await titles_async()
        await Photo.objects.acreate(title="sea")
        return before, await titles_async()

    assert async_to_sync(through)() == ([], ["sea"])


def test_a_value_is_ended_by_hand_inside_a_transaction():
    truth = ["old"]

    @cached(ttl=60, tags=["a"], key=lambda: 1)
    def kept():
        return truth[0]

    kept()
    with rolled_back():
        invalidate_tags("a")
        kept.invalidate()
    with transaction.atomic():
        truth[0] = "new"
        kept.invalidate()
        assert kept() == "new"
    assert kept() == "new"


def test_a_load_that_a_write_races_is_not_kept():
    begun, go_on = threading.Event(), threading.Event()

    @cached(ttl=60, depends_on=[Photo], key=lambda: 1)
    def slow():
        found = Photo.objects.count()
        if not go_on.is_set():
            begun.set()
            assert go_on.wait(20)
        return found

    def read():
        try:
            return slow()
        finally:
            connections.close_all()

    with ThreadPoolExecutor(1) as executor:
        reader = executor.submit(read)
        assert begun.wait(20)
        Photo.objects.create(title="sea")
        go_on.set()
        assert reader.result(20) == 0
    assert slow() == 1
