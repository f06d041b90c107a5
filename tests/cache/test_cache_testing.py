"""What `scalekit.testing.cache` gives to the tests of a site."""

from __future__ import annotations

import pytest
from django.contrib.auth.models import Group
from django.core.cache import caches
from django.test import TestCase

from scalekit.cache import cached
from scalekit.testing.cache import (
    assert_cached,
    assert_hits,
    assert_loads,
    assert_not_cached,
    cache_reads,
    fake_clock,
    fresh_cache,
    settle,
)


@cached(ttl=60, jitter=0)
def square(number):
    return number * number


@cached(ttl=60, jitter=0)
async def cube(number):
    return number**3


@cached(ttl=60, depends_on=[Group])
def group_names():
    return sorted(Group.objects.values_list("name", flat=True))


def test_reads_are_counted_by_result():
    with cache_reads() as reads:
        square(2)
        square(2)
    assert reads == {"miss": 1, "hit": 1}


def test_reads_of_one_function_can_be_counted():
    with cache_reads(square) as reads:
        group_like(1)
        square(3)
    assert reads == {"miss": 1}


@cached(ttl=60)
def group_like(number):
    return number


def test_what_is_cached_can_be_asserted():
    assert_not_cached(square, 4)
    square(4)
    assert assert_cached(square, 4) == 16
    with pytest.raises(AssertionError, match=r"square\(5\) is not cached"):
        assert_cached(square, 5)
    with pytest.raises(AssertionError, match=r"square\(number=4\) is cached: 16"):
        assert_not_cached(square, number=4)


def test_hits_and_loads_can_be_asserted():
    with assert_loads(1, square), assert_hits(1, square):
        square(6)
        square(6)
    with pytest.raises(AssertionError, match="1 hits, not 2"), assert_hits(2):
        square(6)
    with pytest.raises(AssertionError, match="0 loads, not 1"), assert_loads(1):
        square(6)


def test_coroutine_functions_are_asserted_too():
    assert_not_cached(cube, 2)


def test_time_is_moved_and_comes_back():
    with fake_clock() as clock:
        square(7)
        clock.move(59)
        assert_cached(square, 7)
        clock.move(2)
        assert_not_cached(square, 7)
    square(7)
    assert_cached(square, 7)


def test_a_fresh_cache_leaves_nothing_and_finds_nothing():
    square(8)
    with fresh_cache():
        assert_not_cached(square, 8)
        square(9)
    assert_cached(square, 8)
    assert_not_cached(square, 9)


def test_a_fixture_gives_both(scalekit_cache):
    square(10)
    scalekit_cache.move(61)
    assert_not_cached(square, 10)


class InATestCase(TestCase):
    """Inside the transaction that Django holds around a test."""

    @fresh_cache()
    def test_what_was_written_is_read_past_the_cache_until_it_is_settled(self):
        Group.objects.create(name="staff")
        with pytest.raises(AssertionError, match="call settle"), assert_hits(1):
            group_names()
        settle()
        with assert_hits(1):
            assert group_names() == ["staff"]
            assert group_names() == ["staff"]

    @fresh_cache()
    def test_what_is_committed_under_capture_ends_values(self):
        assert group_names() == []
        with self.captureOnCommitCallbacks(execute=True):
            Group.objects.create(name="editors")
        assert group_names() == ["editors"]
        with assert_hits(1):
            group_names()


def test_a_cache_whose_time_cannot_be_moved_says_so(settings, tmp_path):
    settings.CACHES = {
        "default": {
            "BACKEND": "django.core.cache.backends.filebased.FileBasedCache",
            "LOCATION": tmp_path,
        }
    }
    with pytest.raises(Exception, match="FileBasedCache"), fake_clock() as clock:
        clock.move(1)
    assert caches["default"].get("anything") is None
