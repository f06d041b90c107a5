from __future__ import annotations

import pytest
from django.db import DatabaseError, connections, transaction

from scalekit.db.exceptions import WriteOnReplica
from tests.db.databases import create_tables, databases, replica_of
from tests.integration.db.conftest import NAME, cluster, entry
from tests.integration.db.failing import customers

pytestmark = pytest.mark.servers

WRITES = [
    "EXPLAIN ANALYZE DELETE FROM shop_customer",
    "EXPLAIN (ANALYZE, BUFFERS) UPDATE shop_customer SET visits = 9",
    "WITH x AS (INSERT INTO shop_customer (name, visits) VALUES ('x', 1) RETURNING 1) SELECT * FROM x",
    "SELECT setval('shop_customer_id_seq', 99)",
    "SELECT nextval('shop_customer_id_seq')",
    "SELECT 1; DELETE FROM shop_customer",
    "SELECT * INTO thieves FROM shop_customer",
    "/* SELECT */ DELETE FROM shop_customer",
    "DO $$ BEGIN DELETE FROM shop_customer; END $$",
    "SELECT * FROM shop_customer FOR UPDATE",
    "LOCK TABLE shop_customer",
    "COPY shop_customer (name) FROM STDIN",
    "TRUNCATE shop_customer",
]
LOCKS = [
    "SELECT pg_advisory_lock(1)",
    'SELECT "pg_advisory_lock"(1)',
    "SELECT pg_catalog.PG_TRY_ADVISORY_LOCK_SHARED(1)",
    "SELECT pg_advisory_xact_lock(1)",
    'SELECT U&"pg\\005fadvisory_lock"(1)',
]
SWITCHES = [
    "SET transaction_read_only = off",
    "SET SESSION CHARACTERISTICS AS TRANSACTION READ WRITE",
    "BEGIN READ /* */ WRITE",
    "SELECT 1; SET default_transaction_read_only = off; DELETE FROM shop_customer",
    "SELECT set_config('transaction_read_only', 'off', false)",
    "UPDATE pg_settings SET setting = 'off' WHERE name = 'default_transaction_read_only'",
    "DO $$ BEGIN SET transaction_read_only = off; DELETE FROM shop_customer; END $$",
]


@pytest.fixture(params=["standby", "promoted", "dead"])
def alias(request, scalekit_servers):
    """The alias of a replica: a standby, one that was promoted meanwhile, or one the primary stands in for."""
    primary = scalekit_servers.postgres("primary")
    replica = scalekit_servers.postgres_replica(primary, "replica_1")
    with cluster(primary, [replica]):
        customers().create(name="Ann")
        replica.catch_up()
        if request.param == "promoted":
            replica.promote()
        if request.param == "dead":
            replica.kill()
        yield "replica_1"
        names = [c.name for c in customers().using("replica_1")]
        assert names == ["Ann"]
        assert customers().using("replica_1").get().visits == 0
        connections.close_all()


def test_no_disguise_gets_a_write_through(alias):
    let_through = []
    for sql in [*WRITES, *LOCKS, *SWITCHES]:
        try:
            with connections[alias].cursor() as cursor:
                cursor.execute(sql)
        except DatabaseError:
            continue
        let_through.append(sql)
    assert let_through == []


def test_parameters_procedures_and_raw_cursors_are_looked_at_too(alias):
    with pytest.raises(DatabaseError), connections[alias].cursor() as cursor:
        cursor.execute("SELECT set_config(%s, 'off', false)", ["transaction_read_only"])
    with pytest.raises(DatabaseError), connections[alias].cursor() as cursor:
        cursor.callproc("pg_advisory_lock", [1])
    with pytest.raises(DatabaseError), connections[alias].cursor() as cursor:
        cursor.executemany("SELECT pg_advisory_lock(%s)", [[1]])
    with pytest.raises(DatabaseError):
        list(customers().using(alias).extra(where=["pg_advisory_lock(1) IS NULL"]).iterator())


def test_the_guard_stands_inside_transactions_too(replicated):
    with pytest.raises(WriteOnReplica), transaction.atomic(using="replica_1"):
        list(customers().using("replica_1").extra(where=["pg_advisory_lock(1) IS NULL"]).iterator())
    with (
        pytest.raises(WriteOnReplica),
        transaction.atomic(using="replica_1"),
        connections["replica_1"].cursor() as cursor,
    ):
        cursor.execute("SET TRANSACTION READ WRITE")


@pytest.mark.parametrize(
    "sql",
    [
        "SHOW transaction_read_only",
        "SELECT current_setting('transaction_read_only')",
        "SELECT set_config('app.tenant', '7', false)",
        "SELECT 'you may read, write and set' AS advisory",
        "SELECT pg_advisory_unlock_all()",
    ],
)
def test_what_only_reads_is_let_through(replicated, sql):
    with connections["replica_1"].cursor() as cursor:
        cursor.execute(sql)
        assert cursor.fetchall()


def test_the_primary_is_not_guarded(postgres_primary):
    postgres_primary.execute(f"DROP DATABASE IF EXISTS {NAME} WITH (FORCE)")
    postgres_primary.create_database(NAME)
    entries = {"default": entry(postgres_primary)}
    entries["replica_1"] = entry(postgres_primary, SCALEKIT=replica_of("default"))
    with databases(entries):
        create_tables("default")
        with transaction.atomic(), connections["default"].cursor() as cursor:
            cursor.execute("SELECT pg_advisory_xact_lock(1)")
        customers().create(name="Ann")
