"""What is said to Citus, and what is refused, without a cluster."""

from __future__ import annotations

import pytest
from django.core.management import CommandError, call_command
from django.db import connections

from scalekit.db.conf import schemes
from scalekit.db.sharding.citus import Citus
from scalekit.db.sharding.citus.checks import faults_of_citus
from scalekit.db.sharding.citus.columns import Undistributable, column_of
from scalekit.db.sharding.citus.ddl import Constraint, KeyMissing, statements
from scalekit.db.sharding.group_models import models_of
from tests.db.databases import create_tables, databases, sqlite

CITUS = {"users": {"BACKEND": "scalekit.db.sharding.citus.Citus"}}
PK = Constraint("order_pkey", "p", "shop_order", ("id",), None, (), "PRIMARY KEY (id)")
LINE_TO_ORDER = Constraint(
    "line_order_fk",
    "f",
    "shop_line",
    ("order_id",),
    "shop_order",
    ("id",),
    "FOREIGN KEY (order_id) REFERENCES shop_order(id) DEFERRABLE INITIALLY DEFERRED",
)


def plan(*constraints, keys=None, references=(), distributed=()):
    return statements(
        keys=keys or {"shop_order": "customer_id", "shop_line": "customer_id"},
        references=references,
        constraints=constraints,
        shard_count=64,
        quote=lambda name: f'"{name}"',
        distributed=frozenset(distributed),
    )


def shop():
    from tests.db.shop import models

    return models


@pytest.fixture
def on_default(tmp_path):
    with databases({"default": sqlite(tmp_path / "default.sqlite3")}, SCALEKIT_DB_SHARDING=CITUS):
        create_tables("default")
        yield


def test_foreign_keys_go_first_and_come_back_with_the_shard_key_on_both_sides():
    todo = plan(PK, LINE_TO_ORDER)
    gone = todo.index('ALTER TABLE shop_line DROP CONSTRAINT "line_order_fk"')
    back = todo.index(
        'ALTER TABLE shop_line ADD CONSTRAINT "line_order_fk" FOREIGN KEY ("order_id", "customer_id") '
        'REFERENCES shop_order("id", "customer_id") DEFERRABLE INITIALLY DEFERRED'
    )
    spread = [n for n, sql in enumerate(todo) if "create_distributed_table" in sql]
    assert gone < spread[0] <= spread[-1] < back


def test_a_primary_key_gets_the_shard_key_at_its_end_so_that_a_search_by_id_alone_still_uses_it():
    assert (
        'ALTER TABLE shop_order ADD CONSTRAINT "order_pkey" PRIMARY KEY ("id", "customer_id")'
        in plan(PK)
    )


def test_a_unique_constraint_that_has_the_shard_key_stays_as_it_is():
    once = Constraint(
        "note_once",
        "u",
        "shop_order",
        ("customer_id", "note"),
        None,
        (),
        "UNIQUE (customer_id, note)",
    )
    assert not any("note_once" in sql for sql in plan(once))


def test_a_deferrable_unique_constraint_stays_deferrable():
    once = Constraint(
        "once",
        "u",
        "shop_order",
        ("note",),
        None,
        (),
        "UNIQUE (note) DEFERRABLE INITIALLY DEFERRED",
    )
    assert any(
        sql.endswith('UNIQUE ("note", "customer_id") DEFERRABLE INITIALLY DEFERRED')
        for sql in plan(once)
    )


def test_a_unique_index_with_a_condition_cannot_be_made_anew_and_is_refused():
    index = Constraint(
        "paid_once", "i", "shop_order", ("note",), None, (), "CREATE UNIQUE INDEX ... WHERE paid"
    )
    with pytest.raises(KeyMissing, match="paid_once does not have customer_id"):
        plan(index)


def test_all_tables_of_a_group_are_co_located_with_the_first():
    spread = [sql for sql in plan() if "create_distributed_table" in sql]
    assert spread == [
        "SELECT create_distributed_table('shop_order', 'customer_id', colocate_with => 'none', shard_count => 64)",
        "SELECT create_distributed_table('shop_line', 'customer_id', colocate_with => 'shop_order')",
    ]


def test_reference_tables_come_before_the_tables_that_refer_to_them():
    to_color = Constraint(
        "order_color_fk", "f", "shop_order", ("color_id",), "shop_color", ("id",),
        "FOREIGN KEY (color_id) REFERENCES shop_color(id)",
    )  # fmt: skip
    todo = plan(to_color, references=["shop_color"])
    made = todo.index("SELECT create_reference_table('shop_color')")
    assert made < next(n for n, sql in enumerate(todo) if "create_distributed_table" in sql)
    assert todo[-1].endswith("FOREIGN KEY (color_id) REFERENCES shop_color(id)")


def test_a_table_that_came_later_joins_those_that_are_distributed():
    todo = plan(PK, LINE_TO_ORDER, distributed=["shop_order"])
    assert not any("order_pkey" in sql for sql in todo)
    assert [sql for sql in todo if "create_distributed" in sql] == [
        "SELECT create_distributed_table('shop_line', 'customer_id', colocate_with => 'shop_order')"
    ]


def test_nothing_is_left_once_all_is_distributed():
    assert plan(PK, LINE_TO_ORDER, distributed=["shop_order", "shop_line"]) == []


def test_models_come_after_those_they_refer_to():
    found = models_of("users")
    assert found.index(shop().Order) < found.index(shop().Line)
    assert shop().Customer not in found


def test_the_column_of_a_model_is_that_of_its_shard_key():
    assert column_of(shop().Line).column == "customer_id"


def test_a_model_whose_rows_lie_where_another_row_lies_needs_a_column_of_its_own():
    for model in (shop().Gift, shop().Album.orders.through):
        assert isinstance(column_of(model), Undistributable)


def test_citus_belongs_on_postgresql(on_default):
    assert [fault.id for fault in faults_of_citus()] == ["scalekit.db.E060"]


def test_every_row_goes_to_the_coordinator(on_default):
    assert isinstance(schemes["users"], Citus)
    assert schemes["users"].shard_for(7) == "default"
    order = shop().Order.objects.create(customer_id=7)
    assert order._state.db == "default"


def test_a_query_need_not_name_a_shard(on_default):
    shop().Order.objects.create(customer_id=7, items=2)
    shop().Order.objects.create(customer_id=8, items=1)
    assert list(shop().Order.objects.order_by("items").values_list("customer_id", flat=True)) == [
        8,
        7,
    ]


def test_scatter_is_the_plain_query(on_default):
    shop().Order.objects.create(customer_id=7, items=2)
    scattered = shop().Order.objects.scatter().filter(items=2)
    assert type(scattered) is type(shop().Order.objects.all())
    assert scattered.count() == 1


def test_joins_to_tables_of_the_coordinator_are_not_refused(on_default):
    customer = shop().Customer.objects.create(name="Ada")
    order = shop().Order.objects.create(customer_id=customer.pk)
    shop().Gift.objects.create(order=order, giver=customer)
    assert shop().Gift.objects.select_related("giver").get(giver__name="Ada").giver == customer


def test_a_row_keeps_its_key(on_default):
    shop().Order.objects.create(customer_id=7)
    with pytest.raises(Exception, match="customer_id cannot be changed"):
        shop().Order.objects.filter(customer_id=7).update(customer_id=8)


def test_the_default_database_keeps_its_unsharded_tables(on_default):
    assert "shop_customer" in connections["default"].introspection.table_names()


@pytest.mark.parametrize(
    ("options", "said"),
    [
        ({"shard_count": 0}, "shard_count is 0; write a whole number from 1 to 64000"),
        ({"shard_count": True}, "shard_count is True"),
        ({"coordinator": ["default"]}, "coordinator is .*; write an alias of DATABASES"),
    ],
)
def test_wrong_options_say_what_to_write(options, said):
    with pytest.raises(ValueError, match=said):
        Citus("users", **options)


def test_the_command_names_the_groups_it_knows(on_default):
    with pytest.raises(CommandError, match="Groups that Citus keeps: users"):
        call_command("citus", "status", "--group", "photos")
