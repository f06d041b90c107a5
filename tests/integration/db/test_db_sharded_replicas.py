"""Each shard has replicas and tokens of its own: one that lags changes nothing for visitors of other shards."""

from __future__ import annotations

import pytest
from django.db import connections
from django.http import JsonResponse
from django.test import Client
from django.urls import path

from scalekit.db.conf import schemes
from scalekit.db.tokens import unseal
from tests.db.databases import create_tables, databases, replica_of, sharding
from tests.integration.db.conftest import MIDDLEWARE, NAME, entry
from tests.integration.db.watching import until, watch

pytestmark = [pytest.mark.servers, pytest.mark.urls(__name__)]

HEADER = "X-Consistency-Token"
FIRST, SECOND = "primary", "shard_0"  # the aliases of the shards: the first has a replica


def orders():
    from tests.db.shop.models import Order

    return Order.objects


def write(request, key):
    return JsonResponse({"pk": orders().create(customer_id=key, note=request.GET["note"]).pk})


def read(request, key):
    rows = list(orders().filter(customer_id=key).order_by("pk"))
    here = orders().filter(customer_id=key).db
    return JsonResponse({"notes": [row.note for row in rows], "from": here})


def follow(request, pk):
    order = orders().prefetch_related("lines").get(pk=pk)
    lines = [line.amount for line in order.lines.all()]
    return JsonResponse({"lines": lines, "from": order._state.db})


def save(request, pk):
    order = orders().get(pk=pk)
    read_from = order._state.db
    order.lines.create(customer_id=order.customer_id, amount=5)
    return JsonResponse({"read": read_from, "written": order.lines.get()._state.db})


urlpatterns = [
    path("write/<int:key>", write),
    path("read/<int:key>", read),
    path("follow/<int:pk>", follow),
    path("save/<int:pk>", save),
]


@pytest.fixture
def replica(postgres_primary, postgres_replicas, postgres_shards):
    """A shard with a replica, another without, and a default database."""
    replica, other, default = postgres_replicas[0], *postgres_shards
    for server in (postgres_primary, other, default):
        server.execute(f"DROP DATABASE IF EXISTS {NAME} WITH (FORCE)")
        server.create_database(NAME)
    entries = {
        "default": entry(default),
        FIRST: entry(postgres_primary),
        replica.name: entry(replica, SCALEKIT=replica_of(FIRST)),
        SECOND: entry(other),
    }
    group = sharding(FIRST, SECOND)
    with databases(entries, SCALEKIT_DB_SHARDING=group, MIDDLEWARE=MIDDLEWARE):
        create_tables("default", app="sessions")
        create_tables(FIRST, SECOND)
        replica.catch_up()
        watch(FIRST, replica.name)
        yield replica
        connections.close_all()


def key_of(shard):
    return next(key for key in range(1, 99) if schemes["users"].shard_for(key) == shard)


def visit(client, url):
    return client.get(url).json()


def test_a_visitor_of_a_lagging_shard_sees_what_they_wrote(replica):
    key, visitor, stranger = key_of(FIRST), Client(), Client()
    with replica.replay_paused():
        pk = visit(visitor, f"/write/{key}?note=a")["pk"]
        for _ in range(20):
            assert visit(visitor, f"/read/{key}") == {"notes": ["a"], "from": FIRST}
        assert visit(stranger, f"/read/{key}") == {"notes": [], "from": replica.name}
        assert visit(visitor, f"/follow/{pk}") == {"lines": [], "from": FIRST}
    until(lambda: visit(visitor, f"/read/{key}") == {"notes": ["a"], "from": replica.name})


def test_a_token_is_of_the_shard_that_was_written(replica):
    answers = {shard: Client().get(f"/write/{key_of(shard)}?note=a") for shard in (FIRST, SECOND)}
    assert list(unseal(answers[FIRST].headers[HEADER])) == [FIRST]
    assert HEADER not in answers[SECOND].headers  # it has no replica that could lag


def test_a_write_to_one_shard_pins_no_reads_of_another(replica):
    visitor = Client()
    visit(visitor, f"/write/{key_of(SECOND)}?note=b")
    assert visit(visitor, f"/read/{key_of(SECOND)}") == {"notes": ["b"], "from": SECOND}
    until(lambda: visit(visitor, f"/read/{key_of(FIRST)}")["from"] == replica.name)


def test_a_row_read_from_a_replica_is_written_to_on_its_primary(replica):
    pk = visit(Client(), f"/write/{key_of(FIRST)}?note=a")["pk"]
    replica.catch_up()
    until(lambda: visit(Client(), f"/follow/{pk}")["from"] == replica.name)
    assert visit(Client(), f"/save/{pk}") == {"read": replica.name, "written": FIRST}
