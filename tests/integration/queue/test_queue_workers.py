"""Worker processes against a real Valkey."""

from __future__ import annotations

import json
import signal

import pytest

from tests.integration.queue.conftest import eventually
from tests.integration.queue.project.tasks import (
    VISITOR,
    call_out,
    note,
    note_id,
    recall,
    think,
    work,
)

pytestmark = pytest.mark.servers


def test_tasks_async_tasks_and_actors_run_with_their_ids_and_the_facts_of_the_caller(
    broker, start_worker, journal
):
    note.enqueue("sync")
    think.enqueue("async")
    call_out.send("actor")
    id_ = note_id.enqueue().id
    with VISITOR.bind("ada"):
        recall.enqueue()
    start_worker().ready()
    facts = json.dumps({"test_visitor": "ada"})
    assert eventually(lambda: set(journal()) == {"sync", "async", "ACTOR", id_, facts})


def test_only_the_chosen_queues_are_run(broker, start_worker, journal):
    note.enqueue("default")
    note.using(queue_name="mail").enqueue("mail")
    worker = start_worker("--queues", "mail").ready()
    assert eventually(lambda: journal() == ["mail"])
    worker.process.terminate()
    assert worker.wait() == 0
    assert journal() == ["mail"]


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGINT])
def test_running_job_finishes_before_the_worker_stops(broker, start_worker, journal, number):
    worker = start_worker().ready()
    work.enqueue(1.0)
    assert eventually(lambda: journal() == ["begun"])
    worker.process.send_signal(number)
    assert worker.wait() == 0, worker.output
    assert journal() == ["begun", "finished"]


def test_waiting_jobs_are_left_to_the_next_worker(broker, start_worker, journal):
    worker = start_worker("--threads=1").ready()
    work.enqueue(1.0)
    assert eventually(lambda: journal() == ["begun"])
    for number in range(5):
        note.enqueue(number)
    worker.process.terminate()
    assert worker.wait() == 0
    assert journal() == ["begun", "finished"]
    start_worker().ready()
    assert eventually(lambda: len(journal()) == 7)


def test_job_that_does_not_finish_in_time_is_given_up(broker, start_worker, journal):
    worker = start_worker(QUEUE_DRAIN="0.3").ready()
    work.enqueue(60)
    assert eventually(lambda: journal() == ["begun"])
    worker.process.terminate()
    assert worker.wait() == 1
    assert "another worker will run them again" in worker.output


def test_second_interrupt_ends_at_once(broker, start_worker, journal):
    worker = start_worker(QUEUE_DRAIN="600").ready()
    work.enqueue(600)
    assert eventually(lambda: journal() == ["begun"])
    worker.process.send_signal(signal.SIGINT)
    assert eventually(lambda: "Stopping" in worker.output)
    worker.process.send_signal(signal.SIGINT)
    assert worker.wait() == 130


def test_worker_says_in_one_line_that_the_broker_is_not_there(options, start_worker):
    options["url"] = "redis://:secret@127.0.0.1:1/0"
    worker = start_worker()
    assert worker.wait() == 1
    assert worker.output.startswith("CommandError: The broker at 127.0.0.1:1/0 does not answer")
    assert worker.output.count("\n") == 1
    assert "secret" not in worker.output


def test_worker_refuses_no_threads(options, start_worker):
    worker = start_worker("--threads=0")
    assert worker.wait() == 2
    assert "0 is not a whole number from 1" in worker.output
