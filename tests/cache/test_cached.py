from __future__ import annotations

import contextlib
import threading
from concurrent.futures import ThreadPoolExecutor
from datetime import timedelta

import pytest
from django.contrib.auth.models import User
from django.db import connections

from scalekit.cache import (
    MISSING,
    UncacheableArgument,
    UncacheableFunction,
    UncacheableValue,
    cached,
)
from scalekit.cache.flights import thread_flights


class Loader:
    """What a cached function does in a test: note that it ran, and wait if told to."""

    def __init__(self):
        self.runs: list[object] = []
        self.returns: object = "value"
        self.entered, self.gate = threading.Event(), threading.Event()
        self.gate.set()

    def __call__(self, argument: object = None):
        self.runs.append(argument)
        self.entered.set()
        assert self.gate.wait(10)
        if isinstance(self.returns, BaseException):
            raise self.returns
        return self.returns


loader = Loader()


@pytest.fixture(autouse=True)
def fresh_loader():
    loader.__init__()
    yield loader
    loader.gate.set()


@cached(ttl=60)
def load(argument, unused=None):
    """Load."""
    return loader(argument)


def in_thread(function, *args):
    return ThreadPoolExecutor(1).submit(function, *args)


@pytest.mark.parametrize("value", [None, 0, "", [], False, {"a": [1]}])
def test_every_value_is_a_value(value):
    loader.returns = value
    assert [load(1), load(1)] == [value, value]
    assert loader.runs == [1]


def test_a_hit_is_a_copy():
    loader.returns = [1]
    load(1).append(2)
    load(1).append(3)
    assert load(1) == [1]


def test_it_still_looks_like_the_function():
    assert (load.__name__, load.__doc__) == ("load", "Load.")


def test_arguments_are_told_apart():
    for argument in (1, "1", 1.0, None):
        load(argument)
    assert loader.runs == [1, "1", 1.0, None]


def test_who_joins_gets_a_copy_of_its_own():
    loader.gate.clear()
    loader.returns = [1]
    leader = in_thread(load, 1)
    assert loader.entered.wait(10)
    waiters = [in_thread(load, 1) for _ in range(2)]
    let_them_board()
    loader.gate.set()
    values = [call.result(10) for call in (leader, *waiters)]
    assert loader.runs == [1]
    assert values == [[1]] * 3
    assert len({id(value) for value in values}) == 3


class OneWay:
    """Pickled without complaint, but not to be unpickled."""

    def __reduce__(self):
        return int, ("no number",)


def test_who_joins_a_value_that_cannot_be_unpickled_loads_itself():
    loader.gate.clear()
    loader.returns = OneWay()
    leader = in_thread(load, 1)
    assert loader.entered.wait(10)
    waiter = in_thread(load, 1)
    let_them_board()
    loader.gate.set()
    assert leader.result(10) is waiter.result(10) is loader.returns
    assert loader.runs == [1, 1]


def test_a_tenant_does_not_join_another_s_load(tenants):
    def visit(name):
        tenants.set(name)
        return whose()

    @cached(key=lambda: 1)
    def whose():
        loader()
        return tenants.get()

    loader.gate.clear()
    one = in_thread(visit, "one")
    assert loader.entered.wait(10)
    other = in_thread(visit, "other")
    let_them_board()
    loader.gate.set()
    assert [one.result(10), other.result(10)] == ["one", "other"]


def test_a_tenant_s_invalidation_is_not_another_s(tenants):
    loader.gate.clear()
    slow = in_thread(load, 1)
    assert loader.entered.wait(10)
    mark = tenants.set("other")
    load.invalidate(1)
    tenants.reset(mark)
    loader.gate.set()
    slow.result(10)
    assert load.peek(1) == "value"


def test_errors_are_not_kept():
    loader.returns = KeyError("first")
    with pytest.raises(KeyError):
        load(1)
    loader.returns = "fine"
    assert load(1) == "fine"


def test_invalidate_makes_the_next_call_load():
    load(1)
    load.invalidate(argument=1)
    load(1)
    assert loader.runs == [1, 1]


def test_invalidate_names_one_call_alone():
    load(1)
    load.invalidate(2)
    load(1)
    assert loader.runs == [1]


def test_refresh_loads_and_keeps():
    load(1)
    loader.returns = "newer"
    assert [load.refresh(1), load(1)] == ["newer", "newer"]
    assert loader.runs == [1, 1]


def test_peek_never_loads():
    assert load.peek(1) is MISSING
    assert not load.peek(1)
    loader.returns = None
    load(1)
    assert load.peek(1) is None
    assert loader.runs == [1]


def test_many_loads_what_is_missing():
    loader.returns = "old"
    load(2)
    loader.returns = "new"
    assert load.many([1, 2, 3, 1]) == ["new", "old", "new", "new"]
    assert loader.runs == [2, 1, 3]


def test_many_of_nothing():
    assert load.many([]) == []


def test_a_hundred_threads_load_once():
    barrier = threading.Barrier(100)
    loader.gate.clear()

    def visit():
        barrier.wait()
        return load("cold")

    with ThreadPoolExecutor(100) as pool:
        visits = [pool.submit(visit) for _ in range(100)]
        assert loader.entered.wait(10)
        loader.gate.set()
        assert {visit.result(10) for visit in visits} == {"value"}
    assert loader.runs == ["cold"]


def test_an_error_reaches_all_who_wait_and_nobody_retries(heard):
    reads = heard("cache_read")
    loader.gate.clear()
    loader.returns = ValueError("no")
    leader = in_thread(load, 1)
    assert loader.entered.wait(10)
    waiters = [in_thread(load, 1) for _ in range(3)]
    let_them_board()
    loader.gate.set()
    assert {type(call.exception(10)) for call in [leader, *waiters]} == {ValueError}
    assert loader.runs == [1]
    assert reads == []


def let_them_board() -> None:
    """Wait until the flight has a waiter; one that boards late makes a test fail, never pass."""
    threading.Event().wait(0.3)


def test_who_waits_for_a_thread_that_ends_loads_itself():
    loader.gate.clear()
    loader.returns = SystemExit()
    leader = in_thread(load, 1)
    assert loader.entered.wait(10)
    waiter = in_thread(load, 1)
    let_them_board()
    loader.gate.set()
    assert isinstance(leader.exception(10), SystemExit)
    assert isinstance(waiter.exception(1), SystemExit)  # its own: it loaded as the next leader
    assert loader.runs == [1, 1]


def test_a_waiter_gives_up_on_a_hung_load(settings):
    settings.SCALEKIT_CACHE_MAX_WAIT = 0.1
    loader.gate.clear()
    hung = in_thread(load, 1)
    assert loader.entered.wait(10)
    loader.entered.clear()
    waiter = in_thread(load, 1)
    assert loader.entered.wait(10)
    assert loader.runs == [1, 1]
    loader.gate.set()
    assert [hung.result(10), waiter.result(10)] == ["value", "value"]


def test_nobody_waits_for_more_than_one_load_after_another(settings):
    settings.SCALEKIT_CACHE_MAX_WAIT = 0.4
    entered = threading.Semaphore(0)

    @cached(key=lambda: 1)
    def hung():
        entered.release()
        loader.gate.wait(10)

    loader.gate.clear()
    calls = [in_thread(hung) for _ in range(6)]
    assert all(entered.acquire(timeout=10) for _ in calls[:3])
    assert all(entered.acquire(timeout=0.3) for _ in calls[3:])
    loader.gate.set()
    assert [call.result(10) for call in calls] == [None] * 6


def test_invalidate_during_a_load_keeps_its_value_out():
    loader.gate.clear()
    loader.returns = "old"
    slow = in_thread(load, 1)
    assert loader.entered.wait(10)
    load.invalidate(1)
    loader.gate.set()
    assert slow.result(10) == "old"
    assert load.peek(1) is MISSING


def test_who_comes_after_invalidate_does_not_join_the_old_load():
    loader.gate.clear()
    old = in_thread(load, 1)
    assert loader.entered.wait(10)
    load.invalidate(1)
    loader.entered.clear()
    new = in_thread(load, 1)
    assert loader.entered.wait(10)
    loader.gate.set()
    old.result(10), new.result(10)
    assert loader.runs == [1, 1]


def test_a_hung_load_that_was_given_up_stores_nothing(settings):
    settings.SCALEKIT_CACHE_MAX_WAIT = 0.05
    gates = {"first": threading.Event(), "second": threading.Event()}
    entered = threading.Semaphore(0)
    names = iter(gates)

    @cached(key=lambda: 1)
    def slow():
        name = next(names)
        entered.release()
        gates[name].wait(10)
        return name

    first = in_thread(slow)
    entered.acquire()
    second = in_thread(slow)
    entered.acquire()
    gates["second"].set()
    assert second.result(10) == "second"
    slow.invalidate()
    gates["first"].set()
    assert first.result(10) == "first"
    assert slow.peek() is MISSING


def test_refresh_during_a_load_wins():
    gates = [threading.Event(), threading.Event()]
    entered = threading.Semaphore(0)
    numbers = iter(range(2))

    @cached(key=lambda: 1)
    def slow():
        number = next(numbers)
        entered.release()
        gates[number].wait(10)
        return number

    old = in_thread(slow)
    entered.acquire()
    new = in_thread(slow.refresh)
    entered.acquire()
    gates[1].set()
    assert new.result(10) == 1
    gates[0].set()
    assert old.result(10) == 0
    assert slow.peek() == 1


def test_refresh_runs_the_function_whoever_comes_between(monkeypatch):
    class LetsOneIn(contextlib.AbstractContextManager):
        """The lock of the running loads; the first time it is let go, another call comes at once."""

        lock, others = threading.Lock(), []

        def __enter__(self):
            self.lock.acquire()

        def __exit__(self, *_):
            self.lock.release()
            if not self.others:
                self.others.append(None)
                self.others.append(in_thread(who))
                let_them_board()

    @cached(key=lambda: 1)
    def who():
        if threading.current_thread() is not threading.main_thread():
            loader.gate.wait(0.6)
        return threading.current_thread().name

    loader.gate.clear()
    monkeypatch.setattr(thread_flights, "_lock", LetsOneIn())
    assert who.refresh() == threading.main_thread().name
    LetsOneIn.others[1].result(10)
    assert who.peek() == threading.main_thread().name


def test_a_function_that_asks_itself_does_not_wait_for_itself():
    depth = []

    @cached(key=lambda: 1)
    def recursive():
        depth.append(1)
        return recursive() if len(depth) < 3 else "deep"

    with ThreadPoolExecutor(1) as pool:
        assert pool.submit(recursive).result(5) == "deep"


def test_reads_are_announced(heard):
    reads, loads = heard("cache_read"), heard("cache_loaded")
    load(1)
    load(1)
    assert [read["result"] for read in reads] == ["miss", "hit"]
    assert {(read["function"], read["alias"]) for read in reads} == {
        (f"{__name__}.load", "default")
    }
    assert [one["outcome"] for one in loads] == ["ok"]
    assert loads[0]["seconds"] >= 0


class Shop:
    limit = 1

    def __init__(self, name):
        self.name = name

    @cached(key=lambda self, sku: (self.name, sku))
    def price(self, sku):
        return loader((self.name, sku))

    @cached()
    def unkeyed(self):
        return loader()

    @cached()
    @classmethod
    def offers(cls, day):
        return loader((cls.__name__, day))

    @cached()
    @staticmethod
    def tax(country):
        return loader(country)

    @classmethod
    @cached()
    def wrong_order(cls):
        return loader()


class Kiosk(Shop):
    pass


def test_methods_with_a_key():
    one, other = Shop("one"), Shop("other")
    one.price(7), Shop("one").price(sku=7), other.price(7), Kiosk("one").price(7)
    assert loader.runs == [("one", 7), ("other", 7)]
    one.price.invalidate(7)
    Shop.price(one, 7)
    assert loader.runs[2:] == [("one", 7)]


def test_methods_of_things_without_identity_name_the_remedy():
    with pytest.raises(UncacheableArgument, match=r"Shop\.unkeyed: self .*key=lambda self"):
        Shop("one").unkeyed()


def test_classmethods_belong_to_their_class():
    for owner in (Shop, Kiosk, Shop("x"), Kiosk("y")):
        owner.offers("monday")
    assert loader.runs == [("Shop", "monday"), ("Kiosk", "monday")]
    Kiosk.offers.invalidate("monday")
    assert Shop.offers.peek("monday") == "value"
    assert Kiosk.offers.peek("monday") is MISSING


def test_classmethod_outside_says_to_put_cached_outside():
    with pytest.raises(UncacheableArgument, match="write @cached above @classmethod"):
        Shop.wrong_order()


def test_staticmethods():
    Shop.tax("es"), Shop("x").tax("es"), Kiosk.tax("es")
    assert loader.runs == ["es"]


def test_saved_model_instances_are_named_by_label_and_pk():
    one, again = (User(pk=1) for _ in range(2))
    one._state.adding = again._state.adding = False
    one._state.db = again._state.db = "default"
    load(one), load(again)
    assert len(loader.runs) == 1
    with pytest.raises(UncacheableArgument, match="unsaved User"):
        load(User())


def test_an_instance_read_from_a_replica_is_that_of_the_primary(monkeypatch):
    replica = {"SCALEKIT": {"REPLICA_OF": "default"}}
    monkeypatch.setitem(connections.settings, "replica_1", replica)
    for alias in ("replica_1", "default", "shard_1"):
        user = User(pk=1)
        user._state.adding, user._state.db = False, alias
        load(user)
    assert len(loader.runs) == 2


@pytest.mark.parametrize(
    "options", [{"ttl": 0}, {"ttl": 0.5}, {"ttl": timedelta(0)}, {"jitter": 2}]
)
def test_options_out_of_range_are_refused(options):
    with pytest.raises(UncacheableFunction, match=next(iter(options))):
        cached(**options)


def test_cached_without_parentheses_is_refused():
    with pytest.raises(UncacheableFunction, match="parentheses"):
        cached(lambda: 1)


def test_captured_variables_need_a_key():
    tenant = "a"

    def report(day):
        return tenant, day

    with pytest.raises(UncacheableFunction, match=r"uses tenant .*key="):
        cached()(report)
    assert cached(key=lambda day: (tenant, day))(report)(1) == ("a", 1)


def test_a_bound_method_needs_a_key():
    class Greeter:
        def greet(self):
            return loader(self)

    with pytest.raises(UncacheableFunction, match=r"greet is bound .*key="):
        cached()(Greeter().greet)
    assert cached(key=lambda: "one")(Greeter().greet)() == "value"


def test_values_that_cannot_be_stored_say_so():
    loader.returns = threading.Lock()
    with pytest.raises(UncacheableValue, match="lock cannot be stored"):
        load(1)


@pytest.mark.parametrize("ttl", [300, timedelta(minutes=5)])
def test_lifetimes_are_spread_below_the_ttl(ttl):
    @cached(ttl=ttl, jitter=0.5)
    def spread(): ...

    lifetimes = {spread._policy.lifetime() for _ in range(200)}
    assert 150 <= min(lifetimes) < 200
    assert 250 < max(lifetimes) <= 300


def test_no_jitter_and_no_end():
    assert cached(ttl=60, jitter=0)(fresh)._policy.lifetime() == 60
    assert 0.9 <= cached(ttl=1)(fresh)._policy.lifetime() <= 1
    assert cached(ttl=None)(fresh)._policy.lifetime() is None


def fresh(): ...
