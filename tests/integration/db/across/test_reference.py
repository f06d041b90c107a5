"""PostgreSQL carries rows of reference tables to every shard: as they are, whoever wrote them, after any outage."""

from __future__ import annotations

import json
import time
from io import StringIO
from threading import Event, Thread

import psycopg
import pytest
from django.conf import settings
from django.core import checks
from django.core.management import CommandError, call_command
from django.db import connections, transaction
from django.test import override_settings

from scalekit.db.exceptions import WriteOnCopy
from scalekit.db.sharding.mapping.connecting import own_connection
from scalekit.db.sharding.reference.comparing import differences
from scalekit.db.sharding.reference.following import catch_up, state_of
from scalekit.db.sharding.reference.replication import ALONE
from scalekit.db.sharding.reference.source import slot_of
from scalekit.db.sharding.reference.statements import rows as fetched
from scalekit.db.sharding.reference.statements import slot_name
from tests.db.databases import create_tables, databases, sharding
from tests.integration.db.conftest import entry

pytestmark = pytest.mark.servers

SHARDS = ("shard_0", "shard_1")
TABLES = "market_region, market_currency, market_currency_accepted_in"


@pytest.fixture(scope="module")
def servers(scalekit_topology, across_server):
    """`default` and a shard are on one server, the other shard on a server that tests may stop."""
    return {
        "default": across_server,
        "shard_0": across_server,
        "shard_1": scalekit_topology.postgres("reference_shard"),
    }


@pytest.fixture(scope="module")
def entries(servers):
    """Create the databases, once for all tests of this module."""
    name = {alias: f"market_{alias}" for alias in servers}
    for alias, server in servers.items():
        server.create_database(name[alias])
    yield {alias: entry(server, NAME=name[alias]) for alias, server in servers.items()}
    for alias in (*SHARDS, "default"):
        _drop(servers[alias], name[alias])


@pytest.fixture
def market(entries, shop):
    """Tables without rows, and whatever replication the last test has left."""
    apps = [*settings.INSTALLED_APPS, "tests.db.market"]
    with (
        override_settings(INSTALLED_APPS=apps),
        databases(entries, SCALEKIT_DB_SHARDING=sharding(*SHARDS)),
    ):
        if not connections["default"].introspection.table_names():
            create_tables("default", *SHARDS, app="market")
        sql("default", f"TRUNCATE {TABLES}")
        yield
        connections.close_all()


@pytest.fixture
def apart(market):
    """Nothing is replicated."""
    run("drop")
    for alias in SHARDS:
        sql(alias, f"TRUNCATE {TABLES}")


@pytest.fixture
def replicated(market):
    """Both shards follow `default`, which has one row."""
    run("setup")
    currency("EUR")
    assert_converges()


def _drop(server, database):
    """Drop a database, and first what of replication is in it."""
    for (name,) in server.execute("SELECT subname FROM pg_subscription", database=database):
        for what in ("DISABLE", "SET (slot_name = NONE)"):
            server.execute(f"ALTER SUBSCRIPTION {name} {what}", database=database)
        server.execute(f"DROP SUBSCRIPTION {name}", database=database)
    for slot, pid in server.execute(
        "SELECT slot_name, active_pid FROM pg_replication_slots WHERE database = %s", [database]
    ):
        server.execute("SELECT pg_terminate_backend(%s, 5000)", [pid])
        server.execute("SELECT pg_drop_replication_slot(%s)", [slot])
    server.execute(f"DROP DATABASE {database} WITH (FORCE)")


def currency(code, **values):
    from tests.db.market.models import Currency

    return Currency.objects.create(code=code, **values)


def rows(alias, table="market_currency"):
    with connections[alias].cursor() as cursor:
        cursor.execute(f"SELECT * FROM {table} ORDER BY id")
        return cursor.fetchall()


def assert_converges(*aliases):
    for alias in aliases or SHARDS:
        catch_up(alias)
        assert rows(alias) == rows("default")


def run(*arguments):
    out = StringIO()
    call_command("reference_tables", *arguments, stdout=out)
    return out.getvalue()


def sql(alias, statement, params=None):
    with connections[alias].cursor() as cursor:
        cursor.execute(statement, params)


def test_setup_brings_what_is_there_and_lets_shards_follow(apart):
    currency("EUR")
    run("setup")
    assert rows("shard_0") == rows("shard_1") == rows("default") != []
    assert "follows already" in run("setup")
    assert {state_of(alias).problem for alias in SHARDS} == {""}


def test_every_change_reaches_every_shard(replicated):
    from tests.db.market.models import Currency, Region

    Currency.objects.bulk_create([Currency(code=f"C{n}") for n in range(9)])
    Currency.objects.filter(code__lt="C4").update(rate=7)
    Currency.objects.filter(code="C8").delete()
    region = Region.objects.create(name="north")
    Currency.objects.get(code="C7").accepted_in.add(region)
    with connections["default"].cursor() as cursor:
        with cursor.copy("COPY market_currency (code, rate, changed_at) FROM STDIN") as copy:
            copy.write_row(("CPY", 3, "2026-01-01T00:00:00Z"))
        cursor.execute("UPDATE market_currency SET rate = 8 WHERE code = 'C5'")
    assert_converges()
    assert rows("shard_1", "market_currency_accepted_in") != []
    sql("default", "TRUNCATE market_currency CASCADE")
    assert_converges()
    assert rows("shard_0") == []


def ids_of_checks():
    return {fault.id for fault in checks.run_checks(tags=["database"], databases=["default"])}


def test_a_shard_that_was_down_catches_up(servers, replicated):
    servers["shard_1"].stop()
    connections["shard_1"].close()
    try:
        currency("USD")
        state = state_of("shard_1")
        assert "does not answer" in state.problem
        assert state.lag > 0
        assert_converges("shard_0")
        with pytest.raises(SystemExit):
            run("status")
        assert "scalekit.db.W054" in ids_of_checks()
    finally:
        servers["shard_1"].start()
    assert_converges()
    assert json.loads(run("status", "--json"))[1]["problem"] == ""
    assert run("verify").count("are equal") == 2


def test_a_write_on_a_copy_is_refused_by_orm_and_database(replicated):
    from tests.db.market.models import Currency

    with pytest.raises(WriteOnCopy):
        Currency.objects.using("shard_0").update(rate=1)
    for statement in ("UPDATE market_currency SET rate = 1", "TRUNCATE market_currency CASCADE"):
        with pytest.raises(Exception, match="copy of a reference table") as caught:
            sql("shard_0", statement)
        assert caught.value.__cause__.sqlstate == "SK002"


def diverge(alias):
    """Change a copy as nobody should: one row differs, one is missing, one is too many."""
    with transaction.atomic(using=alias):
        sql(alias, "SET LOCAL scalekit.reference_copy = 'on'")
        sql(alias, "UPDATE market_currency SET rate = 99 WHERE code = 'EUR'")
        sql(alias, "DELETE FROM market_currency WHERE code = 'USD'")
        sql(
            alias,
            "INSERT INTO market_currency (id, code, rate, changed_at) VALUES (4711, 'BAD', 1, now())",
        )


def test_verify_names_the_rows_that_differ_and_repair_mends_them(replicated):
    from tests.db.market.models import Currency

    dollar = currency("USD")
    assert_converges()
    assert "are equal" in run("verify")
    diverge("shard_1")
    euro = Currency.objects.get(code="EUR")
    expected = sorted([str(euro.pk), str(dollar.pk), "4711"])
    assert differences("shard_1", Currency) == expected
    assert differences("shard_0", Currency) == []
    with pytest.raises(CommandError, match="repair"):
        run("verify")
    assert "copied, and follows" in run("repair")
    assert_converges()
    currency("GBP")
    assert_converges()


def test_what_is_on_its_way_is_no_difference(replicated):
    from tests.db.market.models import Currency

    for number in range(6):
        Currency.objects.filter(code="EUR").update(rate=number)
        assert differences("shard_1", Currency) == []


def test_a_table_that_comes_later_is_set_up_too(replicated):
    sql("default", "ALTER PUBLICATION scalekit_reference DROP TABLE market_region")
    assert "market_region is not published" in state_of("shard_0").problem
    from tests.db.market.models import Region

    Region.objects.create(name="north")
    assert "ALTER PUBLICATION" in run("setup", "--dry-run")
    assert rows("shard_0", "market_region") == []
    run("setup")
    catch_up("shard_0")
    assert rows("shard_0", "market_region") == rows("default", "market_region") != []
    run("repair")
    assert_converges()


def test_a_column_that_comes_to_the_shards_later_delays_them_and_loses_nothing(replicated):
    sql("default", "ALTER TABLE market_currency ADD symbol text")
    sql(
        "default",
        "INSERT INTO market_currency (code, rate, changed_at, symbol) VALUES ('USD', 1, now(), '$')",
    )
    wait_for(lambda: state_of("shard_1").errors)
    for alias in SHARDS:
        sql(alias, "ALTER TABLE market_currency ADD symbol text")
    assert_converges()
    for alias in ("default", *SHARDS):
        sql(alias, "ALTER TABLE market_currency DROP symbol")


def wait_for(condition, seconds=20):
    end = time.monotonic() + seconds
    while not condition():
        assert time.monotonic() < end
        time.sleep(0.05)


def test_a_lost_slot_is_seen_and_repaired(servers, replicated):
    sql("shard_1", "ALTER SUBSCRIPTION scalekit_reference DISABLE")
    database = servers["default"].value(
        "SELECT oid::bigint FROM pg_database WHERE datname = 'market_default'"
    )
    slot = slot_of("shard_1", database)
    free = "SELECT count(*) FROM pg_replication_slots WHERE slot_name = %s AND NOT active"
    wait_for(lambda: servers["default"].value(free, [slot]))
    servers["default"].execute("SELECT pg_drop_replication_slot(%s)", [slot])
    currency("USD")
    assert state_of("shard_1").problem == "its slot on default is gone"
    run("repair")
    assert_converges()


class Reading(Thread):
    """Counts the rows of a copy again and again."""

    def __init__(self, connection, empty):
        super().__init__()
        self.connection, self.empty, self.reads, self.ended = connection, empty, 0, Event()

    def run(self):
        while not self.ended.is_set():
            count = self.connection.execute("SELECT count(*) FROM market_currency").fetchone()[0]
            self.reads += 1
            if not count:
                self.empty.append(self.reads)

    def stop(self):
        self.ended.set()
        self.join()


def test_two_repairs_at_once_do_not_undo_each_other(replicated):
    diverge("shard_1")
    with own_connection() as other:
        assert fetched(other, ALONE, [slot_name(other, "shard_1")]) == [(True,)]
        with pytest.raises(CommandError, match="shard_1 failed"):
            run("repair")
        assert state_of("shard_1").problem == ""
    run("repair")
    assert_converges()


def test_the_slot_of_a_shard_that_is_gone_is_found_by_a_check(servers, replicated):
    with own_connection() as default:
        slot = slot_name(default, "shard_9")
    make = "SELECT pg_create_logical_replication_slot(%s, 'pgoutput')"
    servers["default"].execute(make, [slot], database="market_default")
    try:
        assert "scalekit.db.W056" in ids_of_checks()
    finally:
        servers["default"].execute("SELECT pg_drop_replication_slot(%s)", [slot])
    assert "scalekit.db.W056" not in ids_of_checks()


def test_readers_never_see_an_empty_copy_while_it_is_made_anew(servers, replicated):
    empty = []
    access = servers["shard_1"].access("market_shard_1")
    with psycopg.connect(access.dsn, autocommit=True) as reader:
        diverge("shard_1")
        thread = Reading(reader, empty)
        thread.start()
        run("repair")
        thread.stop()
    assert thread.reads > 0
    assert empty == []
    assert_converges()


def test_a_setup_that_fails_leaves_no_slot_behind(apart):
    currency("EUR")
    sql("shard_1", "ALTER TABLE market_currency RENAME TO market_away")
    try:
        with pytest.raises(CommandError, match="shard_1 failed"):
            run("setup")
    finally:
        sql("shard_1", "ALTER TABLE market_away RENAME TO market_currency")
    assert state_of("shard_0").problem == ""
    assert state_of("shard_1").wal_status == ""


def test_drop_ends_it_and_the_rows_stay(servers, replicated):
    run("drop")
    assert (
        servers["default"].value("SELECT count(*) FROM pg_publication", database="market_default")
        == 0
    )
    slots = "SELECT count(*) FROM pg_replication_slots WHERE database = 'market_default'"
    assert servers["default"].value(slots) == 0
    assert len(rows("shard_0")) == 1
    sql("shard_0", "UPDATE market_currency SET rate = 2")
    run("setup")
    assert_converges()


def test_what_nobody_has_set_up_is_found_by_a_check(apart):
    assert "scalekit.db.W053" in ids_of_checks()
    run("setup")
    assert ids_of_checks().isdisjoint({"scalekit.db.W053", "scalekit.db.W054"})


def test_a_log_without_a_limit_is_found_by_a_check(servers, replicated):
    servers["default"].configure(max_slot_wal_keep_size=-1)
    try:
        wait_for(lambda: "scalekit.db.W055" in ids_of_checks())
    finally:
        servers["default"].configure(max_slot_wal_keep_size="512MB")


def test_names_of_slots_are_allowed_and_differ():
    names = [slot_of(alias, 5) for alias in ("shard_1", "Shard-1", "shard-1", "s" * 80, "s" * 81)]
    assert names[0] == "scalekit_5_shard_1"
    assert len(set(names)) == len(names)
    assert all(
        len(name) <= 63 and name.replace("_", "").isalnum() and name.islower() for name in names
    )
