from __future__ import annotations

import pytest
from django.db import connections

from scalekit.db.conf import schemes
from tests.db.databases import create_tables, databases, replica_of, sharding
from tests.integration.db.conftest import NAME, entry

pytestmark = pytest.mark.servers


def test_a_row_lies_on_its_shard_and_nowhere_else(sharded):
    from tests.db.shop.models import Order

    for key in range(1, 9):
        order = Order.objects.create(customer_id=key)
        sql = "SELECT count(*) FROM shop_order WHERE id = %s"
        found = [
            name for name, server in sharded.items() if server.value(sql, [order.pk], database=NAME)
        ]
        assert found == [schemes["users"].shard_for(key)]
        assert Order.objects.get(pk=order.pk) == order


def test_a_shard_has_replicas_of_its_own(scalekit_servers):
    from scalekit.core.context import unit_of_work
    from scalekit.db.facts import dealings
    from tests.db.shop.models import Order

    servers = [scalekit_servers.postgres(f"shard_{i}") for i in range(2)]
    replicas = [scalekit_servers.postgres_replica(s, f"{s.name}_r") for s in servers]
    for server in servers:
        server.create_database(NAME)
    entries = {"default": entry(servers[0])} | {s.name: entry(s) for s in servers}
    for server, replica in zip(servers, replicas, strict=True):
        entries[replica.name] = entry(replica, SCALEKIT=replica_of(server.name))
    with databases(entries, SCALEKIT_DB_SHARDING=sharding("shard_0", "shard_1")):
        create_tables("shard_0", "shard_1")
        here = Order.objects.create(customer_id=1)
        home = here._state.db
        there = next(k for k in range(2, 50) if schemes["users"].shard_for(k) != home)
        for replica in replicas:
            replica.catch_up()
        with unit_of_work():
            assert Order.objects.filter(customer_id=1).db == f"{home}_r"
            Order.objects.create(customer_id=1, note="b")
            assert dealings().written == {home}
            assert Order.objects.filter(customer_id=1).db == home
            assert Order.objects.filter(customer_id=1).count() == 2
            assert Order.objects.filter(customer_id=there).db.endswith("_r")
            assert Order.objects.scatter().count() == 2
        with unit_of_work():
            order = Order.objects.get(pk=here.pk)
            assert order._state.db == f"{home}_r"
            order.note = "saved"
            order.save()
            assert order._state.db == home
        connections.close_all()
