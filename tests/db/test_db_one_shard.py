"""A transaction writes to one shard; what would reach a second one is refused before it is sent."""

# ruff: noqa: PT012 - which of a block's writes raises is told by what is there afterwards

from __future__ import annotations

import unittest
from threading import Barrier, Thread

import pytest
from django.db import IntegrityError, connections, transaction
from django.test import TestCase

from scalekit.db import shard_atomic, two_phase
from scalekit.db.checks import check_databases
from scalekit.db.conf import schemes
from scalekit.db.exceptions import CrossShardTransaction, ShardGroupUnknown, ShardKeyRequired
from scalekit.db.sharding.transactions import guarding
from tests.db.databases import databases, rolled_back, sharding, sqlite


@pytest.fixture
def keys(shards):
    """A key on each of two shards."""
    return key_on("shard_0"), key_on("shard_1")


def key_on(alias):
    return next(k for k in range(1, 500) if schemes["users"].shard_for(k) == alias)


def order(key, **values):
    from tests.db.shop.models import Order

    return Order.objects.create(customer_id=key, **values)


def count(alias):
    from tests.db.shop.models import Order

    return Order.objects.using(alias).count()


def test_a_write_to_a_second_shard_is_refused_and_sends_nothing(keys):
    here, there = keys
    with pytest.raises(CrossShardTransaction, match="two_phase"), shard_atomic("users", here):
        order(here)
        order(there)
    assert count("shard_0") == count("shard_1") == 0


def test_also_where_the_second_shard_has_a_transaction_of_its_own(keys):
    here, there = keys
    with pytest.raises(CrossShardTransaction), shard_atomic("users", here):
        order(here)
        with shard_atomic("users", there):
            order(there)


def test_raw_sql_on_a_second_shard_is_refused(keys):
    here, _ = keys
    with pytest.raises(CrossShardTransaction, match="shard_0"), shard_atomic("users", here):
        order(here)
        with connections["shard_1"].cursor() as cursor:
            cursor.execute("DELETE FROM shop_order")


def test_a_second_shard_may_be_read(keys):
    here, there = keys
    order(there)
    with shard_atomic("users", here):
        order(here)
        assert count("shard_1") == 1


def test_a_transaction_that_has_only_read_does_not_count(keys):
    here, there = keys
    with shard_atomic("users", here):
        assert count("shard_0") == 0
        order(there)
    assert count("shard_1") == 1


def test_one_transaction_after_the_other_is_no_fault(keys):
    for key in (*keys, *keys):
        with shard_atomic("users", key):
            order(key, note=str(count("shard_0") + count("shard_1")))
    assert count("shard_0") == count("shard_1") == 2


def test_the_next_transaction_of_a_thread_begins_without_the_writes_of_the_last(keys):
    here, there = keys
    block = shard_atomic("users", here)
    with block:
        order(here)
    with block:
        assert count("shard_0") == 1
        order(there)


def test_what_a_savepoint_has_undone_does_not_count(keys):
    here, there = keys
    with shard_atomic("users", here):
        with rolled_back("shard_0"):
            order(here)
        order(there)
    assert (count("shard_0"), count("shard_1")) == (0, 1)


def test_what_a_released_savepoint_has_written_counts(keys):
    here, there = keys
    with pytest.raises(CrossShardTransaction), shard_atomic("users", here):
        with transaction.atomic(using="shard_0"):
            order(here)
        with rolled_back("shard_0"):
            order(here, note="b")
        order(there)


def test_a_savepoint_whose_name_begins_alike_undoes_nothing_of_another(keys):
    """Django counts savepoints for as long as a connection lives: x1 is the beginning of x10."""
    here, there = keys
    with shard_atomic("users", here):
        connections["shard_0"].savepoint_state = 0
        with pytest.raises(CrossShardTransaction), transaction.atomic(using="shard_0"):
            order(here)
            for _ in range(9):
                with rolled_back("shard_0"):
                    count("shard_0")
            order(there)


def test_a_failed_write_that_was_undone_does_not_count(keys):
    from tests.db.shop.models import Order

    here, there = keys
    first = order(here)
    with shard_atomic("users", here):
        with pytest.raises(IntegrityError), transaction.atomic(using="shard_0"):
            Order.objects.create(id=first.pk, customer_id=here)
        order(there)


def test_a_thread_remembers_no_more_connections_than_have_written(keys):
    for number, key in enumerate((*keys, *keys)):
        with shard_atomic("users", key):
            order(key, note=str(number))
            assert len(guarding._writers.connections) == 1


def test_default_and_one_shard_are_two_transactions(keys):
    from tests.db.shop.models import Customer

    with transaction.atomic(), shard_atomic("users", keys[0]):
        Customer.objects.create(name="a")
        order(keys[0])
    assert count("shard_0") == 1


def test_manual_transactions_count_too(keys):
    here, there = keys
    transaction.set_autocommit(False, using="shard_0")
    try:
        order(here)
        with pytest.raises(CrossShardTransaction):
            order(there)
        transaction.commit(using="shard_0")
        order(there)
    finally:
        transaction.rollback(using="shard_0")
        transaction.set_autocommit(True, using="shard_0")


def test_rows_of_several_shards_in_bulk_are_refused_inside_a_transaction_alone(keys):
    from tests.db.shop.models import Order

    Order.objects.bulk_create([Order(customer_id=key, note="a") for key in keys])
    with pytest.raises(CrossShardTransaction), shard_atomic("users", keys[0]):
        Order.objects.bulk_create([Order(customer_id=key, note="b") for key in keys])
    assert count("shard_0") == count("shard_1") == 1


@pytest.mark.parametrize("write", [lambda rows: rows.update(note="x"), lambda rows: rows.delete()])
def test_a_write_to_every_shard_is_refused_inside_a_transaction(keys, write):
    from tests.db.shop.models import Order

    for key in keys:
        order(key)
    with pytest.raises(CrossShardTransaction), shard_atomic("users", keys[0]):
        write(Order.objects.scatter())
    assert count("shard_0") == count("shard_1") == 1
    assert not Order.objects.scatter().exclude(note="").exists()


def test_shard_atomic_sends_queries_that_name_no_shard_to_it(keys):
    from tests.db.shop.models import Order

    order(keys[1])
    with shard_atomic("users", keys[1]) as alias:
        assert alias == "shard_1"
        assert Order.objects.filter(note="").count() == 1
    with pytest.raises(ShardKeyRequired):
        Order.objects.filter(note="").count()


def test_shard_atomic_rolls_back_and_drops_what_waits_for_the_commit(keys):
    told = []
    with pytest.raises(ZeroDivisionError), shard_atomic("users", keys[0]):
        order(keys[0])
        transaction.on_commit(lambda: told.append("no"), using="shard_0")
        1 / 0  # noqa: B018 - raises
    with shard_atomic("users", keys[0]) as alias:
        transaction.on_commit(lambda: told.append("first"), using=alias)
        transaction.on_commit(lambda: told.append("second"), using=alias)
        assert told == []
    assert told == ["first", "second"]
    assert count("shard_0") == 0


def test_durable_is_the_outermost_or_fails(keys):
    block = shard_atomic("users", keys[0], durable=True)
    with shard_atomic("users", keys[0]), pytest.raises(RuntimeError, match="durable"), block:
        pass


def test_shard_atomic_decorates_a_function_at_each_call(keys):
    @shard_atomic("users", keys[0])
    def save(note):
        assert connections["shard_0"].in_atomic_block
        return order(keys[0], note=note)

    assert (save("a").note, save("b").note) == ("a", "b")


def test_one_block_may_be_entered_by_several_threads(keys):
    block = shard_atomic("users", keys[0])
    entered, left = Barrier(2), Barrier(2)
    found = []

    def enter_later_and_leave_first():
        entered.wait(30)
        with block:
            left.wait(30)
            left.wait(30)
        found.append(connections["shard_0"].in_atomic_block)
        connections.close_all()

    thread = Thread(target=enter_later_and_leave_first)
    thread.start()
    with block:
        entered.wait(30)
        left.wait(30)
    found.append(connections["shard_0"].in_atomic_block)
    left.wait(30)
    thread.join()
    assert found == [False, False]


def test_shard_atomic_refuses_async_code_and_generators():
    async def coroutine(): ...

    def generator():
        yield

    for function in (coroutine, generator):
        with pytest.raises(TypeError, match=function.__qualname__):
            shard_atomic("users", 1)(function)


def test_shard_atomic_is_a_plain_transaction_until_the_group_is_configured(unsharded):
    with shard_atomic("users", 1) as alias:
        assert alias == "default"
        assert connections["default"].in_atomic_block


def test_the_transaction_around_a_test_case_is_none(keys):
    here, there = keys

    class Case(TestCase):
        databases = {"default", "shard_0", "shard_1"}

        def runTest(self):  # noqa: N802 - unittest's name
            order(here)
            order(there)
            with shard_atomic("users", here):
                order(here, note="b")
            with shard_atomic("users", there):
                order(there, note="b")
            with pytest.raises(CrossShardTransaction), shard_atomic("users", here):
                order(here, note="c")
                order(there, note="c")

    result = unittest.TestResult()
    unittest.TestSuite([Case()]).run(result)
    assert not [*result.errors, *result.failures]


def test_transactions_on_every_shard_of_a_request_are_found_by_a_check(tmp_path):
    names = ("default", "shard_0")
    entries = {name: sqlite(tmp_path / name, ATOMIC_REQUESTS=True) for name in names}
    settings = {"SCALEKIT_DB_SHARDING": sharding("shard_0"), "SCALEKIT_DB_TWO_PHASE": ["user"]}
    with databases(entries, **settings):
        found = {fault.id for fault in check_databases()}
    assert {"scalekit.db.E051", "scalekit.db.W051"} <= found


def test_a_group_that_does_not_exist_is_no_transaction_on_default(shards):
    for block in (shard_atomic("user", 1), two_phase("user")):
        with pytest.raises(ShardGroupUnknown), block:
            pytest.fail("entered")


def test_until_the_rows_have_moved_it_is_a_transaction_where_they_lie(tmp_path):
    entries = {name: sqlite(tmp_path / name) for name in ("default", "shard_0")}
    groups = sharding("shard_0")
    groups["users"]["OPTIONS"]["starts_on"] = "default"
    with databases(entries, SCALEKIT_DB_SHARDING=groups), shard_atomic("users", 1) as alias:
        assert alias == "default"
