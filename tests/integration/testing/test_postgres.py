from __future__ import annotations

import threading
import time

import psycopg
import pytest

from scalekit.testing.servers import ServerError, ServerTimeout, Topology, Waits


def fill(server, table, *numbers):
    server.execute(f"CREATE TABLE IF NOT EXISTS {table} (number int PRIMARY KEY)")
    for number in numbers:
        server.execute(f"INSERT INTO {table} VALUES (%s)", [number])


def numbers(server, table):
    return [number for (number,) in server.execute(f"SELECT number FROM {table} ORDER BY 1")]


@pytest.fixture
def pair(scalekit_servers):
    primary = scalekit_servers.postgres("primary")
    return primary, scalekit_servers.postgres_replica(primary, "replica_1")


def test_a_write_on_the_primary_reaches_every_replica(postgres_primary, postgres_replicas, table):
    fill(postgres_primary, table, 1)
    for replica in postgres_replicas:
        replica.catch_up()
        assert numbers(replica, table) == [1]


def test_replicas_know_that_they_are_and_refuse_writes(postgres_primary, postgres_replicas):
    assert [server.is_standby for server in (postgres_primary, *postgres_replicas)] == [
        False,
        True,
        True,
    ]
    with pytest.raises(psycopg.errors.ReadOnlySqlTransaction):
        postgres_replicas[0].execute("CREATE TABLE refused (id int)")


def test_shards_are_databases_of_their_own(postgres_primary, postgres_replicas, postgres_shards):
    query = "SELECT system_identifier FROM pg_control_system()"
    primary, replica, *shards = (
        server.value(query) for server in (postgres_primary, postgres_replicas[0], *postgres_shards)
    )
    assert primary == replica
    assert len({primary, *shards}) == 3


def test_a_row_moves_between_shards_by_logical_replication(postgres_shards, table):
    source, target = postgres_shards
    fill(source, table, 1, 2)
    fill(target, table)
    source.execute(f"CREATE PUBLICATION {table} FOR TABLE {table}")
    target.execute(f"CREATE SUBSCRIPTION {table} CONNECTION '{source.dsn}' PUBLICATION {table}")
    try:
        target.waits.until(lambda: numbers(target, table) == [1, 2], "logical replication")
    finally:
        target.execute(f"DROP SUBSCRIPTION {table}")


def test_django_settings_lead_to_the_server(postgres_primary):
    entry = postgres_primary.django_settings(ENGINE="my.engine", TEST={"NAME": "other"})
    assert (entry["ENGINE"], entry["TEST"]) == ("my.engine", {"NAME": "other"})
    with psycopg.connect(
        host=entry["HOST"],
        port=entry["PORT"],
        user=entry["USER"],
        password=entry["PASSWORD"],
        dbname=entry["NAME"],
    ) as connection:
        assert connection.execute("SELECT 1").fetchone() == (1,)


def test_dsn_and_url_lead_to_the_server(postgres_primary):
    for where in (postgres_primary.dsn, postgres_primary.url):
        with psycopg.connect(where) as connection:
            assert connection.info.port == postgres_primary.port


def test_other_users_of_the_machine_stay_out(postgres_primary):
    with pytest.raises(psycopg.OperationalError, match="password"):
        psycopg.connect(postgres_primary.dsn, password="guessed")


def test_create_database_makes_it_once(postgres_primary, table):
    postgres_primary.create_database(table)
    postgres_primary.create_database(table)
    assert postgres_primary.value("SELECT current_database()", database=table) == table


def test_text_of_every_language_is_text(postgres_primary):
    assert postgres_primary.value("SELECT lower('ÉÇÅ')") == "éçå"


def test_paused_replica_shows_nothing_new_until_it_resumes(
    postgres_primary, postgres_replicas, table
):
    replica, other = postgres_replicas
    fill(postgres_primary, table, 1)
    replica.catch_up()
    with replica.replay_paused():
        fill(postgres_primary, table, 2)
        other.catch_up()
        assert (numbers(replica, table), numbers(other, table)) == ([1], [1, 2])
    replica.catch_up()
    assert numbers(replica, table) == [1, 2]


def test_delayed_replica_lags_by_what_was_asked(postgres_primary, postgres_replicas, table):
    replica = postgres_replicas[0]
    fill(postgres_primary, table)
    replica.delay_replay(0.8)
    try:
        began = time.monotonic()
        fill(postgres_primary, table, 1)
        replica.catch_up()
        assert time.monotonic() - began >= 0.7
    finally:
        replica.delay_replay(0)


def test_catch_up_gives_up_in_time(postgres_primary, postgres_replicas, table):
    with postgres_replicas[0].replay_paused():
        fill(postgres_primary, table, 1)
        with pytest.raises(ServerTimeout, match="replica_1 replaying"):
            postgres_replicas[0].catch_up(0.1)


def test_frozen_server_answers_nobody_and_goes_on_where_it_was(pair, table):
    primary, replica = pair
    fill(primary, table, 1)
    replica.catch_up()
    with replica.frozen(), pytest.raises(psycopg.errors.ConnectionTimeout):
        psycopg.connect(replica.dsn, connect_timeout=2)
    assert numbers(replica, table) == [1]


def test_kill_takes_every_process_and_no_commit(pair, table):
    primary, _ = pair
    fill(primary, table, 1)
    pids = primary.pids
    primary.kill()
    assert len(pids) > 3
    assert not primary.running
    assert not primary.pids
    assert numbers(primary.start(), table) == [1]


def test_frozen_server_can_be_killed_and_stopped(pair):
    primary, replica = pair
    replica.freeze()
    replica.stop()
    primary.freeze()
    primary.kill()
    assert not primary.running
    assert not replica.running


def test_failover_and_the_way_back(scalekit_servers, pair, table):
    primary, replica = pair
    bystander = scalekit_servers.postgres_replica(primary, "replica_2")
    fill(primary, table, 1)
    replica.catch_up()
    replica.stop()
    fill(primary, table, 2)  # the one that will take over does not have it
    bystander.catch_up()
    primary.kill()
    bystander.stop()
    replica.start()

    replica.promote()
    fill(replica, table, 3)
    primary.rewind_to(replica)
    bystander.rewind_to(replica)

    primary.catch_up()
    bystander.catch_up()
    assert numbers(primary, table) == numbers(bystander, table) == [1, 3]
    assert [server.is_standby for server in (primary, replica, bystander)] == [True, False, True]


def test_surviving_replica_follows_the_new_primary(scalekit_servers, pair, table):
    primary, replica = pair
    survivor = scalekit_servers.postgres_replica(primary, "replica_2")
    primary.kill()
    replica.promote()
    survivor.follow(replica)
    fill(replica, table, 1)
    survivor.catch_up()
    assert numbers(survivor, table) == [1]


def test_former_primary_takes_over_again(pair, table):
    primary, replica = pair
    for old, new in ((primary, replica), (replica, primary)):
        old.kill()
        new.promote()
        old.rewind_to(new)
    fill(primary, table, 1)
    replica.catch_up()
    assert numbers(replica, table) == [1]


def test_replica_is_added_while_the_primary_takes_writes(scalekit_servers, table):
    primary = scalekit_servers.postgres("primary")
    fill(primary, table)
    done = threading.Event()

    def write():
        number = 0
        while not done.is_set():
            fill(primary, table, number)
            number += 1

    writer = threading.Thread(target=write)
    writer.start()
    try:
        replica = scalekit_servers.postgres_replica(primary, "late")
    finally:
        done.set()
        writer.join()
    replica.catch_up()
    assert numbers(replica, table) == numbers(primary, table)


def test_settings_hold_over_a_restart(scalekit_servers):
    primary = scalekit_servers.postgres(settings={"max_connections": 33})
    primary.configure(work_mem="5MB")
    primary.waits.until(lambda: primary.value("SHOW work_mem") == "5MB", "the reload")
    primary.restart()
    assert (primary.value("SHOW work_mem"), primary.value("SHOW max_connections")) == ("5MB", "33")


def test_a_kept_folder_goes_on_with_its_data_on_other_ports(tmp_path, table):
    for number in (1, 2):
        with Topology(tmp_path) as topology:
            primary = topology.postgres()
            replica = topology.postgres_replica(primary, "replica_1")
            fill(primary, table, number)
            replica.catch_up()
    assert (tmp_path / "replica_1" / "data").exists()
    with Topology(tmp_path) as topology:
        assert numbers(topology.postgres(), table) == [1, 2]


def test_a_kept_folder_whose_roles_have_changed_is_refused(tmp_path):
    with Topology(tmp_path) as topology:
        primary = topology.postgres()
        topology.postgres_replica(primary, "replica_1").promote()
    with Topology(tmp_path) as topology:
        primary = topology.postgres()
        with pytest.raises(ServerError, match="replica_1 was a primary when"):
            topology.postgres_replica(primary, "replica_1")


def test_replica_of_another_database_is_told_by_its_log(tmp_path):
    with Topology(tmp_path) as topology:
        topology.postgres_replica(topology.postgres("a"), "replica_1")
    with Topology(tmp_path, waits=Waits(act=3)) as topology:
        other = topology.postgres("b")
        with pytest.raises(ServerTimeout, match="database system identifier differs"):
            topology.postgres_replica(other, "replica_1")


def test_data_of_another_version_is_refused(scalekit_servers):
    primary = scalekit_servers.postgres()
    primary.stop()
    (primary.data_folder / "PG_VERSION").write_text("9\n")
    with pytest.raises(ServerError, match="was written by PostgreSQL 9"):
        primary.start()


def test_server_that_cannot_start_says_what_it_wrote(scalekit_servers):
    with pytest.raises(ServerError, match="shared_buffers"):
        scalekit_servers.postgres(settings={"shared_buffers": "nonsense"})
    assert not scalekit_servers.servers
