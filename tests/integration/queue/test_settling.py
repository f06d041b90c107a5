"""Jobs whose ends are not written yet: the row of one is locked, so whoever writes it has to wait."""

from __future__ import annotations

import threading
from collections import defaultdict
from concurrent.futures import ThreadPoolExecutor

import psycopg
import pytest
from django.db import connection

from scalekit.queue import task
from scalekit.queue.events import JOB_FINISHED
from scalekit.queue.facts import JOB_ID
from scalekit.queue.frameworks import framework
from scalekit.queue.gate import Gate
from scalekit.queue.leases import held
from scalekit.queue.workers import QueueWorker, declare
from scalekit.testing.fakes import captured_events
from tests.integration.queue.conftest import eventually

pytestmark = pytest.mark.servers

begun: dict[str, threading.Event] = defaultdict(threading.Event)
released: dict[str, threading.Event] = defaultdict(threading.Event)


@task
def hold(name):
    begun[name].set()
    assert released[name].wait(20)
    return name


@pytest.fixture
def hold_jobs(broker):
    """Give a function that enqueues jobs by name, waits until all run, and returns their results by name."""
    begun.clear()
    released.clear()

    def start(*names):
        results = {name: hold.enqueue(name) for name in names}
        assert all(begun[name].wait(20) for name in names)
        return results

    yield start
    for event in released.values():
        event.set()


@pytest.fixture
def worker(broker):
    """Give a worker of three threads in this process."""
    gate = Gate()
    gate.pause(frozenset())
    worker = QueueWorker(broker, declare(broker), 3, gate)
    worker.start()
    yield worker
    worker.drain(lambda: True)


@pytest.fixture
def sql(queue_template, queue_database):
    return lambda text: queue_template.execute(text, database=queue_database["NAME"])


@pytest.fixture
def locked(queue_template, queue_database):
    """Give a connection that locks rows of jobs, until it rolls back."""
    with psycopg.connect(queue_template.dsn, dbname=queue_database["NAME"]) as connection:
        yield connection
        connection.rollback()


@pytest.fixture
def stall(worker, hold_jobs, locked, sql):
    """Give a function that lets the end of a job be waited for, and returns its result."""

    def end(name):
        result = hold_jobs(name)[name]
        locked.execute(
            "SELECT 1 FROM scalekit_queue_taskrecord WHERE id = %s FOR UPDATE", [result.id]
        )
        released[name].set()
        assert eventually(lambda: sql(BLOCKED))
        return result

    return end


BLOCKED = """\
SELECT pid FROM pg_stat_activity WHERE datname = current_database() AND wait_event_type = 'Lock'"""


def statuses(results):
    for result in results.values():
        result.refresh()
    return {name: result.status.name for name, result in results.items()}


def in_flight(broker):
    return broker.stats(["default"])["default"].in_flight


def test_thread_runs_other_jobs_while_the_end_of_its_last_one_waits(stall, hold_jobs, locked):
    """Two threads are left, and four more jobs begin: none waits for the end of another."""
    stall("first")
    hold_jobs("a", "b")
    for name in ("a", "b"):
        released[name].set()
    later = hold_jobs("c", "d")
    assert statuses(later) == {"c": "RUNNING", "d": "RUNNING"}


def test_ends_that_come_meanwhile_are_written_by_the_one_that_had_to_wait(stall, hold_jobs, locked):
    first = stall("first")
    others = hold_jobs("a", "b")
    released["a"].set()
    hold_jobs("c")  # on the thread of a, whose end it has left
    assert statuses(others) == {"a": "RUNNING", "b": "RUNNING"}
    locked.rollback()
    everyone = {"first": first, "a": others["a"]}
    assert eventually(lambda: set(statuses(everyone).values()) == {"SUCCESSFUL"})
    assert {name: result.return_value for name, result in everyone.items()} == {
        name: name for name in everyone
    }


def test_no_more_jobs_begin_when_twice_as_many_ends_are_unwritten_as_there_are_threads(
    stall, hold_jobs, worker, locked
):
    """What a killed worker would leave to be run again stays bounded, however slow the database is."""
    stall("first")
    for pair in ("ab", "cd", "ef"):
        hold_jobs(*pair)
        for name in pair:
            released[name].set()
    line = worker.settling._lines["default"]
    assert eventually(lambda: line._unwritten == 7)
    hold.enqueue("g")
    assert not begun["g"].wait(0.3)
    locked.rollback()
    assert begun["g"].wait(20)


def test_message_is_acknowledged_after_the_end_is_written(stall, broker, locked):
    first = stall("first")
    assert in_flight(broker) == 1
    locked.rollback()
    assert eventually(lambda: in_flight(broker) == 0)
    assert statuses({"first": first}) == {"first": "SUCCESSFUL"}


def test_late_end_is_refused_and_harms_no_neighbour(stall, hold_jobs, locked, sql):
    first = stall("first")
    others = hold_jobs("late", "other")
    sql(f"UPDATE scalekit_queue_taskrecord SET attempt = 2 WHERE id = '{others['late'].id}'")
    with captured_events("queue_completion_rejected") as refused:
        for name in others:
            released[name].set()
        locked.rollback()
        assert eventually(lambda: len(refused) == 1)
        expected = {"first": "SUCCESSFUL", "late": "RUNNING", "other": "SUCCESSFUL"}
        assert eventually(lambda: statuses({"first": first, **others}) == expected)


def test_each_job_is_announced_with_its_own_facts(stall, hold_jobs, locked):
    said = []
    undo = JOB_FINISHED.subscribe(lambda _, facts: said.append((JOB_ID.get(), facts["outcome"])))
    jobs = {"first": stall("first"), **hold_jobs("a", "b")}
    for name in jobs:
        released[name].set()
    locked.rollback()
    assert eventually(lambda: len(said) == 3)
    undo()
    assert sorted(said) == sorted((result.id, "succeeded") for result in jobs.values())


def test_receivers_that_query_and_fail_keep_no_message_and_no_neighbour(
    stall, hold_jobs, broker, locked
):
    said = []

    def ask_and_fail(task_result, **_):
        said.append(hold.get_result(task_result.id).status.name)
        raise ZeroDivisionError

    finished = framework().signals.task_finished
    finished.connect(ask_and_fail)
    try:
        jobs = {"first": stall("first"), **hold_jobs("a", "b")}
        for name in jobs:
            released[name].set()
        locked.rollback()
        assert eventually(lambda: in_flight(broker) == 0)
    finally:
        finished.disconnect(ask_and_fail)
    assert said == ["SUCCESSFUL"] * 3
    assert set(statuses(jobs).values()) == {"SUCCESSFUL"}


def test_end_is_written_although_the_server_closed_the_connection(stall, locked, sql):
    first = stall("first")
    sql(f"SELECT pg_terminate_backend(pid) FROM ({BLOCKED}) AS blocked")
    locked.rollback()
    assert eventually(lambda: statuses({"first": first}) == {"first": "SUCCESSFUL"})


@pytest.fixture
def cut_off(queue_template, queue_database):
    """Let nobody into the database; give what ends that."""
    name = queue_database["NAME"]

    def let_in(answer):
        queue_template.execute(f"ALTER DATABASE {name} ALLOW_CONNECTIONS {answer}")

    def cut():
        let_in("false")
        queue_template.execute(
            f"SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE datname = '{name}'"
        )
        connection.close()  # that of this thread is gone with the others

    yield cut, lambda: let_in("true")
    let_in("true")


def test_ends_that_an_outage_has_kept_are_written_once_when_it_is_over(
    worker, hold_jobs, cut_off, rows, caplog
):
    """Of three threads, one has all three in hand, or each its own: none may forget what it could not write."""
    begin, end = cut_off
    hold_jobs("a", "b", "c")
    begin()
    for name in "abc":
        released[name].set()
    assert eventually(lambda: "The job waits" in caplog.text)
    assert len(held.of("default")) == 3  # their leases are kept, as soon as that can be
    end()
    expected = [("SUCCESSFUL", 1, 0)] * 3
    assert eventually(lambda: rows("status", "attempt", "deaths") == expected)
    assert eventually(lambda: held.of("default") == [])


def test_ends_are_written_while_the_broker_is_down(
    own_valkey, worker, hold_jobs, rows, monkeypatch
):
    """Who wrote the last ones waits for the broker, to acknowledge them: the next are written by others."""
    monkeypatch.setattr("dramatiq.worker.POST_PROCESS_MESSAGE_RETRY_DELAY_SECS", 0.2)
    hold_jobs("a", "b", "c")
    own_valkey.kill()
    try:
        for number, name in enumerate("abc", 1):
            released[name].set()
            expected = [("SUCCESSFUL",)] * number + [("RUNNING",)] * (3 - number)
            assert eventually(
                lambda expected=expected: sorted(rows("status"), reverse=True) == expected
            )
    finally:
        own_valkey.start()


def test_worker_drains_when_all_ends_are_written(stall, worker, locked):
    first = stall("first")
    with ThreadPoolExecutor(1) as pool:
        draining = pool.submit(worker.drain, lambda: True)
        assert statuses({"first": first}) == {"first": "RUNNING"}
        locked.rollback()
        assert draining.result(20)
    assert statuses({"first": first}) == {"first": "SUCCESSFUL"}
