"""kill -9 at the worst moment: nothing that was to follow is lost, and nothing comes twice."""

from __future__ import annotations

import itertools
import json
import subprocess
import sys

import pytest
from dramatiq.middleware import SkipMessage

from scalekit.queue import group, pipeline, step
from scalekit.queue.limits import Limits
from scalekit.queue.limits.admission import Admission, Applicant, admit, leave
from scalekit.queue.limits.places import keeper
from scalekit.queue.models import TaskRecord
from tests.integration.queue.processes import environment, eventually
from tests.queue.flow_tasks import add, call_back
from tests.queue.playing import called, succeed, waiting

pytestmark = [pytest.mark.servers, pytest.mark.usefixtures("broker")]

SPANS = """\
CREATE TABLE span
    (id bigserial PRIMARY KEY, name text NOT NULL DEFAULT '', began timestamptz NOT NULL, ended timestamptz)"""
AT_ONCE = """\
SELECT max((SELECT count(*) FROM span other
            WHERE other.name = span.name AND other.began <= span.began AND other.ended > span.began))
FROM span"""
# Of jobs that may begin one after the other from a time on, those that began before their turn.
EARLY = """\
SELECT * FROM (SELECT began, row_number() OVER (ORDER BY began) - 1 AS place, began - %s AS after, 1.0 / %s AS spacing
                 FROM span WHERE name = %s) AS jobs
 WHERE after < make_interval(secs => place * spacing - 0.05)"""


@pytest.fixture
def broker_entry():
    return {"BACKEND": "scalekit.queue.brokers.memory.MemoryBroker"}


@pytest.fixture
def queue_settings():
    return {"SCALEKIT_QUEUE_LEASE_SECONDS": 2}


@pytest.fixture
def spawn(tmp_path, broker_entry, queue_databases, queue_settings):
    """Give a function that starts a process which is killed with the test, and waits for what it says first."""
    settings = json.dumps(queue_settings)
    env = environment(queue_databases, broker_entry, QUEUE_SETTINGS=settings, JOURNAL="/dev/null")
    started, numbers = [], itertools.count()

    def start(*args):
        path = tmp_path / f"limited-{next(numbers)}.log"
        argv = [sys.executable, "-m", "tests.integration.queue.limited_process", *map(str, args)]
        with path.open("wb") as log:
            process = subprocess.Popen(argv, env=env, stdout=log, stderr=subprocess.STDOUT)
        started.append(process)
        assert eventually(lambda: path.read_text() or process.poll() is not None, 30)
        process.said = path.read_text
        return process

    yield start
    for process in started:
        process.kill()
        process.wait()


def stopped_in_between(process):
    return eventually(lambda: "in between" in process.said(), 30)


@pytest.mark.parametrize("when", ["before", "after"])
def test_worker_that_dies_between_the_end_and_the_callback_has_ended_nothing(spawn, when):
    found = group([step(add, 1), step(add, 2)]).enqueue(on_finish=step(call_back, "over"))
    first, second = waiting("add")
    succeed(first)
    process = spawn("end", second.pk, when)
    assert stopped_in_between(process), process.said()
    process.kill()
    process.wait()

    second.refresh_from_db()
    found.refresh()
    assert (second.status, found.pending, called("call_back")) == ("RUNNING", 1, [])
    assert eventually(lambda: _is_taken_over(second), 30)
    assert called("call_back") == [[found.id, "over"]]
    found.refresh()
    assert found.pending == 0


def test_worker_that_dies_between_two_steps_is_followed_by_the_second_once(spawn):
    pipeline(step(add, 1), step(add, 2)).enqueue()
    [first] = waiting("add")
    process = spawn("end", first.pk, "after")
    assert stopped_in_between(process), process.said()
    process.kill()
    process.wait()
    assert eventually(lambda: _is_taken_over(first), 30)
    assert called("add") == [[None, 2]]


def _is_taken_over(row):
    """Do what the next worker does with the message: nothing until the lease is over, then run it."""
    try:
        succeed(TaskRecord.objects.get(pk=row.pk))
    except SkipMessage:
        return False
    return True


def test_place_of_a_worker_that_was_killed_is_free_after_its_lease(spawn):
    limits = Limits("one", "one", concurrency=1)
    process = spawn("hold", "one", 1)
    assert stopped_in_between(process), process.said()
    # For longer than a lease: it is kept as long as its holder lives.
    assert not eventually(lambda: _gets_a_place(limits), 3)
    process.kill()
    process.wait()
    assert eventually(lambda: _gets_a_place(limits), 15)
    keeper.stop()


def _gets_a_place(limits):
    found = admit(limits, Applicant("other", has_waited=True))
    if isinstance(found, Admission):
        leave(limits, found.place)
    return isinstance(found, Admission)


@pytest.fixture
def spans(queue_template, queue_database):
    """Give a function that asks what is in the table of when jobs were on."""
    name = queue_database["NAME"]
    queue_template.execute(SPANS, database=name)
    return lambda sql, params=(): queue_template.execute(sql, params, database=name)


# A process that is held up for as long as its lease loses its place, as it should; this is not about that.
@pytest.mark.parametrize("queue_settings", [{"SCALEKIT_QUEUE_LEASE_SECONDS": 30}])
def test_four_processes_together_keep_to_the_concurrency_limit_and_to_the_rate(spawn, spans):
    process = spawn("run", 4, "3", "20/s")
    assert process.wait(60) == 0, process.said()
    [[at_once]] = spans(f"{AT_ONCE} WHERE name = '3'")
    [[jobs]] = spans("SELECT count(*) FROM span WHERE name = '3'")
    assert at_once <= 3
    assert jobs > 12

    assert spans("SELECT count(*) > 12 FROM span WHERE name = '20/s'") == [(True,)]
    before = spans("SELECT min(began) FROM span WHERE name = 'before 20/s'")[0][0]
    assert spans(EARLY, [before, 20, "20/s"]) == []
