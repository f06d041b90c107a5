from __future__ import annotations

import threading
import time

import pytest
from django.db import (
    DatabaseError,
    OperationalError,
    close_old_connections,
    connections,
    transaction,
)

from scalekit.core.context import unit_of_work
from scalekit.db import using_replica
from scalekit.db.events import READ_RETRIED, REPLICA_DOWN, REPLICA_UP
from tests.integration.db.conftest import cluster

pytestmark = pytest.mark.servers


def customers():
    from tests.db.shop.models import Customer

    return Customer.objects


@pytest.fixture
def heard():
    events = []
    ends = [
        event.subscribe(lambda event, payload: events.append((event.name, payload["alias"])))
        for event in (READ_RETRIED, REPLICA_DOWN, REPLICA_UP)
    ]
    yield events
    for end in ends:
        end()


@pytest.fixture
def fragile(scalekit_servers):
    """A cluster of this test's own, to be broken."""
    primary = scalekit_servers.postgres("primary")
    replicas = [scalekit_servers.postgres_replica(primary, f"replica_{i}") for i in (1, 2)]
    with cluster(primary, replicas):
        customers().create(name="Ann")
        for server in replicas:
            server.catch_up()
        yield primary, replicas


def read_in_a_request():
    with unit_of_work():
        return customers().get().name


def read_for(seconds, threads=4):
    """Read in many requests at once; return how many succeeded, and what failed."""
    failures, done = [], []
    end = time.monotonic() + seconds

    def work():
        while time.monotonic() < end:
            try:
                done.append(read_in_a_request())
            except Exception as error:  # noqa: BLE001 - whatever fails is counted
                failures.append(error)
            close_old_connections()
        connections.close_all()

    workers = [threading.Thread(target=work) for _ in range(threads)]
    for worker in workers:
        worker.start()
    yield
    for worker in workers:
        worker.join()
    yield done, failures


@pytest.mark.parametrize("how", ["kill", "stop"])
def test_a_replica_that_dies_under_reads_fails_none(fragile, heard, how):
    _, (victim, _) = fragile
    reading = read_for(3)
    next(reading)
    time.sleep(0.7)
    getattr(victim, how)()
    done, failures = next(reading)
    assert failures == []
    assert len(done) > 50
    assert ("db_replica_down", "replica_1") in heard


def test_with_all_replicas_dead_the_primary_answers(fragile):
    _, replicas = fragile
    for server in replicas:
        server.kill()
    for _ in range(5):
        assert read_in_a_request() == "Ann"


def test_a_replica_comes_back(fragile, heard, settings):
    settings.SCALEKIT_DB_RETRY_SECONDS = 0.2
    _, (server, _) = fragile
    server.kill()
    for _ in range(4):
        read_in_a_request()
    server.start()
    server.wait_ready()
    end = time.monotonic() + 10
    while ("db_replica_up", "replica_1") not in heard and time.monotonic() < end:
        read_in_a_request()
        time.sleep(0.05)
    assert ("db_replica_up", "replica_1") in heard


def test_connecting_to_a_hung_replica_is_bounded_and_tried_by_one_read(fragile):
    _, (server, _) = fragile
    connections.close_all()
    with server.frozen():
        started = time.monotonic()
        for _ in range(6):
            assert read_in_a_request() == "Ann"
        assert time.monotonic() - started < 3.5
    connections.close_all()


# psycopg says at the end that its cursor was never closed: there was no server left to close it on.
@pytest.mark.filterwarnings("ignore::pytest.PytestUnraisableExceptionWarning")
def test_an_iterator_that_has_begun_is_not_begun_again(fragile):
    customers().bulk_create([customers().model(name=f"n{i}") for i in range(500)])
    _, (server, _) = fragile
    server.catch_up()
    rows = customers().using("replica_1").order_by("id").iterator(chunk_size=10)
    next(rows)
    server.kill()
    with pytest.raises(DatabaseError):
        list(rows)
    connections.close_all()


def test_server_side_cursors_move_on_before_their_first_row(fragile):
    _, (server, _) = fragile
    assert [c.name for c in customers().using("replica_1").iterator()] == ["Ann"]
    server.kill()
    assert [c.name for c in customers().using("replica_1").iterator()] == ["Ann"]


def test_nothing_inside_a_transaction_is_run_again(fragile):
    _, (server, _) = fragile
    with pytest.raises(OperationalError), transaction.atomic(using="replica_1"):  # noqa: PT012 - the transaction must end in it
        customers().using("replica_1").get()
        server.kill()
        customers().using("replica_1").get()
    connections["replica_1"].close()


def test_a_write_through_replicas_that_are_all_dead_is_not_run_on_the_primary(fragile):
    _, replicas = fragile
    for server in replicas:
        server.kill()
    for _ in range(2):
        with pytest.raises(DatabaseError), connections["replica_1"].cursor() as cursor:
            cursor.execute("UPDATE shop_customer SET visits = 9")
        with pytest.raises(DatabaseError), connections["replica_1"].cursor() as cursor:
            cursor.executemany("UPDATE shop_customer SET visits = %s", [[9]])
    assert customers().get().visits == 0


@pytest.mark.parametrize(
    "sql",
    [
        "UPDATE shop_customer SET visits = 9",
        "INSERT INTO shop_customer (name, visits) VALUES ('x', 1)",
        "WITH gone AS (DELETE FROM shop_customer RETURNING 1) SELECT * FROM gone",
        "SELECT nextval('shop_customer_id_seq')",
        "EXPLAIN ANALYZE DELETE FROM shop_customer",
        "CREATE TABLE x (y int)",
    ],
)
def test_writes_through_a_replica_s_alias_are_refused(replicated, sql):
    with (
        pytest.raises(DatabaseError, match="read-only"),
        connections["replica_1"].cursor() as cursor,
    ):
        cursor.execute(sql)


def test_a_replica_s_alias_refuses_writes_even_if_it_is_no_standby(postgres_primary):
    from tests.db.databases import databases, replica_of
    from tests.integration.db.conftest import entry

    entries = {"default": entry(postgres_primary, NAME="postgres")}
    entries["replica_1"] = entry(postgres_primary, NAME="postgres", SCALEKIT=replica_of("default"))
    with databases(entries):
        assert connections["replica_1"].cursor().execute("SELECT 1")
        with pytest.raises(DatabaseError, match="read-only"):
            connections["replica_1"].cursor().execute("CREATE TABLE x (y int)")


def test_a_read_that_conflicts_with_replay_is_run_elsewhere(replicated, heard, postgres_primary):
    from scalekit.db.backends.postgresql.cursors import ReadCursor
    from scalekit.db.backends.postgresql.failures import SERIALIZATION_FAILURE

    class Conflict(Exception):
        sqlstate = SERIALIZATION_FAILURE

    cursor = connections["replica_1"].cursor()
    assert isinstance(cursor, ReadCursor)

    def conflicting(sql, params=None):
        raise OperationalError("canceling statement due to conflict with recovery") from Conflict()

    cursor._cursor.execute = conflicting
    cursor.execute("SELECT 1")
    assert cursor.fetchone() == (1,)
    assert heard == [("db_read_retried", "replica_1")]
    cursor.close()


POOL = {"CONN_MAX_AGE": 0, "OPTIONS": {"pool": {"min_size": 1, "max_size": 2}}}


@pytest.mark.parametrize("extra", [{}, POOL], ids=["persistent", "pool"])
def test_a_connection_that_was_cut_is_replaced_and_fails_no_read(
    postgres_primary, postgres_replicas, heard, extra
):
    with cluster(postgres_primary, postgres_replicas[:1], **extra), using_replica():
        assert customers().count() == 0
        cut = "SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE datname = 'shop'"
        postgres_replicas[0].execute(cut)
        for _ in range(3):
            assert customers().count() == 0
        if not extra:
            assert heard == []  # the replica is well
        connections.close_all()


def test_django_s_own_engine_is_routed_too(postgres_primary, postgres_replicas):
    engine = "django.db.backends.postgresql"
    with cluster(postgres_primary, postgres_replicas, engine=engine), unit_of_work():
        assert customers().all().db.startswith("replica_")
        customers().create(name="Ann")
        assert customers().get().name == "Ann"


def test_the_health_check_of_a_dead_replica_hears_of_it(fragile):
    from scalekit.db.health import checks

    _, (server, _) = fragile
    found = {check.alias: check for check in checks()}
    for check in found.values():
        check.run()
    server.kill()
    with pytest.raises(OperationalError):
        found["replica_1"].run()
    found["default"].run()
    found["replica_2"].run()
