"""What else than a function may be cached, and values by a key of one's own."""

from __future__ import annotations

from datetime import timedelta
from functools import partial
from importlib.util import find_spec
from time import time

import pytest
from django.db.models import TextChoices

from scalekit.cache import (
    MISSING,
    UncacheableArgument,
    UncacheableFunction,
    cached,
    cached_method,
    computing,
    get_or_compute,
    invalidate_key,
    invalidate_tags,
)
from scalekit.cache.stampede import tasks
from scalekit.cache.store import store_of

runs: list[object] = []


@pytest.fixture(autouse=True)
def no_runs():
    runs.clear()


class Basket:
    def __init__(self, owner):
        self.owner = owner

    def __cache_key__(self):
        return self.owner

    @cached_method(ttl=60)
    def total(self, currency):
        runs.append((type(self).__name__, self.owner, currency))
        return len(runs)

    @cached(key=lambda self: self.owner)
    @property
    def size(self):
        runs.append(self.owner)
        return len(runs)

    @cached_method(key=lambda self, n: n)
    def keyed(self, n):
        runs.append(n)


class Crate(Basket):
    pass


class Nameless:
    @cached_method()
    def total(self): ...


def test_a_method_s_object_says_what_it_is_called():
    assert Basket("ana").total("EUR") == Basket("ana").total(currency="EUR") == 1
    Basket("ben").total("EUR"), Crate("ana").total("EUR")
    assert runs == [("Basket", "ana", "EUR"), ("Basket", "ben", "EUR"), ("Crate", "ana", "EUR")]
    Basket("ana").total.invalidate("EUR")
    assert Basket("ana").total.peek("EUR") is MISSING
    assert Basket.total.peek(Basket("ben"), "EUR") == 2


def test_a_chosen_key_replaces_what_the_object_says():
    Basket("ana").keyed(1), Basket("ben").keyed(1)
    assert runs == [1]


def test_an_object_that_does_not_say_names_the_remedy():
    with pytest.raises(UncacheableArgument, match=r"Nameless does not say .* Define __cache_key__"):
        Nameless().total()


def test_properties():
    basket = Basket("ana")
    assert [basket.size, Basket("ana").size] == [1, 1]
    assert Basket.size.peek(basket) == 1
    Basket.size.invalidate(basket)
    assert basket.size == 2
    assert Basket.size.refresh(basket) == 3


def test_values_by_a_key_of_ones_own():
    def compute():
        runs.append("computed")

    for _ in range(2):
        assert (
            get_or_compute(("report", 7), compute, ttl=timedelta(minutes=1), tags=["reports"])
            is None
        )
    assert runs == ["computed"]
    get_or_compute(("report", "7"), compute)
    invalidate_tags("reports")
    get_or_compute(("report", 7), compute, tags=["reports"])
    invalidate_key(("report", 7))
    get_or_compute(("report", 7), compute, tags=["reports"])
    assert len(runs) == 4


@pytest.mark.parametrize(
    "options",
    [{"stale": -1}, {"timeout": 0}, {"error_ttl": 0}, {"cache_errors": (int,)}],
)
def test_options_out_of_range_are_refused(options):
    with pytest.raises(UncacheableFunction, match=next(iter(options))):
        cached(**options)


def test_a_ttl_that_depends_on_the_value_is_named():
    with pytest.raises(UncacheableFunction, match="parentheses; ttl="):
        cached(lambda value: 60)
    assert cached(ttl=lambda value: timedelta(seconds=value))(_same)._policy.lifetime(7) <= 7


def _same(n):
    return n


@cached(ttl=60, stale=600, jitter=0)
def page(n):
    runs.append(n)
    return len(runs)


@pytest.fixture
def workers(settings):
    """Have task workers, who in a test work at once."""
    package = "django.tasks" if find_spec("django.tasks") else "django_tasks"
    backend = f"{package}.backends.immediate.ImmediateBackend"
    settings.TASKS = {"default": {"BACKEND": backend}}
    settings.SCALEKIT_CACHE_REFRESH_TASKS = "default"


def test_a_task_worker_loads_what_is_due(workers, monkeypatch):
    assert page(1) == 1
    monkeypatch.setattr("scalekit.cache.clock.now", _in_a_while)
    assert page(1) == 1  # the old value, while the worker loads the new
    assert page.peek(1) == 2


def test_a_worker_is_asked_once(workers, heard):
    store, call = store_of("default"), partial(_same, 1)
    loads = heard("cache_loaded")
    page(1)
    for _ in range(3):
        assert tasks.enqueue(store, page._policy, "key", call)
    assert len(loads) == 1  # what the worker found was not due: it loaded nothing


def test_arguments_that_json_would_change_are_left_to_a_thread(workers):
    call = partial(_same, (1, 2))
    assert not tasks.enqueue(store_of("default"), page._policy, "key", call)


def test_what_calls_with_the_same_options_share_is_made_once(monkeypatch):
    made = []
    real = computing.KeyMaker
    monkeypatch.setattr(computing, "KeyMaker", lambda *args: made.append(1) or real(*args))
    computing._keys.cache_clear()
    for n in range(20):
        get_or_compute(n, lambda: 1, ttl=60, tags=["reports"], depends_on=lambda key: [])
        get_or_compute(n, lambda: 1, ttl=60, tags=["reports"])
    assert len(made) == 1
    assert computing._remembered.cache_info().maxsize


def test_options_that_are_equal_and_not_the_same_are_two():
    assert get_or_compute("k", lambda: "one", version=1) == "one"
    assert get_or_compute("k", lambda: "two", version=2) == "two"
    assert get_or_compute("k", lambda: "three", version=True) == "three"


def test_a_write_ends_what_was_computed_into_another_cache(photos, settings):
    from tests.cache.shop.models import Photo

    other = {"BACKEND": "django.core.cache.backends.locmem.LocMemCache", "LOCATION": "other"}
    settings.CACHES = {**settings.CACHES, "other": other}

    def count():
        return get_or_compute(
            "photos", Photo.objects.count, alias="other", depends_on=lambda key: [Photo]
        )

    assert count() == 0
    Photo.objects.create(title="sea")
    assert count() == 1


class Fruit(TextChoices):
    APPLE = "apple"


@pytest.mark.parametrize("argument", [Fruit.APPLE, [Fruit.APPLE], {"x": Fruit.APPLE}, 1 << 70])
def test_a_member_of_an_enum_has_another_key_than_its_text_and_is_left_to_a_thread(argument):
    assert tasks._is_plain(partial(_same, argument)) is (argument == 1 << 70)


def _in_a_while():
    return time() + 61
