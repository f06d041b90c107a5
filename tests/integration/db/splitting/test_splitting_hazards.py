"""What goes wrong at night while tables are split."""

from __future__ import annotations

import threading
import time
from types import SimpleNamespace
from uuid import UUID

import pytest
from django.core.management import CommandError
from django.db import DatabaseError, connections, transaction

from scalekit.db.conf import schemes
from scalekit.db.exceptions import ShardKeyRequired, ShardMapStale, SplitRefused
from scalekit.db.sharding.lookup_index.claiming import lookup_fields
from scalekit.db.sharding.lookup_index.digests import digest_of
from scalekit.db.sharding.lookup_index.models import ShardLookup
from scalekit.db.sharding.mapping.assigning import assign_slots
from scalekit.db.sharding.splitting import switching, verifying
from scalekit.db.sharding.splitting.capturing import (
    _function,
    pending,
    start_capturing,
    stop_capturing,
)
from scalekit.db.sharding.splitting.copying import Mover
from tests.integration.db.splitting.site import (
    captured,
    differences,
    places,
    rows,
    run,
    shop,
)


def copied():
    found = captured()
    for _ in found.copy():
        pass
    return found


def switched():
    run("start", "users")
    run("switch", "users", "--without-verify")


def key_elsewhere(key):
    home = schemes["users"].shard_for
    return next(other for other in range(99) if home(other) != home(key))


@pytest.fixture
def stale(site):
    """A process that goes by the map from before the switch, for as long as nobody tells it otherwise."""
    stored = schemes["users"].stored
    before = stored()
    switched()
    stored._known, stored._due = before, float("inf")


def sql(statement, alias="default"):
    with connections[alias].cursor() as cursor:
        cursor.execute(statement)


def test_changes_of_another_group_are_neither_taken_nor_dropped(site):
    found, connection = captured(), connections["default"]
    start_capturing("others", [], connection)
    sql(
        "INSERT INTO scalekit_db_shardchange_others (table_name, row_id) VALUES ('shop_order', '1')"
    )
    found.catch_up()
    stop_capturing("users", found.tables, connection)
    assert pending("others", connection) == 1


def test_tables_whose_names_begin_alike_keep_their_changes_apart():
    names = [f"{'photos_' * 8}{end}" for end in ("likes", "links")]
    assert len({_function(SimpleNamespace(name=name)) for name in names}) == 2
    assert len({switching.before(name) for name in names}) == 2


@pytest.fixture
def web_role(site, servers):
    """A role that may write to orders, and knows of nothing else."""
    servers["default"].execute("DROP ROLE IF EXISTS shop_web")
    servers["default"].execute("CREATE ROLE shop_web")
    sql("GRANT SELECT, INSERT, UPDATE, DELETE ON shop_order TO shop_web")
    yield "shop_web"
    sql("DROP OWNED BY shop_web")
    servers["default"].execute("DROP ROLE shop_web")


def test_whoever_may_write_to_a_table_goes_on_writing(web_role):
    found = copied()
    sql(f"SET ROLE {web_role}")
    try:
        rows(shop().Order, "default").filter(pk=7).update(items=-7)
    finally:
        sql("RESET ROLE")
    assert found.catch_up().changes == 1


def test_whoever_had_no_other_rights_is_told_that_rows_have_moved(web_role):
    switched()
    sql(f"SET ROLE {web_role}")
    try:
        for statement in ("SELECT id FROM shop_order", "UPDATE shop_order SET items = 1"):
            with pytest.raises(DatabaseError, match="These rows have moved to shards"):
                sql(statement)
    finally:
        sql("RESET ROLE")


def test_cancel_deletes_no_rows_of_a_group_that_lives_on_its_shards(site):
    switched()
    run("complete", "users", "--yes")
    schemes["users"].starts_on = ""  # as the page says, with the next release
    with pytest.raises(CommandError, match="has its rows on the shards"):
        run("cancel", "users", "--yes")
    assert len(places(shop().Order)) == 200


def test_cancel_sees_that_another_process_has_just_switched(stale):
    with pytest.raises(CommandError, match="has switched already"):
        run("cancel", "users", "--yes")


def test_a_cancel_that_is_killed_is_never_gone_on_with(site, monkeypatch):
    run("start", "users")
    with monkeypatch.context() as patched:
        patched.setattr(Mover, "empty", lambda _: (_ for _ in ()).throw(KeyboardInterrupt))
        with pytest.raises(KeyboardInterrupt):
            run("cancel", "users", "--yes")
    rows(shop().Order, "default").filter(pk=200).delete()  # nobody takes note of this
    with pytest.raises(CommandError, match="has rows in shop_order already"):
        run("start", "users")
    run("cancel", "users", "--yes")
    run("start", "users")
    assert 200 not in places(shop().Order)


def test_a_start_that_is_killed_in_its_first_step_goes_on(site, monkeypatch):
    deliver = Mover._deliver

    def killed_afterwards(*args):
        deliver(*args)
        raise KeyboardInterrupt

    with monkeypatch.context() as patched:
        patched.setattr(Mover, "_deliver", killed_afterwards)
        with pytest.raises(KeyboardInterrupt):
            run("start", "users")
    assert places(shop().Order)  # of which the source knows nothing
    run("start", "users")
    assert len(places(shop().Order)) == 200


def test_a_slot_that_is_assigned_elsewhere_after_the_comparison_is_compared_again(site):
    run("start", "users")
    run("verify", "users")
    first, second = schemes["users"].shards
    slot = schemes["users"].slot(7)
    other = second if schemes["users"].shard_for(7) == first else first
    assign_slots("users", {slot: other}, schemes["users"].stored.reload().version)
    with pytest.raises(CommandError, match="shard_tables verify users first"):
        run("switch", "users")
    with pytest.raises(CommandError, match="rows differ"):
        run("verify", "users")


@pytest.fixture
def found_by_token(site, monkeypatch):
    """Orders are found by a value of theirs, whatever their shard."""
    monkeypatch.setattr(shop().Order, "shard_lookups", ("token",))
    lookup_fields.cache_clear()
    yield rows(shop().Order, "default")
    lookup_fields.cache_clear()


def test_values_that_are_unique_across_shards_are_found_after_the_switch(found_by_token):
    first, second, third, fourth = (UUID(int=n) for n in range(4))
    for pk, token in ((1, first), (2, second), (3, third)):
        found_by_token.filter(pk=pk).update(token=token)
    run("start", "users")
    found_by_token.filter(pk=2).delete()
    found_by_token.filter(pk=3).update(token=second)
    found_by_token.filter(pk=4).update(token=fourth)
    run("verify", "users")
    run("switch", "users")
    found = {token: shop().Order.objects.get(token=token).pk for token in (first, second, fourth)}
    assert found == {first: 1, second: 3, fourth: 4}
    assert not shop().Order.objects.filter(token=third).exists()
    assert ShardLookup.objects.count() == 3


def test_a_value_that_is_another_rows_already_is_named(found_by_token):
    token = UUID(int=7)
    ShardLookup.objects.create(
        model="shop.order",
        field="token",
        digest=digest_of(shop().Order._meta.get_field("token"), token),
        row_id="999",
        shard_key="1",
    )
    found_by_token.filter(pk=7).update(token=token)
    with pytest.raises(SplitRefused, match="token of row 7 of shop_order"):
        copied()


def test_a_row_that_is_written_without_a_pause_is_no_difference(site, monkeypatch):
    found, writer = copied(), connections.create_connection("default")
    digests = verifying._digests

    def written_before_each_look(table, alias, ids):
        if table.name == "shop_order":
            with writer.cursor() as cursor:
                cursor.execute("UPDATE shop_order SET items = items + 1 WHERE id = 7")
        return digests(table, alias, ids)

    monkeypatch.setattr(verifying, "_digests", written_before_each_look)
    try:
        assert differences(found) == []
    finally:
        writer.close()


def test_a_row_whose_id_names_another_key_is_found_before_it_is_lost(site):
    order = shop().Order.objects.create(customer_id=3, note="its id holds a slot")
    rows(shop().Order, "default").filter(pk=order.pk).update(customer_id=key_elsewhere(3))
    [(table, row, what)] = differences(copied())
    assert (table, row) == ("shop_order", str(order.pk))
    assert "has an id of another shard key" in what


def test_rows_without_a_key_of_their_own_move_with_the_row_that_has_it(site):
    order = shop().Order.objects.create(id=300, customer_id=3, note="gift")
    shop().Gift.objects.create(id=300, order=order)
    found = copied()
    key = key_elsewhere(3)
    rows(shop().Order, "default").filter(pk=300).update(customer_id=key)
    found.catch_up()
    assert places(shop().Gift)[300] == [schemes["users"].shard_for(key)]
    assert differences(found) == []


def test_rows_that_lie_apart_from_the_row_they_refer_to_are_refused_with_the_reason(site):
    found = copied()
    rows(shop().Order, "default").filter(pk=60).update(customer_id=key_elsewhere(20))
    with pytest.raises(SplitRefused, match="another shard key"):  # its line has the old one
        found.catch_up()
    rows(shop().Line, "default").filter(pk=60).update(customer_id=key_elsewhere(20))
    found.catch_up()
    assert differences(found) == []


def test_a_shard_that_hangs_while_it_is_switched_does_not_stop_the_site_for_longer(
    site, monkeypatch
):
    monkeypatch.setattr(switching, "SILENCE", 1)
    run("start", "users")
    rows(shop().Order, "default").filter(pk=7).update(items=8)
    hanging = connections.create_connection(schemes["users"].shard_for(7))
    hanging.set_autocommit(False)
    hanging.cursor().execute("LOCK TABLE shop_order")  # what is carried over waits for this
    refusals = []
    thread = threading.Thread(target=refused_in_thread, args=[refusals])
    thread.start()
    try:
        wait_for_a_lock(schemes["users"].shard_for(7))
        rows(shop().Order, "default").filter(pk=7).update(items=9)  # as soon as the locks are gone
    finally:
        hanging.close()
        thread.join()
    assert "has not answered for 1 s" in refusals[0]
    monkeypatch.undo()
    home = schemes["users"].shard_for(7)
    run("switch", "users", "--without-verify")
    assert rows(shop().Order, home).get(pk=7).items == 9


def refused_in_thread(refusals):
    try:
        run("switch", "users", "--without-verify")
    except CommandError as error:
        refusals.append(str(error))
    connections.close_all()


def wait_for_a_lock(alias):
    end = time.monotonic() + 30
    with connections[alias].cursor() as cursor:
        while time.monotonic() < end:
            cursor.execute("SELECT 1 FROM pg_locks WHERE NOT granted AND locktype = 'relation'")
            if cursor.fetchone():
                return
            time.sleep(0.02)
    pytest.fail("nobody waits")


def test_a_row_that_lost_its_parent_is_named_before_the_switch(site):
    run("start", "users")
    sql("ALTER TABLE shop_gift DROP CONSTRAINT " + constraint("shop_gift", "shop_order"))
    sql("DELETE FROM shop_gift WHERE order_id = 20; SET CONSTRAINTS ALL IMMEDIATE")
    sql("INSERT INTO shop_gift (id, order_id) VALUES (900, 123456)")
    with pytest.raises(CommandError, match="1 rows of shop_gift have no shard key"):
        run("verify", "users")


def test_a_table_that_stays_and_refers_to_one_that_goes_is_named(site):
    sql("CREATE TABLE notices (order_id bigint CONSTRAINT of_order REFERENCES shop_order)")
    with pytest.raises(CommandError, match="of_order of notices refers to shop_order"):
        run("start", "users")


def constraint(table, other):
    with connections["default"].cursor() as cursor:
        cursor.execute(
            "SELECT conname FROM pg_constraint WHERE conrelid = %s::regclass AND confrelid = %s::regclass",
            [table, other],
        )
        return cursor.fetchone()[0]


# Processes that go by the old map.


def test_a_stale_process_inserts_past_conflicts_on_the_right_shard(stale):
    model = shop().Order
    made = [model(id=1, customer_id=1, note="there already"), model(customer_id=2, note="new")]
    model.objects.bulk_create(made, ignore_conflicts=True)
    assert rows(model, schemes["users"].shard_for(2)).filter(note="new").count() == 1
    assert rows(model, schemes["users"].shard_for(1)).get(pk=1).note == "1\ta\\b"


def test_a_stale_process_updates_past_conflicts_as_soon_as_it_has_read_the_map(stale):
    def insert_or_update():
        model = shop().Order
        model.objects.bulk_create(
            [model(id=1, customer_id=1, note="updated")],
            update_conflicts=True,
            unique_fields=["id"],
            update_fields=["note"],
        )

    with pytest.raises(DatabaseError, match="no unique or exclusion constraint"):
        insert_or_update()  # PostgreSQL refuses a view before it looks at it; nothing is lost
    schemes["users"].stored.reload()
    insert_or_update()
    assert rows(shop().Order, schemes["users"].shard_for(1)).get(pk=1).note == "updated"


def test_a_stale_process_that_locks_a_row_is_told_to_begin_again(stale):
    with pytest.raises(ShardMapStale), transaction.atomic():
        shop().Order.objects.select_for_update().get(pk=7, customer_id=7)
    assert shop().Order.objects.get(pk=7, customer_id=7).items == 7


def test_a_stale_process_streams_rows_of_the_right_shard(stale):
    found = shop().Order.objects.filter(customer_id=7).order_by("pk").iterator()
    assert [order.pk for order in found] == [7, 47, 87, 127, 167]


def test_sql_of_a_stale_process_is_refused_and_not_answered_with_nothing(stale):
    for statement in (
        "SELECT count(*) FROM shop_order",
        "SELECT 1 FROM shop_line l LEFT JOIN shop_order o ON o.id = l.order_id",
        "INSERT INTO shop_order (id, customer_id, note, paid) VALUES (1, 1, '', false)",
        "DELETE FROM shop_order WHERE id = 1",
    ):
        with pytest.raises(DatabaseError, match="These rows have moved to shards"):
            sql(statement)


def test_a_stale_process_asks_all_shards_from_the_second_time_on(stale):
    newest = shop().Order.objects.order_by("-pk")
    with pytest.raises(ShardKeyRequired):
        list(newest.scatter()[:1])  # it was made for one database
    assert newest.scatter()[0].pk == 200


def test_a_stale_process_adds_to_a_relation_of_many_to_many(stale):
    album = shop().Album.objects.get(customer_id=9, pk=9)
    stored = schemes["users"].stored
    assert stored().live  # reading has told it
    album.orders.add(shop().Order.objects.get(customer_id=9, pk=49))
    assert album.orders.count() == 2
