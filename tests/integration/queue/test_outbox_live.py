from __future__ import annotations

import statistics
import subprocess
import sys
import textwrap
import time
from concurrent.futures import ThreadPoolExecutor
from datetime import timedelta
from threading import Barrier

import pytest
from asgiref.sync import async_to_sync
from django.db import connection, connections, transaction
from django.test.utils import CaptureQueriesContext
from django.utils import timezone

from scalekit.queue import enqueue_many, fast_path, outbox
from scalekit.queue.ids import new_id
from scalekit.queue.models import TaskRecord
from scalekit.queue.records import new_row
from scalekit.queue.relay import relay
from scalekit.queue.storing import insert, insert_by_columns
from tests.integration.queue.processes import environment, eventually
from tests.integration.queue.project.tasks import affect, call_out, note
from tests.queue.databases import rolled_back

pytestmark = pytest.mark.servers

NOTICED = 0.25  # seconds; waiting for a broker takes longer, the moods of a busy machine do not


def waiting(broker):
    return broker.stats(["default"])["default"].ready


def test_enqueue_in_a_transaction_is_one_insert(broker):
    with transaction.atomic(), CaptureQueriesContext(connection) as queries:
        note.enqueue("x")
    inserts = [q["sql"] for q in queries if "INSERT" in q["sql"]]
    assert (len(queries), len(inserts)) == (1, 1)


def test_many_jobs_are_one_insert_one_publication_and_one_update(broker, monkeypatch):
    calls, enqueue = [], broker.enqueue_many
    monkeypatch.setattr(broker, "enqueue_many", lambda m: (calls.append(len(m)), enqueue(m)))
    with CaptureQueriesContext(connection) as queries:
        enqueue_many(note, [("x",)] * 1000)
    assert (len(queries), calls) == (2, [1000])
    assert waiting(broker) == 1000


@pytest.mark.parametrize("several", [False, True])
def test_all_ways_to_insert_write_the_same_row(broker, several):
    when, group = timezone.now() + timedelta(hours=1), new_id()
    quick, slow = (_awkward_rows(when, group, several) for _ in range(2))
    insert(quick, "default", 2.0)
    insert_by_columns(slow, "default", 2.0)
    for mine, other in zip(quick, slow, strict=True):
        one, another = (
            TaskRecord.objects.filter(pk=row.pk).values().get() for row in (mine, other)
        )
        for told in ("id", "enqueued_at", "publish_at"):
            del another[told]
        assert {name: one[name] for name in another} == another
        assert (mine.enqueued_at, mine.publish_at) == (one["enqueued_at"], one["publish_at"])
        assert mine._state.db == "default"
    head_start = quick[0].publish_at - quick[0].enqueued_at
    assert round(head_start.total_seconds(), 1) == 2.0


def _awkward_rows(when, group, several):
    rows = [new_row(note, ("Zoë 'x' \\u0000 %s",), {"a": [1.5, None]})]
    if several:
        rows.append(new_row(note.using(run_after=when, priority=7), (), {}))
        rows[1].publish_at, rows[1].group, rows[1].kept = when, group, False
    return rows


def test_rollback_leaves_nothing_anywhere(broker, rows):
    with rolled_back():
        note.enqueue("x")
        call_out.send("x")
        with transaction.atomic():
            enqueue_many(note, [("x",)] * 3)
    outbox.put([])
    assert (rows("id"), waiting(broker)) == ([], 0)


def test_async_code_enqueues(broker, rows):
    async_to_sync(note.aenqueue)("x")
    assert (len(rows("id")), waiting(broker)) == (1, 1)


def test_threads_that_enqueue_at_once_each_publish_their_own(broker, rows):
    start = Barrier(8)

    def enqueue(number):
        start.wait()
        with transaction.atomic():
            note.enqueue(number)
        connections.close_all()

    with ThreadPoolExecutor(8) as pool:
        list(pool.map(enqueue, range(8)))
    assert (len(rows("id")), waiting(broker)) == (8, 8)


def test_two_hundred_that_enqueue_the_same_unique_job_are_one(broker, rows):
    start = Barrier(20)

    def enqueue(_):
        row = new_row(note, ("x",), {})
        row.unique_key = "the same"
        start.wait()
        with transaction.atomic():
            holder = outbox.put_unique(row)
        connections.close_all()
        return holder.pk

    with ThreadPoolExecutor(20) as pool:
        holders = set(pool.map(enqueue, range(200)))
    assert (len(rows("id")), len(holders), waiting(broker)) == (1, 1, 1)


DIES_IN_ON_COMMIT = """
    import os, django
    django.setup()
    from django.db import transaction
    from tests.integration.queue.project.tasks import affect
    with transaction.atomic():
        transaction.on_commit(lambda: os._exit(9))
        affect.enqueue("survived")
"""


def test_process_that_dies_between_commit_and_publication_loses_nothing(
    broker, queue_databases, broker_entry, start_worker, start_relay, effects
):
    env = environment(queue_databases, broker_entry, JOURNAL="/dev/null")
    program = [sys.executable, "-c", textwrap.dedent(DIES_IN_ON_COMMIT)]
    assert subprocess.run(program, env=env, check=False).returncode == 9
    assert (TaskRecord.objects.get().status, waiting(broker)) == ("READY", 0)
    start_worker().ready()
    start_relay().ready()
    assert eventually(lambda: effects() == ["survived"])


def test_thousand_requests_while_the_broker_is_dead(
    broker, own_valkey, start_worker, start_relay, effects, rows
):
    usual = [_request(n) for n in range(100)]
    own_valkey.kill()
    outage = [_request(n) for n in range(100, 1100)]
    assert _p95(outage) < _p95(usual) + NOTICED
    assert len(rows("id")) == 1100
    own_valkey.start()
    start_worker("--threads=4").ready()
    start_relay().ready()
    # What the dead broker had taken with it too: nobody has claimed that.
    TaskRecord.objects.filter(publications=0).update(publish_at="2000-01-01T00:00Z")
    assert eventually(lambda: len(set(effects())) == 1100, 60)
    assert eventually(lambda: {s for (s,) in rows("status")} == {"SUCCESSFUL"}, 20)
    assert len(effects()) == 1100


def _request(number):
    """Return the seconds that a request takes which writes and enqueues."""
    began = time.perf_counter()
    with transaction.atomic():
        affect.enqueue(f"request {number}")
    return time.perf_counter() - began


def _p95(seconds):
    return statistics.quantiles(seconds, n=20)[-1]


def test_broker_that_hangs_delays_one_request_and_then_a_probe_now_and_then(broker, own_valkey):
    usual = [_request(n) for n in range(50)]
    with own_valkey.frozen():
        first, *others = [_request(n) for n in range(200)]
    assert _p95(others) < _p95(usual) + NOTICED
    assert max(others) < first


def test_fast_path_and_relay_never_publish_the_same_job(broker, monkeypatch):
    """The row of a long transaction is due for the relay as soon as it can be seen."""
    monkeypatch.setattr(fast_path, "HEAD_START", 0.0)
    monkeypatch.setattr(outbox, "HEAD_START", 0.0)
    meet, claim = Barrier(2), fast_path.claim_unpublished

    def claim_at_once(*args):
        meet.wait(10)
        return claim(*args)

    monkeypatch.setattr(fast_path, "claim_unpublished", claim_at_once)

    def race():
        meet.wait(10)
        relay("default")

    with ThreadPoolExecutor(1) as pool:
        for number in range(25):
            racing = pool.submit(race)
            with transaction.atomic():
                note.enqueue(number)
            racing.result()
        pool.submit(connections.close_all).result()
    relay("default")
    assert waiting(broker) == 25


@pytest.fixture
def two_databases(new_queue_database):
    return {"default": new_queue_database(), "shard": new_queue_database()}


class TestTwoDatabases:
    @pytest.fixture
    def queue_databases(self, two_databases):
        return two_databases

    @pytest.fixture
    def queue_settings(self):
        return {"SCALEKIT_QUEUE_DATABASES": ["default", "shard"]}

    def test_rollback_on_either_leaves_no_row_and_no_message(self, broker):
        for alias in ("default", "shard"):
            with rolled_back(alias):
                note.enqueue("x")
            with transaction.atomic(using=alias), rolled_back(alias):
                note.enqueue("x")
        counts = [TaskRecord.objects.using(a).count() for a in ("default", "shard")]
        assert (counts, waiting(broker)) == ([0, 0], 0)

    def test_relay_and_worker_serve_both(self, broker, start_worker, start_relay, journal):
        for alias in ("default", "shard"):
            row = new_row(note, (alias,), {})
            row.publish_at = "2000-01-01T00:00Z"
            outbox.put([row], using=alias)
        with transaction.atomic(using="shard"):
            note.enqueue("by the fast path")
        start_worker().ready()
        start_relay().ready()
        wanted = {"default", "shard", "by the fast path"}
        assert eventually(lambda: set(journal()) == wanted)
        ended = TaskRecord.objects.using("shard").filter(status="SUCCESSFUL")
        assert eventually(lambda: ended.count() == 2)
