"""The database connections of workers, on a real PostgreSQL."""

from __future__ import annotations

import pytest

from scalekit.queue import enqueue_many
from tests.integration.queue.conftest import eventually
from tests.integration.queue.project.tasks import (
    affect,
    leave_autocommit_off,
    leave_transaction_open,
    note_connection,
    note_connection_of_async_code,
)

pytestmark = pytest.mark.servers


def test_jobs_use_one_connection_a_thread_also_from_async_code(broker, start_worker, journal):
    for _ in range(20):
        note_connection.enqueue()
        note_connection_of_async_code.enqueue()
    start_worker().ready()
    assert eventually(lambda: len(journal()) == 40)
    assert len(set(journal())) <= 2


def test_connection_that_the_server_closed_fails_no_job(
    broker, start_worker, journal, postgres_primary
):
    start_worker("--threads=1").ready()
    note_connection.enqueue()
    assert eventually(lambda: len(journal()) == 1)
    postgres_primary.execute("SELECT pg_terminate_backend(%s)", [int(journal()[0])])
    note_connection.enqueue()
    assert eventually(lambda: len(journal()) == 2)


def test_connection_is_closed_after_the_job_where_none_may_be_kept(
    queue_database, broker, start_worker, journal, postgres_primary
):
    queue_database["CONN_MAX_AGE"] = 0
    start_worker().ready()
    note_connection.enqueue()
    assert eventually(lambda: len(journal()) == 1)
    alive = "SELECT count(*) FROM pg_stat_activity WHERE pid = %s"
    assert eventually(lambda: postgres_primary.execute(alive, [int(journal()[0])]) == [(0,)])


COUNT = "SELECT count(*) FROM pg_stat_activity WHERE datname = %s AND pid != pg_backend_pid()"
END_ALL = """\
SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE datname = %s AND pid != pg_backend_pid()"""
FATE = ("status", "attempt", "publications", "publish_at - now()", "run_after - now()")
THREADS, SPARE = 8, 3  # beside the threads: leases, paused queues, and what finishes in batches


@pytest.fixture
def connections(queue_template, queue_database):
    """Give a function that runs a query about the connections to the database that are not this process's."""
    from django.db import connections

    def ask(sql):
        connections.close_all()
        return queue_template.execute(sql, [queue_database["NAME"]])

    return ask


def test_connections_stay_few_and_heal_when_the_server_ends_all_of_them(
    broker, start_worker, start_relay, journal, rows, connections
):
    """200 sync and 200 async jobs; all connections are ended in the middle. What met that is run again."""
    worker = start_worker(f"--threads={THREADS}").ready()
    for task in (note_connection, note_connection_of_async_code):
        enqueue_many(task, [()] * 200)
    most = 0
    for mark in (50, 200, 350):
        assert eventually(lambda mark=mark: len(journal()) >= mark, 60), worker.output
        most = max(most, connections(COUNT)[0][0])
        if mark == 50:
            connections(END_ALL)
    assert most <= THREADS + SPARE
    relay = start_relay()  # delivers the second attempts
    assert eventually(lambda: set(rows("status")) == {("SUCCESSFUL",)}, 60), (
        [row for row in rows(*FATE) if row[0] != "SUCCESSFUL"],
        relay.output,
    )


class TestPool:
    @pytest.fixture
    def queue_databases(self, queue_database):
        pool = {"min_size": 1, "max_size": THREADS + SPARE, "timeout": 10}
        return {"default": {**queue_database, "CONN_MAX_AGE": 0, "OPTIONS": {"pool": pool}}}

    def test_jobs_get_their_connections_from_a_pool(
        self, broker, start_worker, journal, rows, connections
    ):
        worker = start_worker(f"--threads={THREADS}").ready()
        for task in (note_connection, note_connection_of_async_code):
            enqueue_many(task, [()] * 50)
        assert eventually(lambda: len(journal()) == 100, 60), worker.output
        assert connections(COUNT)[0][0] <= THREADS + SPARE
        assert eventually(lambda: set(rows("status")) == {("SUCCESSFUL",)}, 30)

    def test_pool_in_which_threads_would_wait_for_each_other_is_refused(self, start_workers):
        workers = start_workers(f"--threads={THREADS + 1}")
        assert workers.wait() == 1
        assert 'Write "OPTIONS": {"pool": {"max_size": 12}}' in workers.output
        assert "Traceback" not in workers.output


@pytest.mark.parametrize("leave", [leave_transaction_open, leave_autocommit_off])
def test_transaction_that_a_job_left_open_holds_neither_its_record_nor_the_next_job(
    broker, start_worker, journal, effects, rows, leave
):
    start_worker("--threads=1").ready()
    leave.enqueue()
    assert eventually(lambda: journal() == ["left open"])
    affect.enqueue("of the next job")
    assert eventually(lambda: effects() == ["of the next job"])
    assert eventually(lambda: rows("status") == [("SUCCESSFUL",)] * 2)
