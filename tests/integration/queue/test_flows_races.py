"""What comes after jobs that end, are cancelled or begin at the same instant, on a real PostgreSQL."""

from __future__ import annotations

import threading
from contextlib import contextmanager

import pytest
from django.db import connection, transaction
from django.test.utils import CaptureQueriesContext
from dramatiq.middleware import SkipMessage

from scalekit.queue import cancel, group, once, pipeline, records, step
from scalekit.queue.dead_letters import find, requeue
from scalekit.queue.flows import members
from scalekit.queue.housekeeping import forget_groups
from scalekit.queue.models import Status, TaskGroup, TaskRecord
from scalekit.queue.records.steps import Ending
from tests.integration.queue.conftest import eventually
from tests.queue.dead import dead_letters
from tests.queue.flow_tasks import add, call_back, total
from tests.queue.playing import begin, called, die, succeed, waiting

pytestmark = [pytest.mark.servers, pytest.mark.usefixtures("broker")]

WAITING = "SELECT count(*) FROM pg_stat_activity WHERE datname = %s AND wait_event_type = 'Lock'"


@pytest.fixture
def broker_entry():
    return {"BACKEND": "scalekit.queue.brokers.memory.MemoryBroker"}


@pytest.fixture
def meanwhile(queue_template, queue_database):
    """Give a block that begins `func` on another thread and returns once it waits for a lock of ours.

    The answer of `func` is in the list that the block gives, once it is over.
    """

    @contextmanager
    def run(func):
        answers = []
        thread = threading.Thread(target=_answering, args=(func, answers))
        with transaction.atomic():
            yield lambda: _started(thread, queue_template, queue_database["NAME"]), answers
        thread.join(20)
        assert not thread.is_alive()

    return run


def _started(thread, server, database):
    thread.start()
    assert eventually(lambda: server.execute(WAITING, [database]) == [(1,)])


def _answering(func, answers):
    try:
        answers.append(func())
    except Exception as error:  # noqa: BLE001 - the test looks at it
        answers.append(error)
    finally:
        connection.close()


def test_members_that_end_at_the_same_instant_call_back_once(meanwhile):
    found = group([step(add, 1), step(add, 2)]).enqueue(on_finish=step(call_back, "over"))
    first, second = waiting("add")
    with meanwhile(lambda: succeed(second, value=2)) as (begin_other, _):
        succeed(first, value=1)
        begin_other()
        assert called("call_back") == []  # neither sees the other's end yet
    assert called("call_back") == [[found.id, "over"]]
    assert found.values() == [1, 2]


def test_members_that_end_on_many_threads_call_back_once():
    found = group([step(add, n) for n in range(16)]).enqueue(on_finish=step(call_back, "over"))
    barrier = threading.Barrier(8)

    def end(rows):
        barrier.wait(20)
        for row in rows:
            succeed(row, value=row.args[0])
        connection.close()

    rows = waiting("add")
    threads = [threading.Thread(target=end, args=(rows[n::8],)) for n in range(8)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(30)
    assert called("call_back") == [[found.id, "over"]]
    assert found.values() == list(range(16))


def test_members_of_many_groups_that_end_together_are_told_apart():
    """In one statement: what is the last of its group is left to the way that sends what follows."""
    wide = group([step(add, n) for n in range(4)]).enqueue()
    narrow = group([step(add, n) for n in range(2)]).enqueue()
    jobs = [begin(row) for row in waiting("add")]
    endings = [Ending(job.record, {"status": "SUCCESSFUL", "return_value": 1}) for job in jobs]
    answers = members._write("default", [*endings[:3], *endings[4:]])
    assert [answer is not None for answer in answers] == [True] * 3 + [False] * 2
    for found in (wide, narrow):
        found.refresh()
    assert (wide.pending, narrow.pending) == (1, 2)
    assert TaskRecord.objects.filter(status=Status.SUCCESSFUL).count() == 3


def test_member_that_is_another_worker_s_by_now_is_not_counted():
    found = group([step(add, n) for n in range(3)]).enqueue()
    job = begin(waiting("add")[0])
    TaskRecord.objects.filter(pk=job.record.pk).update(attempt=2)
    assert not records.finish(job, value=1)
    found.refresh()
    assert found.pending == 3


def test_member_whose_end_is_written_again_after_a_lost_answer_counts_once():
    found = group([step(add, n) for n in range(3)]).enqueue()
    job = begin(waiting("add")[0])
    assert records.finish(job, value=1)
    assert records.finish(job, value=1)
    found.refresh()
    assert found.pending == 2


def test_last_member_whose_end_is_rolled_back_calls_nobody(meanwhile):
    found = group([step(add, 1), step(add, 2)]).enqueue(on_finish=step(call_back, "over"))
    first, second = waiting("add")
    succeed(first)
    with meanwhile(lambda: succeed(second, value=2)) as (begin_other, _):
        succeed(second)
        assert called("call_back") == [[found.id, "over"]]
        begin_other()
        transaction.set_rollback(True)
    assert called("call_back") == [[found.id, "over"]]  # of the second attempt alone
    found.refresh()
    assert found.pending == 0


def test_thousand_members_take_a_handful_of_statements():
    with CaptureQueriesContext(connection) as begun:
        found = pipeline(group([step(add, n) for n in range(1000)]), step(total)).enqueue()
    assert len(begun) < 15
    TaskRecord.objects.filter(path=add.module_path).exclude(args=[999]).update(
        status=Status.SUCCESSFUL, return_value=1
    )
    inner, last = found.results()[0], waiting("add")[0]
    TaskGroup.objects.filter(pk=inner.id).update(pending=1)
    with CaptureQueriesContext(connection) as ended:
        succeed(last, value=1)
    assert len(ended) < 25
    assert called("total") == [[[1] * 1000]]


@pytest.fixture
def two_groups():
    """Give two groups, that with the smaller id first, of each of which one member is dead."""
    ids = [group([step(add, n) for n in range(3)]).enqueue().id for _ in range(2)]
    for id_ in sorted(ids):
        die(TaskRecord.objects.filter(group=id_).first())
    return [TaskGroup.objects.filter(pk=id_) for id_ in sorted(ids)]


def _requeue_all():
    return sum(batch.done for batch in requeue(next(find())))


def _end_one_of_each():
    rows = {row.group: row for row in waiting("add")}
    ending = {"status": "SUCCESSFUL", "return_value": 1}
    jobs = [begin(row) for _, row in sorted(rows.items())]
    return len(members._write("default", [Ending(job.record, ending) for job in jobs]))


@pytest.mark.parametrize("act", [_requeue_all, _end_one_of_each])
def test_groups_are_locked_from_the_inner_to_the_outer_by_all(two_groups, meanwhile, act):
    outer, inner = two_groups
    with meanwhile(act) as (begin_other, answers):
        inner.update(size=3)  # as a worker does that ends it
        begin_other()
        outer.update(size=3)  # and then the one around it: in another order, this were a deadlock
    assert answers == [2]


def test_unique_keys_are_taken_back_in_one_order_by_all(meanwhile):
    rivals = {key: dead_letters(status=Status.READY)[0] for key in "ab"}
    for key in "ba":
        dead_letters(options={"unique": {"key": key, "for": 60}})
    with meanwhile(_requeue_all) as (begin_other, answers):
        for key, rival in rivals.items():
            TaskRecord.objects.filter(pk=rival.pk).update(unique_key=key)
            if key == "a":
                begin_other()
    assert answers == [0]


def test_cancel_that_comes_while_the_job_ends_is_too_late(meanwhile):
    job = begin(_row(add.enqueue(1)))
    with meanwhile(lambda: cancel(job.message.message_id)) as (begin_other, answers):
        records.finish(job, value=1)
        begin_other()
    assert answers == [False]
    assert TaskRecord.objects.get().status == Status.SUCCESSFUL


def test_job_that_is_cancelled_while_a_worker_takes_it_does_not_run(meanwhile):
    row = _row(add.enqueue(1))
    with meanwhile(lambda: begin(row)) as (begin_other, answers):
        cancel(row.pk)
        begin_other()
    assert isinstance(answers[0], SkipMessage)
    assert TaskRecord.objects.get().status == Status.FAILED


def test_job_that_a_worker_takes_while_it_is_cancelled_is_asked_to_stop(meanwhile):
    row = _row(add.enqueue(1))
    with meanwhile(lambda: cancel(row.pk)) as (begin_other, answers):
        begin(row)
        begin_other()
    assert answers == [True]
    row.refresh_from_db()
    assert (row.status, row.cancel_asked) == (Status.RUNNING, True)


def _row(result):
    return TaskRecord.objects.get(pk=result.id)


def _once(key):
    with transaction.atomic():
        return once(key=key)


def test_second_of_two_effects_waits_for_the_first_and_is_left_out(meanwhile):
    with meanwhile(lambda: _once("charge")) as (begin_other, answers):
        assert once(key="charge")
        begin_other()
        assert answers == []
    assert answers == [False]


def test_second_of_two_effects_happens_if_the_first_is_rolled_back(meanwhile):
    with meanwhile(lambda: _once("charge")) as (begin_other, answers):
        assert once(key="charge")
        begin_other()
        transaction.set_rollback(True)
    assert answers == [True]


def test_other_effects_do_not_wait():
    with transaction.atomic():
        assert once(key="charge")
        answers = []
        thread = threading.Thread(target=_answering, args=(lambda: _once("mail"), answers))
        thread.start()
        thread.join(20)
        assert answers == [True]


def test_groups_are_forgotten_in_the_order_in_which_others_lock_them(meanwhile, settings):
    """Else the two wait for each other, and one of them is rolled back: a deadlock."""
    settings.SCALEKIT_QUEUE_KEEP_SUCCESSFUL_SECONDS = 1
    group([group([]), group([])]).enqueue()
    outer, *_, last = ids = list(TaskGroup.objects.order_by("pk").values_list("pk", flat=True))
    for pk in ids:  # they lie on the disk in this order, in which a DELETE comes upon them
        TaskGroup.objects.filter(pk=pk).update(finished_at="2020-01-01T00:00Z")
    with meanwhile(lambda: forget_groups("default")) as (begin_other, answers):
        lock(last)
        begin_other()
        lock(outer)
    assert answers == [None]
    assert not TaskGroup.objects.exists()


def lock(pk):
    TaskGroup.objects.select_for_update().get(pk=pk)
