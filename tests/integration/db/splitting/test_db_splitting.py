"""Tables of a live site become sharded ones, on real servers."""

from __future__ import annotations

import json
import subprocess
import sys
import threading
from collections import Counter

import pytest
from django.core.management import CommandError
from django.db import connections, transaction

from scalekit.db.conf import schemes
from scalekit.db.sharding.splitting.capturing import is_capturing
from scalekit.db.sharding.splitting.copying import text_of
from tests.integration.db.splitting.site import (
    CUSTOMERS,
    captured,
    differences,
    mover,
    places,
    rows,
    run,
    shop,
)


def test_every_row_arrives_on_the_shard_of_its_key_and_nowhere_else(site):
    found = captured()
    for _ in found.copy(chunk=30):
        pass
    home = schemes["users"].shard_for
    for model in (shop().Order, shop().Line, shop().Album, shop().Review, shop().Reply):
        wanted = {
            pk: [home(key)] for pk, key in rows(model, "default").values_list("pk", "customer_id")
        }
        assert places(model) == wanted
    gifts = rows(shop().Gift, "default").values_list("pk", "order__customer_id")
    assert places(shop().Gift) == {pk: [home(key)] for pk, key in gifts}
    pairs = rows(shop().Album.orders.through, "default").values_list("pk", "album__customer_id")
    assert places(shop().Album.orders.through) == {pk: [home(key)] for pk, key in pairs}
    assert differences(found) == []


def test_what_is_written_between_two_steps_is_carried_over(site):
    found = captured()
    models = shop()
    for number, step in enumerate(found.copy(chunk=25)):
        if number == 2:  # half of the orders are copied
            models.Order.objects.filter(pk=1).update(items=-1)
            models.Order.objects.filter(pk=190).update(items=-1)
            models.Line.objects.filter(order_id__in=[3, 150]).delete()
            models.Order.objects.filter(pk=160).delete()
            late = models.Order.objects.create(customer_id=3, note="late")
            models.Line.objects.create(customer_id=3, order=late)
        if step.table == "shop_line" and step.is_last:
            models.Line.objects.create(customer_id=3, order=late, amount=9)
    found.catch_up()
    assert differences(found) == []
    assert len(places(models.Line)) == rows(models.Line, "default").count()


def test_a_row_whose_key_is_changed_moves_to_its_new_shard(site):
    found = captured()
    for _ in found.copy():
        pass
    home = schemes["users"].shard_for
    other = next(key for key in range(99) if home(key) != home(199 % CUSTOMERS))
    rows(shop().Order, "default").filter(pk=199).update(customer_id=other)
    found.catch_up()
    assert places(shop().Order)[199] == [home(other)]


def test_unique_values_may_change_places(site):
    found = captured()
    for _ in found.copy():
        pass
    orders = rows(shop().Order, "default")
    with transaction.atomic():
        orders.filter(pk=1).update(note="between")
        orders.filter(pk=1 + CUSTOMERS).update(note="1\ta\\b")
        orders.filter(pk=1).update(note=f"{1 + CUSTOMERS}\ta\\b")
    found.catch_up()
    assert differences(found) == []


def test_a_copying_that_is_killed_again_and_again_comes_to_its_end(site):
    found = captured()
    entries, sharding = site
    command = [
        sys.executable, "-m", "tests.integration.db.splitting.mover_process",
        json.dumps(entries), json.dumps(sharding),
    ]  # fmt: skip
    for lives in (1, 3, 4):
        process = subprocess.Popen(command, stdout=subprocess.PIPE, text=True)
        for _ in range(lives):
            assert process.stdout.readline()
        process.kill()  # in the middle of the next step
        process.wait()
        process.stdout.close()
        shop().Order.objects.filter(pk=lives).update(items=-lives)
    for _ in found.copy(chunk=50):
        pass
    found.catch_up()
    assert differences(found) == []
    assert max(Counter(map(len, places(shop().Order).values()))) == 1


def test_a_step_whose_end_the_source_does_not_see_is_done_again_without_harm(site, monkeypatch):
    found = captured()
    steps = found.copy(chunk=50)
    next(steps)
    with monkeypatch.context() as patched:
        patched.setattr(
            "scalekit.db.sharding.splitting.models.SplitTable.save",
            lambda *_, **__: (_ for _ in ()).throw(RuntimeError("power cut")),
        )
        with pytest.raises(RuntimeError):
            next(steps)
    for _ in found.copy(chunk=50):
        pass
    assert differences(found) == []


def test_one_changed_byte_on_a_shard_is_found_and_named(site):
    found = captured()
    for _ in found.copy():
        pass
    alias = schemes["users"].shard_for(7 % CUSTOMERS)
    rows(shop().Order, alias).filter(pk=7).update(note="7\ta\\c")
    assert differences(found) == [("shop_order", "7", "differs")]


def test_a_row_that_no_longer_is_or_lies_twice_is_found(site):
    found = captured()
    for _ in found.copy():
        pass
    home = schemes["users"].shard_for(8)
    other = next(alias for alias in schemes["users"].shards if alias != home)
    rows(shop().Review, home).create(customer_id=8)
    copy = rows(shop().Order, "default").get(pk=8)
    rows(shop().Order, other).bulk_create([copy])
    assert [what for _, _, what in differences(found)] == ["should not be there"] * 2


def test_truncate_is_refused_while_rows_are_copied(site):
    captured()
    with pytest.raises(Exception, match="being copied to shards"):
        connections["default"].cursor().execute("TRUNCATE shop_line CASCADE")


def test_a_switch_wants_copies_that_were_compared(site):
    with pytest.raises(CommandError, match="start users to its end first"):
        run("switch", "users")
    run("start", "users")
    with pytest.raises(CommandError, match=r"Run manage\.py shard_tables verify users first"):
        run("switch", "users")


def test_an_open_transaction_keeps_the_switch_from_happening_and_nothing_has_changed(site):
    run("start", "users")
    run("verify", "users")
    held, done = threading.Event(), threading.Event()

    def hold():
        with transaction.atomic():
            rows(shop().Order, "default").filter(pk=1).update(items=77)
            held.set()
            done.wait(30)
        connections.close_all()

    thread = threading.Thread(target=hold)
    thread.start()
    held.wait(30)
    try:
        with pytest.raises(CommandError, match="Nothing was switched"):
            run("switch", "users", "--patience", "0.5")
    finally:
        done.set()
        thread.join()
    assert shop().Order.objects.get(pk=1).items == 77
    assert "Switched" in run("switch", "users")
    assert shop().Order.objects.get(pk=1, customer_id=1).items == 77


def test_after_the_switch_rows_are_read_and_written_on_their_shards(site):
    run("start", "users")
    run("verify", "users")
    run("switch", "users")
    order = shop().Order.objects.get(customer_id=9, pk=9)
    assert order._state.db == schemes["users"].shard_for(9)
    made = shop().Order.objects.create(customer_id=9, note="new")
    assert places(shop().Order)[made.pk] == [schemes["users"].shard_for(9)]
    album = shop().Album.objects.get(customer_id=9, pk=9)
    album.orders.add(made)  # the pairs go on counting above those that were copied
    assert album.orders.count() == 2


def test_an_id_from_before_is_found_without_a_key(site):
    run("start", "users")
    run("verify", "users")
    run("switch", "users")
    assert shop().Order.objects.get(pk=9).customer_id == 9
    assert shop().Line.objects.filter(order_id=9).get().amount == 9


def test_writers_that_never_heard_of_the_switch_lose_nothing(site):
    entries, sharding = site
    command = [
        sys.executable, "-m", "tests.integration.db.splitting.writer_process",
        json.dumps(entries), json.dumps(sharding),
    ]  # fmt: skip
    writers = [
        subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True)
        for _ in range(3)
    ]
    try:
        for writer in writers:
            assert writer.stdout.readline() == "writing\n"
        run("start", "users")
        run("verify", "users")
        assert "Switched" in run("switch", "users", "--patience", "60")
    finally:
        answers = [writer.communicate("stop")[0] for writer in writers]
    assert [writer.returncode for writer in writers] == [0, 0, 0]
    found = places(shop().Order)
    items = {
        pk: n
        for alias in schemes["users"].shards
        for pk, n in rows(shop().Order, alias).values_list("pk", "items")
    }
    for answer in answers:
        for pk, expected in json.loads(answer).items():
            assert len(found[int(pk)]) == 1
            assert items[int(pk)] == expected
    assert len(items) == 200 + sum(len(json.loads(answer)) for answer in answers)


def test_complete_drops_the_old_tables(site):
    with pytest.raises(CommandError, match="has not been switched"):
        run("complete", "users", "--yes")
    run("start", "users")
    run("verify", "users")
    run("switch", "users")
    run("complete", "users", "--yes")
    left = connections["default"].introspection.table_names(include_views=True)
    assert not [name for name in left if name.startswith(("shop_order", "shop_line"))]
    assert not is_capturing("users", connections["default"])


def test_cancel_leaves_the_rows_where_they_were_and_no_trace(site):
    run("start", "users")
    run("cancel", "users", "--yes")
    assert places(shop().Order) == {}
    assert shop().Order.objects.count() == 200
    assert not is_capturing("users", connections["default"])


def test_a_row_without_a_key_is_named_before_anything_is_copied(site):
    with connections["default"].cursor() as cursor:
        cursor.execute("ALTER TABLE shop_order ALTER customer_id DROP NOT NULL")
        cursor.execute("UPDATE shop_order SET customer_id = NULL WHERE id = 5")
    with pytest.raises(SystemExit):
        run("plan", "users")
    with pytest.raises(CommandError, match="1 rows of shop_order have no shard key"):
        run("start", "users")


def test_a_group_that_began_on_its_shards_has_nothing_to_be_split(configuration):
    schemes["users"].starts_on = ""
    with pytest.raises(CommandError, match='add "starts_on": "default"'):
        run("start", "users")


def test_a_new_column_is_filled_from_the_row_it_hangs_on(site):
    with connections["default"].cursor() as cursor:
        cursor.execute("ALTER TABLE shop_line ALTER customer_id DROP NOT NULL")
        cursor.execute("UPDATE shop_line SET customer_id = NULL")
    assert "100 rows of shop.Line would" in run(
        "backfill", "shop.Line", "customer_id", "--from", "order__customer_id", "--dry-run"
    )
    filled = run("backfill", "shop.Line", "customer_id", "--from", "order__customer_id")
    assert filled == "100 rows filled, 0 left.\n"
    wrong = rows(shop().Line, "default").exclude(customer_id=0).count()
    assert wrong == 98  # lines 40 and 80 are of customer 0


def test_only_one_process_splits_a_group(site):
    found = mover()
    other = connections.create_connection("default")
    try:
        other.cursor().execute("SELECT pg_advisory_lock(hashtext('scalekit split users'))")
        with pytest.raises(CommandError, match="Another process is at work on users"):
            run("start", "users")
    finally:
        other.close()
    assert found.group == "users"


@pytest.mark.parametrize(
    ("written", "meant"),
    [
        (rb"7", "7"),
        (rb"a\tb", "a\tb"),
        (rb"\\", "\\"),
        (rb"a\\nb", "a\\nb"),
        (rb"\\\t\\", "\\\t\\"),
    ],
)
def test_values_of_copy_are_read_as_they_were(written, meant):
    assert text_of(written) == meant
