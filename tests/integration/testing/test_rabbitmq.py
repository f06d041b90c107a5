from __future__ import annotations

import os
import stat
import time
import uuid
from contextlib import suppress

import pika
import pytest

from scalekit.testing.servers import ServerBinaryMissing

DURABLE = {"x-queue-type": "quorum"}
# Until then RabbitMQ keeps in memory alone that it has a new quorum queue (ra_directory's auto_save).
REMEMBERED = 1.0


@pytest.fixture
def channel_to():
    """Give a function that opens a channel with publisher confirms; all are closed with the test."""
    connections = []

    def open_one(server):
        connections.append(pika.BlockingConnection(pika.URLParameters(server.url)))
        channel = connections[-1].channel()
        channel.confirm_delivery()
        return channel

    yield open_one
    for connection in connections:
        with suppress(pika.exceptions.AMQPError):
            connection.close()


def publish(channel, queue, body):
    channel.queue_declare(queue, durable=True, arguments=DURABLE)
    channel.basic_publish("", queue, body, pika.BasicProperties(delivery_mode=2))


def fetch(channel, queue):
    return channel.basic_get(queue, auto_ack=True)[2]


def test_it_gives_back_what_it_was_given(rabbitmq, channel_to):
    channel, queue = channel_to(rabbitmq), uuid.uuid4().hex
    publish(channel, queue, b"job")
    assert fetch(channel, queue) == b"job"


def test_password_is_random_and_its_file_private(rabbitmq):
    files = [rabbitmq.folder / "password", rabbitmq.folder / ".erlang.cookie"]
    assert [stat.S_IMODE(file.stat().st_mode) for file in files] == [0o400, 0o400]
    assert len(rabbitmq.password) == 32


def test_port_mapper_is_of_its_family(rabbitmq):
    """Erlang would start it as a daemon, which outlives everything."""
    programs = {os.path.realpath(f"/proc/{pid}/exe").rsplit("/", 1)[-1] for pid in rabbitmq.pids}
    assert {"epmd", "beam.smp"} <= programs


def test_its_messages_outlive_a_kill(rabbitmq, channel_to):
    queue = uuid.uuid4().hex
    publish(channel_to(rabbitmq), queue, b"job")
    time.sleep(REMEMBERED)
    before = rabbitmq.pids
    rabbitmq.kill()
    rabbitmq.start()
    assert not before & rabbitmq.pids
    assert fetch(channel_to(rabbitmq), queue) == b"job"


def test_frozen_it_answers_nobody(rabbitmq):
    with rabbitmq.frozen():
        assert not rabbitmq.is_ready()
    assert rabbitmq.waits.happens(rabbitmq.is_ready, 30)


def test_server_without_its_program_says_what_to_install(scalekit_servers, monkeypatch, tmp_path):
    monkeypatch.setenv("SCALEKIT_RABBITMQ_BIN", str(tmp_path))
    with pytest.raises(ServerBinaryMissing, match="apt install rabbitmq-server"):
        scalekit_servers.rabbitmq()
    assert not scalekit_servers.servers
