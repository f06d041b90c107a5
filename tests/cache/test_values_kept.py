"""Which values and errors are kept: nothing that a function returns is mistaken for nothing."""

from __future__ import annotations

import pytest

from scalekit.cache import MISSING, cached
from scalekit.testing.cache import assert_hits, assert_loads, assert_not_cached, fake_clock

SERIALIZERS = ["pickle.PickleSerializer", "json.JsonSerializer", "msgpack.MsgpackSerializer"]
given: list[object] = []


@pytest.fixture(params=SERIALIZERS)
def serializer(request, settings):
    path = f"scalekit.cache.serializers.{request.param}"
    settings.SCALEKIT_CACHE_SERIALIZER = {"default": {"BACKEND": path}}


@cached(60)
def echo():
    return given[-1]


@pytest.fixture(autouse=True)
def nothing_given():
    given.clear()


@pytest.mark.parametrize("value", [None, 0, False, 0.0, "", [], {}], ids=repr)
def test_empty_values_are_values(serializer, value):
    given.append(value)
    with assert_loads(1), assert_hits(2):
        assert [echo(), echo(), echo()] == [value] * 3
    assert echo.peek() == value
    assert echo.peek() is not MISSING


def test_none_is_not_kept_where_it_means_nothing():
    @cached(60, cache_none=False, key=lambda: 1)
    def find():
        return given[-1]

    given.append(None)
    with assert_loads(2):
        assert find() is find() is None
    given.append("found")
    with assert_loads(1):
        assert find() == find() == "found"


def test_a_value_may_say_that_it_is_not_to_be_kept():
    @cached(ttl=lambda value: 60 if value["complete"] else 0, key=lambda: 1)
    def answer():
        return given[-1]

    given.append({"complete": False})
    with assert_loads(2):
        assert answer() == answer()
    given.append({"complete": True})
    with assert_loads(1):
        assert answer() == answer()


class Refused(Exception):
    """Of somebody else's API."""


def test_an_error_is_kept_if_asked_and_for_its_own_time():
    @cached(60, cache_errors=Refused, error_ttl=5, key=lambda: 1)
    def ask():
        given.append("asked")
        raise Refused("no")

    with fake_clock() as clock:
        for _ in range(3):
            with pytest.raises(Refused, match="no"):
                ask()
        assert len(given) == 1
        clock.move(6)
        with pytest.raises(Refused):
            ask()
        assert len(given) == 2


def test_other_errors_are_not_kept():
    @cached(60, cache_errors=Refused, key=lambda: 1)
    def ask():
        given.append("asked")
        raise OSError

    for _ in range(2):
        with pytest.raises(OSError):  # noqa: PT011 - any
            ask()
    assert len(given) == 2
    assert_not_cached(ask)
