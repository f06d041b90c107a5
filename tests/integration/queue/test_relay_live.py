from __future__ import annotations

import time
from concurrent.futures import ThreadPoolExecutor
from datetime import timedelta
from threading import Barrier, Event, Thread

import pytest
from django.db import connection, connections, transaction
from django.utils import timezone

from scalekit.queue import outbox
from scalekit.queue.claiming import claim_due, confirm, due_rows
from scalekit.queue.listening import wait, wake
from scalekit.queue.models import Status, TaskRecord
from scalekit.queue.records import new_row
from scalekit.queue.relay import relay
from scalekit.queue.sweeping import import_dead
from tests.integration.queue.processes import eventually
from tests.integration.queue.project.tasks import affect, call_out

pytestmark = pytest.mark.servers

LONG_AGO = "2000-01-01T00:00Z"


@pytest.fixture
def due(broker):
    """Give a function that stores so many jobs which nobody has published."""

    def put(number, task=affect, when=LONG_AGO):
        rows = [new_row(task, (f"job {n}",), {}) for n in range(number)]
        for row in rows:
            row.publish_at = when
        outbox.put(rows)
        return rows

    return put


def waiting(broker):
    return broker.stats(["default"])["default"].ready


def claimed():
    return TaskRecord.objects.filter(publications__gt=0).count()


def end_leases():
    """Let thirty seconds pass for what a dead relay had claimed."""
    TaskRecord.objects.filter(status=Status.READY).update(publish_at=LONG_AGO)


def in_threads(number, function):
    """Run `function` in so many threads, each with connections of its own."""

    def run(_):
        try:
            return function()
        finally:
            connections.close_all()

    with ThreadPoolExecutor(number) as pool:
        return list(pool.map(run, range(number)))


def test_relays_that_race_publish_each_job_once(broker, due):
    due(3000)
    start = Barrier(3)

    def drain():
        start.wait(10)
        batches = 0
        while relay("default") or due_rows("default").exists():
            batches += 1
        return batches

    in_threads(3, drain)
    assert waiting(broker) == 3000


def test_two_claims_at_the_same_time_share_no_row(broker, due):
    due(1000)
    start = Barrier(2)

    def claim():
        start.wait(10)
        return {row.pk for row in claim_due("default")}

    one, other = in_threads(2, claim)
    assert not one & other
    assert len(one | other) >= 500


def test_confirming_waits_for_nobody_who_begins_a_job(broker, due):
    """Who confirms hundreds and who begins some of them would each wait for what the other has locked."""
    begun = due(3)[1]
    rows = claim_due("default")
    with ThreadPoolExecutor(1) as pool, transaction.atomic():
        TaskRecord.objects.select_for_update().get(pk=begun.pk)
        pool.submit(in_threads, 1, lambda: confirm("default", rows)).result(10)
    later = timezone.now() + timedelta(minutes=10)
    assert TaskRecord.objects.filter(publish_at__gt=later).count() == 2


def test_most_urgent_leave_first_then_the_longest_due(broker, due):
    for priority, minutes in [(0, 1), (0, 9), (60, 1), (-60, 99)]:
        [row] = due(1, when=timezone.now() - timedelta(minutes=minutes))
        TaskRecord.objects.filter(pk=row.pk).update(priority=priority)
    claimed = [(row.priority, row.publish_at) for row in claim_due("default")]
    assert [priority for priority, _ in claimed] == [60, 0, 0, -60]
    assert claimed[1][1] < claimed[2][1]


def test_far_future_costs_nothing(broker, due):
    due(20_000, when=timezone.now() + timedelta(days=300))
    due(3)
    with connection.cursor() as cursor:
        cursor.execute("ANALYZE scalekit_queue_taskrecord")
    plan = due_rows("default").explain(analyze=True, buffers=True)
    assert "scalekit_queue_outbox" in plan
    assert "Rows Removed" not in plan
    assert len(claim_due("default")) == 3


# A relay that is killed, at each of its steps


def test_killed_while_it_claims(broker, due, start_relay, waits_for_a_lock):
    due(100)
    with transaction.atomic(), connection.cursor() as cursor:
        cursor.execute("LOCK TABLE scalekit_queue_taskrecord IN EXCLUSIVE MODE")
        process = start_relay()
        process.says("Ready.")
        assert eventually(lambda: waits_for_a_lock("Take what is due"))
        process.close()
    assert waiting(broker) == 0
    assert _expect_at_most_twice(broker) == 100


def test_killed_between_claim_and_publication(broker, own_valkey, due, start_relay):
    due(100)
    with own_valkey.frozen():
        process = start_relay().ready()
        assert eventually(lambda: claimed() == 100)
        process.close()
    assert _expect_at_most_twice(broker) >= 100


def test_killed_between_publication_and_confirmation(
    broker, own_valkey, due, start_relay, waits_for_a_lock
):
    due(100)
    with own_valkey.frozen():
        process = start_relay().ready()
        assert eventually(lambda: claimed() == 100)
        with transaction.atomic(), connection.cursor() as cursor:
            cursor.execute("LOCK TABLE scalekit_queue_taskrecord IN EXCLUSIVE MODE")
            own_valkey.thaw()
            assert eventually(lambda: waits_for_a_lock("Jobs that the broker has confirmed"))
            process.close()
    assert (
        _expect_at_most_twice(broker) == 200
    )  # one batch again, of which claims make one run each


def _expect_at_most_twice(broker):
    """Return how many messages there are once another relay has gone over all that is left.

    A statement of the dead one may be carried out yet: a server does not notice at once that nobody listens.
    """
    assert eventually(lambda: not _others_connections())
    end_leases()
    relay("default")
    assert not due_rows("default").exists()
    assert waiting(broker) <= 200
    return waiting(broker)


def _others_connections():
    with connection.cursor() as cursor:
        cursor.execute(
            "SELECT count(*) FROM pg_stat_activity WHERE backend_type = 'client backend' "
            "AND datname = current_database() AND pid <> pg_backend_pid()"
        )
        return cursor.fetchone()[0]


@pytest.fixture
def waits_for_a_lock(queue_template):
    """Give a function that tells whether a statement with such a text waits for a lock."""
    sql = "SELECT 1 FROM pg_stat_activity WHERE wait_event_type = 'Lock' AND query LIKE %s"
    return lambda text: bool(queue_template.execute(sql, [f"%{text}%"]))


def test_stopped_relay_ends_at_once_and_leaves_nothing_half_done(broker, due, start_relay):
    process = start_relay().ready()
    due(50)
    assert eventually(lambda: waiting(broker) == 50)
    process.process.terminate()
    assert process.wait(10) == 0
    assert "Stopped." in process.output


# A broker, or a database, that is away


def test_outage_of_the_broker_burns_nothing_and_loses_nothing(
    broker, own_valkey, due, start_relay, start_worker, effects
):
    own_valkey.kill()
    start_relay().ready()
    due(30)
    time.sleep(4)  # that is the claim: four polls of the relay, in each of which it could take them
    rows = TaskRecord.objects.values_list("status", "attempt", "publications").distinct()
    [(status, attempt, publications)] = rows
    assert (status, attempt) == ("READY", 0)
    assert publications <= 1
    own_valkey.start()
    start_worker().ready()
    assert eventually(lambda: len(effects()) == 30)


def test_later_jobs_survive_a_restart_of_the_broker(
    broker, own_valkey, start_relay, start_worker, effects
):
    start_relay().ready()
    begun = timezone.now()
    for number in range(20):
        affect.using(run_after=begun + timedelta(seconds=4)).enqueue(f"later {number}")
    own_valkey.kill()
    own_valkey.start()
    start_worker().ready()
    assert eventually(lambda: len(effects()) == 20, 4 + 5 + 10)
    started = TaskRecord.objects.order_by("started_at").values_list("started_at", flat=True)
    assert started[0] >= begun + timedelta(seconds=4)


class TestLostByTheBroker:
    @pytest.fixture
    def queue_settings(self):
        return {"SCALEKIT_QUEUE_UNCLAIMED_SECONDS": 1}

    def test_published_jobs_are_published_again(
        self, broker, own_valkey, start_relay, start_worker, effects
    ):
        for number in range(10):
            affect.enqueue(f"lost {number}")
        assert waiting(broker) == 10
        own_valkey.kill()
        own_valkey.start()
        assert waiting(broker) == 0
        start_relay().ready()
        start_worker().ready()
        assert eventually(lambda: len(set(effects())) == 10)
        assert len(effects()) == 10


def test_relay_survives_that_its_connections_are_cut(
    broker, queue_template, queue_database, due, start_relay
):
    process = start_relay().ready()
    due(5)
    assert eventually(lambda: waiting(broker) == 5)
    queue_template.execute(
        "SELECT pg_terminate_backend(pid) FROM pg_stat_activity "
        f"WHERE datname = '{queue_database['NAME']}'"
    )
    connections.close_all()
    due(5)
    assert eventually(lambda: waiting(broker) == 10)
    assert process.process.poll() is None


# Waking a relay before its poll


def test_waiting_relay_is_woken(broker):
    stop, returned = Event(), Event()

    def listen():
        wait("default", 60.0, stop)
        returned.set()
        connections.close_all()

    listening = Thread(target=listen)
    listening.start()
    assert eventually(lambda: (wake("default"), returned.is_set())[1], 20)
    listening.join(10)


def test_waking_waits_for_the_commit(broker):
    listen = connections["default"].copy()
    try:
        with listen.cursor() as cursor:
            cursor.execute("LISTEN scalekit_queue")
        with transaction.atomic():
            wake("default")
            assert not list(listen.connection.notifies(timeout=0.2, stop_after=1))
        assert list(listen.connection.notifies(timeout=10, stop_after=1))
    finally:
        listen.close()


# The broker's dead letters


def test_dead_letters_imported_by_two_at_once_are_one_row_each(broker):
    for number in range(40):
        call_out.send(f"dead {number}")
    _bury_all(broker)
    _bury_raw(broker, b"\xffno message")
    start = Barrier(2)

    def run():
        start.wait(10)
        import_dead("default")

    in_threads(2, run)
    rows = TaskRecord.objects.filter(status=Status.FAILED)
    args = sorted(rows.exclude(path="").values_list("args", flat=True))
    assert args == sorted([f"dead {number}"] for number in range(40))
    assert rows.get(path="").raw == "\\xffno message"
    assert broker.stats(["default"])["default"].dead == 0


def _bury_all(broker):
    consumer = broker.consume("default", prefetch=100, timeout=1000)
    while (message := next(consumer)) is not None:
        consumer.nack(message)
    consumer.close()


def _bury_raw(broker, raw):
    """Write a dead letter, as whoever can reach the broker may."""
    name = f"{broker.namespace}:default.XQ"
    broker.client.hset(f"{name}.msgs", "forged", raw)
    broker.client.zadd(name, {"forged": time.time() * 1000})


# What a request wrote is there for its job, however the message travels


class TestReplicas:
    @pytest.fixture
    def lagging(self, postgres_replicas):
        """Give a replica that shows what is written a minute later."""
        replica = postgres_replicas[0]
        replica.catch_up()
        replica.delay_replay(60)
        yield replica
        replica.delay_replay(0)

    @pytest.fixture
    def queue_databases(self, queue_database, lagging):
        engine = {"ENGINE": "scalekit.db.backends.postgresql"}
        replica = lagging.django_settings(NAME=queue_database["NAME"])
        return {
            "default": {**queue_database, **engine},
            "replica": {**replica, **engine, "SCALEKIT": {"REPLICA_OF": "default"}},
        }

    @pytest.fixture
    def queue_settings(self):
        return {
            "INSTALLED_APPS": [
                "scalekit.db",
                "scalekit.queue",
                "tests.integration.queue.project",
                "tests.integration.queue.readers",
            ],
            "MIDDLEWARE": ["scalekit.db.middleware.ReadYourWrites"],
            "DATABASE_ROUTERS": ["scalekit.db.router.Router"],
            "SCALEKIT_DB_MAX_LAG": 90,
            "SCALEKIT_DB_PIN_SECONDS": 120,
        }

    @pytest.mark.parametrize("name", ["with_a_record", "without_a_record"])
    def test_job_published_by_the_relay_reads_what_its_request_wrote(
        self, broker, start_relay, start_worker, journal, name
    ):
        from tests.integration.queue.readers import tasks

        with transaction.atomic(), connection.cursor() as cursor:
            row = new_row(getattr(tasks, name), ("Ann",), {})
            row.publish_at = LONG_AGO  # nobody but the relay
            outbox.put([row])
            cursor.execute("INSERT INTO effect (name) VALUES ('Ann')")
        start_worker().ready()
        start_relay().ready()
        assert eventually(lambda: len(journal()) == 2)  # the first attempt, and its retry
        assert set(journal()) == {"Ann: 1 here, 0 on the replica"}
