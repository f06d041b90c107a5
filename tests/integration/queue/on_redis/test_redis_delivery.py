"""What the Redis broker does with one message after the other, on a real Valkey."""

from __future__ import annotations

import json
import os
import subprocess
import sys
import time
from concurrent.futures import ThreadPoolExecutor

import pytest
import redis
from dramatiq import Worker
from dramatiq.errors import ActorNotFound, ConnectionClosed

from scalekit.queue.brokers.redis import scripts
from scalekit.queue.brokers.redis.waiting import Wake
from scalekit.queue.exceptions import PublishFailed
from scalekit.queue.records.grouping import GroupInterrupted
from tests.integration.queue.on_redis.crew import drain
from tests.integration.queue.processes import eventually

pytestmark = pytest.mark.servers


def keys(broker):
    return {key.decode().partition(":")[2] for key in broker.client.keys(f"{broker.namespace}:*")}


def lines(messages):
    return [message.args[0] for message in messages]


def stats(broker):
    return broker.stats(["default"])["default"]


def test_message_that_was_run_leaves_nothing_behind(redis_broker, actors, consume):
    actors.note.send("a")
    consumer = consume(redis_broker)
    (message,) = drain(consumer)
    consumer.ack(message)
    assert keys(redis_broker) <= {"__workers__", "__holders__.default", "__looks__"}


def test_what_threads_ran_while_one_acknowledges_goes_in_one_command(
    redis_broker, actors, consume, monkeypatch
):
    """The first waits in its round trip until the others have come."""
    consumer = consume(redis_broker)
    redis_broker.enqueue_many([actors.note.message(number) for number in range(6)])
    messages = drain(consumer, most=6)
    real, commands = consumer._call, []

    def slow(script, *ids):
        commands.append(len(ids))
        if len(commands) == 1:
            assert eventually(lambda: len(consumer._acks._waiting) == 5)
        return real(script, *ids)

    monkeypatch.setattr(consumer, "_call", slow)
    with ThreadPoolExecutor(6) as threads:
        list(threads.map(consumer.ack, messages))
    assert commands == [1, 5]
    assert (stats(redis_broker).in_flight, consumer.outstanding_message_count) == (0, 0)


def test_acknowledgements_that_fail_together_are_each_tried_again(
    redis_broker, actors, consume, monkeypatch
):
    """Dramatiq tries again for each message whose thread hears of a broken connection."""
    consumer = consume(redis_broker)
    actors.note.send("a")
    (message,) = drain(consumer, most=1)
    for broken in (redis.ConnectionError(), GroupInterrupted()):

        def breaking(script, *ids, broken=broken):
            raise broken

        with monkeypatch.context() as patch:
            patch.setattr(consumer, "_call", breaking)
            with pytest.raises(ConnectionClosed):
                consumer.ack(message)
    consumer.ack(message)
    assert (stats(redis_broker).in_flight, consumer.outstanding_message_count) == (0, 0)


def test_messages_come_in_order(redis_broker, actors, consume):
    redis_broker.enqueue_many([actors.note.message(number) for number in range(50)])
    assert lines(drain(consume(redis_broker))) == list(range(50))


def test_many_messages_take_one_command(redis_broker, actors):
    redis_broker.enqueue(actors.note.message("the server knows the script"))

    def calls():
        return redis_broker.client.info("commandstats")["cmdstat_evalsha"]["calls"]

    before = calls()
    redis_broker.enqueue_many([actors.note.message(number) for number in range(500)])
    assert calls() - before == 1
    assert stats(redis_broker).ready == 501


def test_many_messages_reach_their_queues_although_the_server_forgot_the_scripts(
    redis_broker, actors
):
    redis_broker.client.script_flush()
    mail = [actors.note.message(number).copy(queue_name="mail") for number in range(3)]
    redis_broker.enqueue_many([*mail, *(actors.note.message(n) for n in range(1200))])
    found = redis_broker.stats(["default", "mail"])
    assert (found["default"].ready, found["mail"].ready) == (1200, 3)


def test_command_that_is_sent_twice_stores_one_message(redis_broker, actors):
    """As the client does where the connection broke before the answer."""
    for _ in range(2):
        redis_broker.call(
            scripts.ENQUEUE, "default", "the id", 0, actors.note.message("a").encode()
        )
    assert stats(redis_broker).ready == 1


def test_what_failed_is_a_dead_letter(redis_broker, actors, consume):
    actors.note.send("a")
    consumer = consume(redis_broker)
    (message,) = drain(consumer)
    consumer.nack(message)
    (dead,) = redis_broker.dead_messages("default", 10)
    assert (dead.reason, dead.deliveries, dead.queue) == ("failed", 0, "default")
    assert b'"a"' in dead.raw


def test_message_of_no_actor_says_so(redis_broker, actors, consume):
    actors.note.send("a")
    consumer = consume(redis_broker)
    (message,) = drain(consumer)
    message.stuff_exception(ActorNotFound("note"))
    consumer.nack(message)
    assert redis_broker.dead_messages("default", 10)[0].reason == "no actor"


def test_dead_letters_stay_until_they_are_forgotten(redis_broker, actors, consume):
    for line in "abc":
        actors.note.send(line)
    consumer = consume(redis_broker)
    for message in drain(consumer):
        consumer.nack(message)
    oldest = [dead.id for dead in redis_broker.dead_messages("default", 2)]
    redis_broker.forget_dead("default", oldest)
    (left,) = redis_broker.dead_messages("default", 2)
    assert b'"c"' in left.raw
    redis_broker.forget_dead("default", [left.id])
    assert not {key for key in keys(redis_broker) if "XQ" in key or "reasons" in key}


def test_what_is_given_back_is_the_next_to_come(redis_broker, actors, consume):
    for line in "abc":
        actors.note.send(line)
    consumer = consume(redis_broker, prefetch=2)
    consumer.requeue([next(consumer), next(consumer)])
    assert lines(drain(consume(redis_broker))) == ["a", "b", "c"]


def test_consumer_that_is_closed_gives_back_what_it_had_not_handed_out(
    redis_broker, actors, consume
):
    for line in "abc":
        actors.note.send(line)
    consumer = consume(redis_broker)
    next(consumer)
    consumer.close()
    assert lines(drain(consume(redis_broker))) == ["b", "c"]


class TestRetry:
    def test_it_is_stored_and_acknowledged_in_one_step(self, redis_broker, actors, consume):
        actors.note.send("a")
        consumer = consume(redis_broker)
        (message,) = drain(consumer)
        message.options["retries"] = 1
        redis_broker.retry(message, 0)
        consumer.ack(message)
        (again,) = drain(consumer)
        assert (again.message_id, again.options["retries"]) == (message.message_id, 1)
        assert stats(redis_broker).in_flight == 1

    def test_dramatiqs_own_retries_do_the_same(self, redis_broker, actors, consume):
        actors.note.send("a")
        (message,) = drain(consume(redis_broker))
        redis_broker.enqueue(message, delay=60_000)
        found = stats(redis_broker)
        assert (found.in_flight, found.delayed, found.ready) == (0, 1, 0)

    def test_what_another_worker_has_by_now_is_not_stored_twice(
        self, redis_broker, actors, consume, make_broker
    ):
        actors.note.send("a")
        (message,) = drain(consume(redis_broker))
        redis_broker.call(scripts.REQUEUE, "default", redis_broker.broker_id, message.held_as)
        (theirs,) = drain(consume(make_broker()))
        redis_broker.retry(message, 0)
        assert theirs.message_id == message.message_id
        assert (stats(redis_broker).ready, stats(redis_broker).in_flight) == (0, 1)

    def test_a_server_that_hangs_leaves_it_held(self, scalekit_servers, make_broker, consume):
        from tests.integration.queue.on_redis.crew import actors_on

        server = scalekit_servers.valkey()
        broker = make_broker(url=server.url, timeout=0.3)
        actors_on(broker).note.send("a")
        consumer = consume(broker)
        (message,) = drain(consumer)
        with server.frozen(), pytest.raises(PublishFailed):
            broker.retry(message, 0)
        broker.retry(message, 0)
        assert lines(drain(consumer)) == ["a"]


def test_late_ack_takes_nothing_from_who_has_it_now(redis_broker, actors, consume, make_broker):
    actors.note.send("a")
    consumer = consume(redis_broker)
    (message,) = drain(consumer)
    redis_broker.call(scripts.REQUEUE, "default", redis_broker.broker_id, message.held_as)
    others = consume(make_broker())
    theirs = drain(others)
    consumer.ack(message)
    consumer.nack(message)
    others.requeue(theirs)
    assert lines(drain(others)) == ["a"]
    assert stats(redis_broker).dead == 0


class TestLostAnswer:
    def test_what_it_was_about_is_fetched_again(self, redis_broker, actors, consume):
        for line in "abc":
            actors.note.send(line)
        consumer = consume(redis_broker)
        nobody_hears = (redis_broker.broker_id, 2, 0, redis_broker.heartbeat_timeout)
        redis_broker.call(scripts.FETCH, "default", *nobody_hears)
        assert sorted(lines(drain(consumer))) == ["a", "b", "c"]

    def test_what_is_being_run_is_not_fetched_again(self, redis_broker, actors, consume):
        actors.note.send("running")
        consumer = consume(redis_broker)
        (running,) = drain(consumer)
        actors.note.send("lost")
        nobody_hears = (redis_broker.broker_id, 2, 1, redis_broker.heartbeat_timeout)
        redis_broker.call(scripts.FETCH, "default", *nobody_hears)
        assert lines(drain(consumer)) == ["lost"]
        assert running.args == ("running",)

    def test_batch_that_broke_off_strands_nothing(self, redis_broker, actors, consume, monkeypatch):
        """The connection breaks while an unreadable message is put away, before the last was looked at."""
        actors.note.send("a")
        redis_broker.call(scripts.ENQUEUE, "default", "torn", 0, b"{")
        actors.note.send("b")
        consumer = consume(redis_broker)
        real = consumer._call

        def breaking(script, *arguments):
            if script is scripts.NACK:
                raise redis.ConnectionError
            return real(script, *arguments)

        with monkeypatch.context() as patch:
            patch.setattr(consumer, "_call", breaking)
            with pytest.raises(ConnectionClosed):
                next(consumer)
        consumer.close()
        assert sorted(lines(drain(consume(redis_broker)))) == ["a", "b"]
        assert stats(redis_broker).dead == 1

    def test_server_that_hangs_in_a_fetch_strands_nothing(
        self, scalekit_servers, make_broker, consume
    ):
        from tests.integration.queue.on_redis.crew import actors_on

        server = scalekit_servers.valkey()
        broker = make_broker(url=server.url, timeout=0.3)
        note = actors_on(broker).note
        consumer = consume(broker)
        for line in "abc":
            note.send(line)
        with server.frozen(), pytest.raises(ConnectionClosed):
            next(consumer)
        consumer.close()
        assert sorted(lines(drain(consume(broker)))) == ["a", "b", "c"]


class TestDelay:
    def test_it_lies_in_the_server_until_it_is_due(self, redis_broker, actors, consume):
        actors.note.send_with_options(args=("late",), delay=600)
        actors.note.send("now")
        consumer = consume(redis_broker)
        assert lines(drain(consumer, 0.2)) == ["now"]
        assert stats(redis_broker).delayed == 1
        begin = time.monotonic()
        assert eventually(lambda: next(consumer) is not None, 5)
        assert time.monotonic() - begin < 3  # woken for it, rather than at the next look

    def test_one_that_is_due_before_what_a_worker_sleeps_for_wakes_it(
        self, redis_broker, actors, consume
    ):
        actors.note.send_with_options(args=("later",), delay=60_000)
        consumer = consume(redis_broker)
        assert drain(consumer, 0.2) == []
        actors.note.send_with_options(args=("late",), delay=200)
        assert eventually(lambda: next(consumer) is not None, 2)

    def test_it_may_be_longer_than_dramatiqs_week(self, redis_broker, actors):
        actors.note.send_with_options(args=("next year",), delay=365 * 86_400_000)
        assert stats(redis_broker).delayed == 1

    def test_a_message_that_says_not_before_when_is_kept_in_the_server(
        self, redis_broker, actors, consume
    ):
        later = (time.time() + 60) * 1000
        message = actors.note.message("later").copy(options={"eta": later})
        redis_broker.call(scripts.ENQUEUE, "default", "an id", 0, message.encode())
        assert drain(consume(redis_broker)) == []
        assert stats(redis_broker).delayed == 1


class TestIdle:
    @pytest.fixture
    def begun(self, redis_broker):
        """Give the times at which jobs began, in a worker that has been idle for a moment."""
        import dramatiq

        times = []
        dramatiq.actor(
            lambda: times.append(time.monotonic()), broker=redis_broker, actor_name="clock"
        )
        worker = Worker(redis_broker, worker_timeout=100, worker_threads=2)
        worker.start()
        time.sleep(0.3)
        yield times
        worker.stop()

    def test_worker_starts_within_20_ms(self, redis_broker, begun):
        waits = []
        for number in range(21):
            sent = time.monotonic()
            redis_broker.actors["clock"].send()
            assert eventually(lambda number=number: len(begun) > number, 5)
            waits.append(begun[number] - sent)
        assert sorted(waits)[10] <= 0.02

    def test_it_sends_about_one_command_a_second(self, redis_broker, begun):
        def calls():
            found = redis_broker.client.info("commandstats")
            names = {"cmdstat_evalsha", "cmdstat_blpop"} & found.keys()
            return sum(found[name]["calls"] for name in names)

        before, seconds = calls(), 5.0
        time.sleep(seconds)
        assert (calls() - before) / seconds <= 1.5


class TestTurns:
    """Of two idle workers one is woken for each message, the one that has waited the longest."""

    @pytest.fixture
    def both(self, redis_broker, actors, make_broker, consume):
        consumers = consume(redis_broker), consume(make_broker())
        for consumer in consumers:
            assert next(consumer) is None
            assert consumer._wake.is_waiting
        return consumers

    def test_one_that_has_no_thread_for_it_passes_its_turn_on(self, both, actors):
        first, second = both
        actors.note.send("a")
        first.idle()
        assert eventually(lambda: next(second) is not None, 1)

    def test_one_that_rests_is_not_woken(self, both, actors):
        first, second = both
        first.rest()
        actors.note.send("a")
        assert eventually(lambda: next(second) is not None, 1)

    def test_one_that_is_closed_passes_its_turn_on(self, both, actors):
        first, second = both
        actors.note.send("a")
        first.close()
        assert eventually(lambda: next(second) is not None, 1)

    def test_one_that_was_idle_takes_part_again(self, both, actors):
        first, second = both
        first.idle()
        second.close()
        actors.note.send("a")
        assert eventually(lambda: next(first) is not None, 1)

    def test_one_that_rests_gives_back_what_it_had_fetched(self, both, actors):
        first, second = both
        for line in "abc":
            actors.note.send(line)
        assert eventually(lambda: next(first) is not None, 1)
        first.rest()
        assert lines(drain(second)) == ["b", "c"]


def test_worker_that_takes_its_wish_to_be_woken_back_before_the_server_has_read_it_waits_for_nothing(
    redis_broker, monkeypatch
):
    """The two go by different connections."""
    wake = Wake(redis_broker.client, f"{redis_broker.namespace}:nothing", 1.0)
    wake.begin(0)
    assert eventually(lambda: wake.has_come(0.1))
    send, unblock, held = wake._connection.send_command, redis_broker.client.client_unblock, []

    def unblock_before_it_is_read(id_):
        answer = unblock(id_)
        while held:
            send(*held.pop())
        return answer

    monkeypatch.setattr(wake._connection, "send_command", lambda *command: held.append(command))
    monkeypatch.setattr(redis_broker.client, "client_unblock", unblock_before_it_is_read)
    wake.begin(60)
    assert wake.cancel() is False  # else it waits for a minute, or its socket gives up
    wake.close()


def test_ids_without_a_message_keep_no_worker_from_those_behind_them(
    redis_broker, actors, consume, monkeypatch
):
    """As of a purge by hand, or of a message that was run twice, the second time by Dramatiq's worker."""
    monkeypatch.setattr("scalekit.queue.brokers.redis.consumer.IDLE", 60)
    queue = f"{redis_broker.namespace}:default"
    redis_broker.client.rpush(queue, "gone", "gone too", "behind")
    redis_broker.client.hset(f"{queue}.msgs", "behind", actors.note.message("a").encode())
    consumer = consume(redis_broker, prefetch=2)
    assert eventually(lambda: next(consumer) is not None)


def test_stats_count_what_there_is(redis_broker, actors, consume):
    for line in "abcd":
        actors.note.send(line)
    actors.note.send_with_options(args=("late",), delay=60_000)
    consumer = consume(redis_broker, prefetch=2)
    consumer.nack(next(consumer))
    found = stats(redis_broker)
    assert (found.ready, found.delayed, found.in_flight, found.dead) == (2, 1, 1, 1)
    assert 0 <= found.waited < 5
    assert redis_broker.stats(["empty"])["empty"].waited == 0


def test_flush_leaves_nothing_and_join_waits_for_all(redis_broker, actors, consume):
    actors.note.send("a")
    actors.note.send_with_options(args=("late",), delay=60_000)
    drain(consume(redis_broker))
    redis_broker.flush("default")
    redis_broker.join("default", timeout=1000)
    assert keys(redis_broker) <= {"__workers__", "__looks__"}


def test_broker_that_is_closed_leaves_no_connection(scalekit_servers, make_broker, consume):
    server = scalekit_servers.valkey()
    broker = make_broker(url=server.url)
    consumer = consume(broker)
    assert drain(consumer) == []
    consumer.close()
    broker.close()
    with redis.Redis.from_url(server.url) as client:
        assert eventually(lambda: len(client.client_list()) == 1)


FORKS = """
import json, os, sys, warnings
warnings.simplefilter("ignore")
from tests.integration.queue.on_redis.crew import actors_on, set_up
set_up()
from scalekit.queue.brokers.redis import RedisBroker

broker = RedisBroker("default", **json.loads(sys.argv[1]))
note = actors_on(broker).note
note.send("the parent's")
note.send("the child's")
parents = broker.consume("default", prefetch=1, timeout=50)
held = next(parents)
before = broker.broker_id
child = os.fork()
if child:
    code = os.waitstatus_to_exitcode(os.waitpid(child, 0)[1])
    stats = broker.stats(["default"])["default"]
    print(json.dumps([code, stats.ready, stats.in_flight]))
else:
    consumer = broker.consume("default", prefetch=5, timeout=50)
    consumer.ack(held)
    got = next(consumer)
    lives = broker.heartbeat._thread.is_alive()
    os._exit(0 if got.args == ("the child's",) and broker.broker_id != before and lives else 1)
"""


def test_forked_process_is_a_worker_of_its_own(redis_options):
    """It acknowledges nothing of its parent's, and gives its own signs of life."""
    argv = [sys.executable, "-c", FORKS, json.dumps(redis_options)]
    env = {**os.environ, "PYTHONPATH": os.pathsep.join(sys.path)}
    found = subprocess.run(argv, env=env, capture_output=True, text=True, timeout=30, check=False)
    assert found.stdout.strip() == "[0, 0, 2]", found.stderr
