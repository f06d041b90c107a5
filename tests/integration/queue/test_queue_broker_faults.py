"""A broker that is down, hangs, or holds messages nobody should have written."""

from __future__ import annotations

import json
import time
from uuid import uuid4

import pytest
from django.db import transaction
from dramatiq import pipeline

from scalekit.core.events import events
from scalekit.queue.exceptions import BrokerUnreachable
from scalekit.queue.execution import task_actor
from scalekit.queue.gate import Gate
from scalekit.queue.workers import QueueWorker, declare
from scalekit.testing.fakes import captured_events
from tests.integration.queue.conftest import eventually
from tests.integration.queue.project.tasks import call_out, give_out, note, stumble

pytestmark = pytest.mark.servers


@pytest.fixture
def own_valkey(scalekit_servers):
    """Give a Valkey of this test's own, whose data outlives a kill -9."""
    return scalekit_servers.valkey(appendonly=True)


@pytest.fixture
def queue_settings():
    return {"SCALEKIT_QUEUE_MIN_BACKOFF": 0.05}


@pytest.fixture
def work_here(broker, tmp_path, monkeypatch):
    """Give a function that lets this process be a worker, where nothing has to die."""
    monkeypatch.setenv("JOURNAL", str(tmp_path / "journal"))
    workers = []

    def start():
        gate = Gate()
        gate.pause(frozenset())
        workers.append(QueueWorker(broker, declare(broker), 2, gate))
        workers[-1].start()

    yield start
    for worker in workers:
        worker.drain(lambda: True)


@pytest.fixture
def failed():
    """Give the ids of jobs that could not be published."""
    ids = []
    undo = events["queue_publish_failed"].subscribe(lambda _event, facts: ids.append(facts["id"]))
    yield ids
    undo()


class TestOwnBroker:
    @pytest.fixture
    def options(self, own_valkey):
        return {"url": own_valkey.url, "timeout": 0.5}

    def test_broker_down_at_commit_costs_the_write_nothing(self, broker, own_valkey, failed):
        own_valkey.kill()
        begin = time.monotonic()
        with transaction.atomic():
            result = note.enqueue("lost")
        assert failed == [result.id]
        assert time.monotonic() - begin < 1

    def test_broker_that_hangs_at_commit_delays_by_its_timeout(self, broker, own_valkey, failed):
        note.enqueue("warm")
        with own_valkey.frozen():
            begin = time.monotonic()
            with transaction.atomic():
                result = note.enqueue("perhaps")
            assert time.monotonic() - begin < 2
        assert failed == [result.id]

    def test_job_that_a_hanging_broker_did_not_confirm_is_run_once(
        self, broker, own_valkey, work_here, start_relay, journal
    ):
        """The broker has it after all, and the relay publishes it again: the second copy finds it claimed."""
        start_relay().ready()
        note.enqueue("warm")
        with own_valkey.frozen():
            note.enqueue("not confirmed")
        assert eventually(lambda: broker.client.llen("dramatiq:default") == 3)
        work_here()
        assert eventually(lambda: broker.client.hlen("dramatiq:default.msgs") == 0)
        assert sorted(journal()) == ["not confirmed", "warm"]

    def test_job_outside_a_transaction_waits_for_the_broker_too(
        self, broker, own_valkey, failed, work_here, start_relay, journal
    ):
        own_valkey.kill()
        result = note.enqueue("stored")
        assert failed == [result.id]
        own_valkey.start()
        start_relay()
        work_here()
        assert eventually(lambda: journal() == ["stored"])

    def test_connections_from_before_a_restart_do_not_fail_the_next_job(self, broker, own_valkey):
        note.enqueue("before")
        own_valkey.kill()
        own_valkey.start()
        note.enqueue("after")
        assert broker.client.llen("dramatiq:default") == 2

    def test_task_that_fails_while_there_is_no_broker_is_run_again(
        self, broker, own_valkey, work_here, start_relay, journal, rows
    ):
        start_relay().ready()
        work_here()
        stumble.enqueue(0.5)
        assert eventually(lambda: journal() == ["attempt 1"])
        own_valkey.kill()
        assert eventually(lambda: rows("status") == [("READY",)])  # it has failed meanwhile
        own_valkey.start()
        assert eventually(lambda: journal() == ["attempt 1", "attempt 2"], 30)

    def test_retry_waits_longer_than_the_time_limit_of_its_job(
        self, broker, own_valkey, work_here, journal
    ):
        work_here()
        give_out.send()
        assert eventually(lambda: journal() == ["attempt"])
        own_valkey.kill()
        time.sleep(4)  # the limit is 2 s, and looked at once a second
        own_valkey.start()
        assert eventually(lambda: journal() == ["attempt", "attempt"], 30)

    def test_ping_says_that_it_is_down(self, broker, own_valkey):
        broker.ping()
        own_valkey.kill()
        with pytest.raises(BrokerUnreachable, match=own_valkey.address):
            broker.ping(0.5)


def write_raw(broker, data):
    """Put `data` into the queue as someone with access to the broker could."""
    name = f"{broker.namespace}:default"
    id_ = str(uuid4())
    broker.client.hset(f"{name}.msgs", id_, data)
    broker.client.rpush(name, id_)


def forged(**changes):
    message = {
        "queue_name": "default",
        "actor_name": "scalekit.task.default",
        "args": ["os.system", ["true"], {}],
        "kwargs": {},
        "options": {"redis_message_id": str(uuid4()), "backend": "default"},
        "message_id": str(uuid4()),
        "message_timestamp": 1,
    }
    return json.dumps({**message, **changes})


UNREADABLE = [
    b"\xff\xfe no text",
    b"{}",
    b"[" * 100_000,
    forged(queue_name="another"),
    forged(options=[]),
    forged(args={}),
    forged(kwargs=None),
    forged(surprise=1),
    forged(message_timestamp="x"),
]


def test_unreadable_messages_are_dead_and_harm_no_neighbour(broker, work_here, journal):
    for number, data in enumerate(UNREADABLE):
        note.enqueue(number)
        write_raw(broker, data)
    note.enqueue("last")
    work_here()
    assert eventually(lambda: len(journal()) == len(UNREADABLE) + 1)
    assert eventually(lambda: broker.stats(["default"])["default"].dead == len(UNREADABLE))
    dead = broker.dead_messages("default", 100)
    assert {message.reason for message in dead} == {"unreadable"}
    assert sorted(message.raw for message in dead) == sorted(
        data.encode() if isinstance(data, str) else data for data in UNREADABLE
    )


def test_message_that_names_the_place_of_another_takes_nothing_from_it(broker, work_here, journal):
    """Whatever id a message says it has, it is acknowledged under the one it was found by."""
    note.enqueue("fine")
    (place,) = broker.client.hkeys(f"{broker.namespace}:default.msgs")
    write_raw(broker, forged(options={"redis_message_id": place.decode(), "backend": "default"}))
    write_raw(broker, forged(options={"redis_message_id": None, "backend": "default"}))
    work_here()
    assert eventually(lambda: journal() == ["fine"])
    assert eventually(lambda: broker.stats(["default"])["default"].dead == 2)


def test_forged_option_is_dead_and_counted(broker):
    task_actor(broker, "default")
    write_raw(broker, forged(options={"redis_message_id": str(uuid4()), "retries": "x"}))
    with captured_events("queue_message_refused") as events:
        assert next(broker.consume("default", prefetch=1, timeout=50)) is None
    (refused,) = events.named("queue_message_refused")
    assert (refused["queue"], refused["reason"]) == ("default", "option")
    assert broker.client.zcard(f"{broker.namespace}:default.XQ") == 1


def test_forged_options_harm_no_worker_thread(broker, work_here, journal):
    for option in ({"throws": "x"}, {"retries": "x"}) * 4:
        write_raw(broker, forged(options={"redis_message_id": str(uuid4()), **option}))
    note.enqueue("fine")
    work_here()
    assert eventually(lambda: journal() == ["fine"])
    assert eventually(lambda: broker.client.zcard(f"{broker.namespace}:default.XQ") == 8)


def test_options_of_dramatiq_work(broker, work_here, journal):
    options = {"max_retries": None, "time_limit": float("inf"), "max_age": 60_000, "eta": None}
    call_out.send_with_options(args=("plain",), min_backoff=0.5, store_results=True, **options)
    call_out.send_with_options(
        args=("late",), delay=0.5, on_failure=give_out, mine={"any": "thing"}
    )
    pipeline([call_out.message("one"), call_out.message()], broker=broker).run()
    work_here()
    assert eventually(lambda: sorted(journal()) == ["LATE", "ONE", "ONE, ONE", "PLAIN"])


def test_unknown_actor_is_dead(broker, work_here, journal):
    write_raw(broker, forged(actor_name="nobody"))
    note.enqueue("fine")
    work_here()
    assert eventually(lambda: journal() == ["fine"])
