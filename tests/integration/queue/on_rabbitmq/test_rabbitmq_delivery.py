from __future__ import annotations

import gc
import os
import socket
import threading
import time

import pika
import pytest
from dramatiq.errors import ConnectionClosed

from scalekit.queue.brokers.rabbitmq import RabbitMQBroker, queues
from scalekit.queue.brokers.rabbitmq.letters import DEATHS
from scalekit.queue.exceptions import BrokerUnreachable, PublishFailed, QueueDiffers
from scalekit.testing.queue.steps import eventually, message, take

pytestmark = pytest.mark.servers


def break_off(consumer):
    """Let the server believe that the worker was killed."""
    consumer.connection._impl._transport._sock.shutdown(socket.SHUT_RDWR)


def test_queue_of_plain_dramatiq_is_told_apart_and_says_what_to_do(rabbit, channel):
    name = rabbit.names("default").main
    channel.queue_declare(name, durable=True)
    with pytest.raises(
        QueueDiffers, match=f"rabbitmqctl delete_queue {name}.*namespace"
    ) as refused:
        rabbit.enqueue(message("resize"))
    assert "\n" not in str(refused.value)
    channel.queue_delete(name)
    rabbit.enqueue(message("resize"))


def test_queue_that_was_removed_is_declared_anew_by_the_next_job(rabbit, channel, consume):
    rabbit.enqueue(message("resize", 1))
    channel.queue_delete(rabbit.names("default").main)
    rabbit.enqueue(message("resize", 2))
    assert [one.args for one in take(consume())] == [(2,)]


def test_worker_declares_anew_what_a_server_lost_while_it_was_away(rabbit, channel, consume):
    """It may never publish, so nobody else would tell it."""
    break_off(consume())
    channel.queue_delete(rabbit.names("default").main)
    consumer = consume()
    assert next(consumer) is None
    rabbit.enqueue(message("resize", 1))
    assert [one.args for one in take(consumer)] == [(1,)]


def test_password_is_never_shown(rabbit, rabbitmq, options):
    gone = RabbitMQBroker(
        "gone", url=options["url"].replace(str(rabbitmq.port), "1"), connect_timeout=0.5
    )
    with pytest.raises(BrokerUnreachable) as unreachable:
        gone.ping()
    with pytest.raises(PublishFailed) as failed:
        gone.enqueue(message("resize"))
    shown = [rabbit.where, repr(rabbit), str(unreachable.value), str(failed.value)]
    assert not any(rabbitmq.password in text for text in shown)


def test_wrong_password_is_told(options, rabbitmq):
    other = RabbitMQBroker("other", url=options["url"].replace(rabbitmq.password, "guess"))
    with pytest.raises(BrokerUnreachable, match=r"ACCESS_REFUSED|Authentication"):
        other.ping()


def test_second_server_is_used_where_the_first_is_down(options):
    broker = RabbitMQBroker(
        "two", url=f"amqp://nobody:x@127.0.0.1:1/%2F;{options['url']}", namespace="two"
    )
    broker.enqueue(message("resize"))
    broker.close()


def test_connection_ends_with_its_thread(rabbit):
    thread = threading.Thread(target=rabbit.enqueue, args=[message("resize")])
    thread.start()
    thread.join()
    gc.collect()
    assert not list(rabbit.links._all)


def test_forked_process_publishes_over_a_connection_of_its_own(rabbit, consume):
    rabbit.enqueue(message("resize", "parent"))
    child = os.fork()
    if not child:
        try:
            rabbit.enqueue(message("resize", "child"))
            rabbit.close()
        finally:
            os._exit(0)
    os.waitpid(child, 0)
    rabbit.enqueue(message("resize", "parent again"))
    taken = [one.args[0] for one in take(consume(), 3)]
    assert taken == ["parent", "child", "parent again"]


def test_what_is_settled_late_settles_nothing_else(rabbit, consume):
    """Tags begin anew with each connection; Dramatiq's own consumer acknowledges somebody else's job here."""
    rabbit.enqueue(message("resize", 1))
    first = consume()
    (late,) = take(first)
    break_off(first)
    second = consume()
    assert [one.args[0] for one in take(second)] == [1]
    second.ack(late)
    second.nack(late)
    second.close()
    assert [one.args[0] for one in take(consume())] == [1]
    assert rabbit.dead_messages("default", 10) == []


def test_worker_that_is_gone_loses_nothing(rabbit, consume):
    rabbit.enqueue_many([message("resize", number) for number in range(3)])
    first = consume()
    take(first, 3)
    break_off(first)
    assert sorted(one.args[0] for one in take(consume(), 3)) == [0, 1, 2]


def test_consumer_whose_connection_broke_can_be_closed(rabbit, consume):
    rabbit.enqueue(message("resize"))
    consumer = consume()
    take(consumer)
    break_off(consumer)
    with pytest.raises(ConnectionClosed):
        next(consumer)
    consumer.close()
    consumer.close()


def test_death_counts_against_what_the_worker_held_and_giving_back_does_not(rabbit, consume):
    rabbit.enqueue(message("resize"))
    first = consume()
    take(first)
    break_off(first)
    second = consume()
    (taken,) = take(second)
    assert taken.deaths == 1
    second.requeue([taken])
    second.close()
    (again,) = take(consume())
    assert again.deaths == 1


@pytest.mark.parametrize(("actor", "count"), [("scalekit.task.default", 1), ("resize", 0)])
def test_only_a_task_with_a_record_is_not_buried_for_its_deaths(
    rabbit, consume, settings, actor, count
):
    """Its record counts them, and knows which of them had begun it; an actor's message may say anything."""
    settings.SCALEKIT_QUEUE_MAX_DELIVERIES = 1
    recorded = message(actor)
    recorded.options["database"] = "default"
    rabbit.enqueue(recorded)
    first = consume()
    take(first)
    break_off(first)
    second = consume()
    eventually(lambda: rabbit.dead_messages("default", 1) or next(second))
    assert rabbit.stats(["default"])["default"].dead == 1 - count


@pytest.mark.parametrize(
    "headers",
    [{DEATHS: "many"}, {DEATHS: -5}, {"x-delivery-count": "x"}, {"x-death": 1}, {"x-death": ["y"]}],
    ids=str,
)
def test_headers_that_anyone_may_write_harm_nobody(rabbit, channel, consume, headers):
    forged = pika.BasicProperties(headers=headers)
    body = message("resize", 1).encode()
    names = rabbit.names("default")
    rabbit.enqueue(message("resize", 0))
    channel.basic_publish("", names.main, body, forged)
    rabbit.enqueue(message("resize", 2))
    taken = [(one.args[0], one.deaths) for one in take(consume(), 3)]
    assert sorted(taken) == [(0, 0), (1, 0), (2, 0)]
    channel.basic_publish("", names.dead, body, forged)
    (letter,) = eventually(lambda: rabbit.dead_messages("default", 10))
    assert (letter.reason, letter.deliveries) == ("unknown", 0)


def test_setting_that_changes_needs_no_other_queue(rabbit, consume, settings):
    rabbit.enqueue(message("resize"))
    settings.SCALEKIT_QUEUE_MAX_DELIVERIES = 1
    first = consume()
    take(first)
    break_off(first)
    second = consume()
    letters = eventually(lambda: next(second) or rabbit.dead_messages("default", 10))
    assert [(one.reason, one.deliveries) for one in letters] == [("died", 1)]


def test_resting_consumer_holds_nothing_and_takes_up_work_again(rabbit, consume):
    rabbit.enqueue_many([message("resize", number) for number in range(6)])
    first = consume(prefetch=3)
    (running,) = take(first)
    first.rest()
    others = take(second := consume(), 5)
    assert sorted(one.args[0] for one in others) == [1, 2, 3, 4, 5]
    assert {one.deaths for one in others} == {0}
    second.close()
    first.ack(running)
    first.idle()
    rabbit.flush("default")
    rabbit.enqueue(message("resize", "later"))
    assert [one.args[0] for one in take(first)] == ["later"]


def test_long_delay_climbs_down_from_rung_to_rung(rabbit, channel, consume, monkeypatch):
    monkeypatch.setattr(queues, "RUNGS", (1, 2))
    due = time.time() + 3.2
    rabbit.enqueue(message("resize"), delay=3200)
    consumer = consume()
    assert len(take(consumer)) == 1
    assert time.time() >= due
    for rung in (1, 2):
        channel.queue_declare(rabbit.names("default").delay(rung), passive=True)


def test_confirms_of_a_thousand_are_waited_for_once(rabbit, monkeypatch):
    rabbit.enqueue(message("warm"))
    connection, waits = rabbit.connection, []
    process = connection.process_data_events

    def wait(time_limit):
        waits.append(time_limit)
        process(time_limit)

    monkeypatch.setattr(connection, "process_data_events", wait)
    rabbit.enqueue_many([message("resize", number) for number in range(1000)])
    assert len([limit for limit in waits if limit is None]) <= 3
