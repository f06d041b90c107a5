from __future__ import annotations

import pytest

pytest.importorskip("pika", reason="other version: pika is an extra")

from scalekit.queue.brokers.rabbitmq.address import Address
from scalekit.queue.brokers.rabbitmq.queues import QueueNames, main_arguments, rung_for


@pytest.mark.parametrize(
    ("milliseconds", "rung"),
    [
        (1, 1),
        (1000, 1),
        (7999, 1),
        (8000, 8),
        (63_999, 8),
        (600_000, 512),
        (86_400_000, 32_768),
        (10**12, 32_768),
    ],
)
def test_delay_goes_to_the_longest_rung_that_ends_before_it_is_due(milliseconds, rung):
    assert rung_for(milliseconds) == rung


def test_names_of_queues_are_dramatiqs_in_a_namespace():
    assert QueueNames("", "mail").main == "mail"
    assert QueueNames("shop", "mail").dead == "shop.mail.XQ"
    assert QueueNames("shop", "mail").delay(8) == "shop.mail.DQ.8s"


def test_arguments_of_a_queue_come_from_no_setting(settings):
    before = main_arguments(QueueNames("", "mail"))
    settings.SCALEKIT_QUEUE_MAX_DELIVERIES = 7
    assert main_arguments(QueueNames("", "mail")) == before
    assert (before["x-queue-type"], before["x-dead-letter-strategy"]) == ("quorum", "at-least-once")


def test_every_wait_has_its_bound():
    (parameters,) = Address.of("amqp://me:secret@rabbit:5672/shop").parameters()
    waits = parameters.socket_timeout, parameters.stack_timeout
    assert waits == (1.0, 5.0)
    assert (parameters.blocked_connection_timeout, parameters.heartbeat) == (5.0, 10)


def test_servers_of_a_cluster_are_named_without_their_passwords():
    urls = ["amqp://me:secret@one/shop", "amqps://me:secret@two:5671/shop"]
    assert (
        str(Address.of(urls)) == str(Address.of(";".join(urls))) == "one:5672/shop, two:5671/shop"
    )
