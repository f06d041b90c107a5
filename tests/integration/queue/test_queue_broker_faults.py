"""A broker that is down, hangs, or holds messages nobody should have written."""

from __future__ import annotations

import json
import time
from uuid import uuid4

import pytest
from django.db import transaction
from dramatiq import pipeline

from scalekit.core.events import events
from scalekit.queue.exceptions import BrokerUnreachable, PublishFailed
from scalekit.queue.execution import task_actor
from scalekit.testing.fakes import captured_events
from tests.integration.queue.conftest import eventually
from tests.integration.queue.project.tasks import call_out, give_out, note, stumble

pytestmark = pytest.mark.servers


@pytest.fixture
def own_valkey(scalekit_servers):
    """Give a Valkey of this test's own, whose data outlives a kill -9."""
    return scalekit_servers.valkey(appendonly=True)


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

    def test_job_that_a_hanging_broker_did_not_confirm_may_run(
        self, broker, own_valkey, start_worker, journal
    ):
        note.enqueue("warm")
        with own_valkey.frozen(), pytest.raises(PublishFailed, match="may or may not run"):
            note.enqueue("not confirmed")
        assert eventually(lambda: broker.client.llen("dramatiq:default") == 2)
        start_worker().ready()
        assert eventually(lambda: sorted(journal()) == ["not confirmed", "warm"])

    def test_broker_down_outside_a_transaction_raises(self, broker, own_valkey, failed):
        own_valkey.kill()
        with pytest.raises(PublishFailed, match="did not confirm"):
            note.enqueue("not enqueued")
        assert len(failed) == 1

    def test_connections_from_before_a_restart_do_not_fail_the_next_job(self, broker, own_valkey):
        note.enqueue("before")
        own_valkey.kill()
        own_valkey.start()
        note.enqueue("after")
        assert broker.client.llen("dramatiq:default") == 2

    def test_retry_waits_for_a_broker_that_is_down(self, broker, own_valkey, start_worker, journal):
        """Dramatiq itself loses the job here: it acknowledges what it could not enqueue again."""
        start_worker().ready()
        stumble.enqueue(0.5)
        assert eventually(lambda: journal() == ["attempt 1"])
        own_valkey.kill()
        time.sleep(1)  # the job fails while there is no broker
        own_valkey.start()
        assert eventually(lambda: journal() == ["attempt 1", "attempt 2"], 30)

    def test_retry_waits_longer_than_the_time_limit_of_its_job(
        self, broker, own_valkey, start_worker, journal
    ):
        start_worker().ready()
        give_out.send()
        assert eventually(lambda: journal() == ["attempt"])
        own_valkey.kill()
        time.sleep(4)  # the limit is 2 s, and looked at once a second
        own_valkey.start()
        assert eventually(lambda: journal() == ["attempt", "attempt"], 30)

    def test_delayed_job_survives_a_restart_of_the_broker(
        self, broker, own_valkey, start_worker, journal
    ):
        start_worker().ready()
        call_out.send_with_options(args=("late",), delay=2500)
        assert eventually(lambda: not broker.client.llen("dramatiq:default.DQ"))
        own_valkey.kill()
        time.sleep(0.5)
        own_valkey.start()
        assert eventually(lambda: journal() == ["LATE"])

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


@pytest.mark.parametrize(
    "data",
    [
        b"\xff\xfe no text",
        b"{}",
        b"[" * 100_000,
        forged(queue_name="another"),
        forged(options=[]),
        forged(options={"redis_message_id": None}),
        forged(args={}),
        forged(kwargs=None),
        forged(surprise=1),
        forged(message_timestamp="x"),
    ],
    ids=lambda data: str(data[:12]),
)
def test_unreadable_message_is_dead_and_harms_no_neighbour(broker, start_worker, journal, data):
    for number in range(5):
        note.enqueue(number)
    write_raw(broker, data)
    for number in range(5, 10):
        note.enqueue(number)
    start_worker().ready()
    assert eventually(lambda: len(journal()) == 10)
    assert eventually(lambda: broker.client.zcard(f"{broker.namespace}:default.XQ") == 1)


@pytest.mark.parametrize(
    "option",
    [
        {"throws": "x"},
        {"retry_when": "x"},
        {"retries": "x"},
        {"retries": -1},
        {"retries": None},
        {"max_retries": "x"},
        {"min_backoff": None},
        {"min_backoff": 10**400},
        {"max_backoff": float("nan")},
        {"time_limit": "x"},
        {"time_limit": 10**400},
        {"max_age": []},
        {"eta": "soon"},
        {"eta": float("nan")},
        {"on_success": ["x"]},
        {"pipe_target": "x"},
        {"group_completion_callbacks": {}},
    ],
    ids=str,
)
def test_forged_option_is_dead_and_counted(broker, option):
    """Dramatiq compares and counts with these where an error ends its thread, or forgets the job."""
    task_actor(broker, "default")
    options = {"redis_message_id": str(uuid4()), "backend": "default", **option}
    write_raw(broker, forged(options=options))
    with captured_events("queue_message_refused") as events:
        assert next(broker.consume("default", prefetch=1, timeout=50)) is None
    (refused,) = events.named("queue_message_refused")
    assert (refused["queue"], refused["reason"]) == ("default", "option")
    assert broker.client.zcard(f"{broker.namespace}:default.XQ") == 1


def test_forged_options_harm_no_worker_thread(broker, start_worker, journal):
    for option in ({"throws": "x"}, {"retries": "x"}) * 4:
        write_raw(broker, forged(options={"redis_message_id": str(uuid4()), **option}))
    note.enqueue("fine")
    start_worker().ready()
    assert eventually(lambda: journal() == ["fine"])
    assert eventually(lambda: broker.client.zcard(f"{broker.namespace}:default.XQ") == 8)


def test_options_of_dramatiq_work(broker, start_worker, journal):
    options = {"max_retries": None, "time_limit": float("inf"), "max_age": 60_000, "eta": None}
    call_out.send_with_options(args=("plain",), min_backoff=0.5, store_results=True, **options)
    call_out.send_with_options(
        args=("late",), delay=0.5, on_failure=give_out, mine={"any": "thing"}
    )
    pipeline([call_out.message("one"), call_out.message()], broker=broker).run()
    start_worker().ready()
    assert eventually(lambda: sorted(journal()) == ["LATE", "ONE", "ONE, ONE", "PLAIN"])


def test_unknown_actor_is_dead(broker, start_worker, journal):
    write_raw(broker, forged(actor_name="nobody"))
    note.enqueue("fine")
    start_worker().ready()
    assert eventually(lambda: journal() == ["fine"])
