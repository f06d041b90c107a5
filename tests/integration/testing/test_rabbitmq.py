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


def test_its_messages_outlive_a_kill_and_its_frozen_self_answers_nobody(
    scalekit_servers, channel_to
):
    server = scalekit_servers.rabbitmq()
    publish(channel_to(server), "jobs", b"job")
    time.sleep(REMEMBERED)
    before = server.pids
    server.kill()
    server.start()
    assert not before & server.pids
    with server.frozen():
        assert not server.is_ready()
    assert fetch(channel_to(server), "jobs") == b"job"


def test_server_without_its_program_says_what_to_install(scalekit_servers, monkeypatch, tmp_path):
    monkeypatch.setenv("SCALEKIT_RABBITMQ_BIN", str(tmp_path))
    with pytest.raises(ServerBinaryMissing, match="apt install rabbitmq-server"):
        scalekit_servers.rabbitmq()
    assert not scalekit_servers.servers
