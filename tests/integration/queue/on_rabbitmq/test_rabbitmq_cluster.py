"""Three RabbitMQ servers that agree on every message, and one that is lost."""

from __future__ import annotations

import os
import shutil
import subprocess
from uuid import uuid4

import pytest
from django.db import transaction

from scalekit.testing.servers.base import Server
from scalekit.testing.servers.binaries import RABBITMQ
from scalekit.testing.servers.rabbitmq import NodePorts, RabbitMQ
from tests.integration.queue.processes import eventually
from tests.integration.queue.project.tasks import call_out

pytestmark = pytest.mark.servers

JOBS = 300
CLUSTERED = """\
cluster_formation.peer_discovery_backend = rabbit_peer_discovery_classic_config
cluster_partition_handling = pause_minority
"""


class Node(RabbitMQ):
    """One of several, which have a port mapper, the secrets and the `first` to be asked in common."""

    first: Node | None = None

    def prepare(self):
        if self.first:
            self.folder.mkdir(parents=True, exist_ok=True)
            for secret in (".erlang.cookie", "password"):
                shutil.copy2(self.first.folder / secret, self.folder / secret)
        super().prepare()
        peers = [self.first.name] if self.first else []
        with self._file("rabbitmq.conf").open("a") as configuration:
            configuration.write(CLUSTERED)
            for number, name in enumerate(peers, 1):
                configuration.write(
                    f"cluster_formation.classic_config.nodes.{number} = {name}@localhost\n"
                )

    def command(self):
        return [RABBITMQ.find()]

    def kill(self):
        Server.kill(self)  # the port mapper lives on, for the others


@pytest.fixture
def nodes(scalekit_servers):
    """Give three servers of one cluster."""
    mapper = scalekit_servers.free_port()
    argv = ["epmd", "-address", "127.0.0.1", "-port", str(mapper)]
    scalekit_servers.process("epmd", argv, port=mapper)
    made = []
    for number in (1, 2, 3):
        ports = NodePorts(mapper=mapper, distribution=scalekit_servers.free_port())
        node = Node(*scalekit_servers.place(f"rabbit{number}", None), ports)
        node.first = made[0] if made else None
        made.append(scalekit_servers.add(node))
    return made


@pytest.fixture
def options(nodes):
    return {"url": [node.url for node in nodes], "namespace": uuid4().hex}


@pytest.fixture
def broker_entry(options):
    return {"BACKEND": "scalekit.queue.brokers.rabbitmq.RabbitMQBroker", "OPTIONS": options}


def leader_of(queue, nodes):
    """Return the server that leads `queue`, and how many hold it."""
    asked = nodes[0]
    argv = [
        RABBITMQ.find().with_name("rabbitmqctl"),
        "-n",
        f"{asked.name}@localhost",
        "-q",
        "list_queues",
    ]
    columns = ["name", "leader", "members", "--no-table-headers"]
    environment = {**os.environ, **asked.environment()}
    told = subprocess.run(
        [*argv, *columns], env=environment, capture_output=True, check=True, text=True
    )
    lines = [line.split("\t") for line in told.stdout.splitlines()]
    [(leader, members)] = [(leader, held) for name, leader, held in lines if name == queue]
    [found] = [node for node in nodes if node.name == leader.partition("@")[0]]
    return found, members.count("@localhost")


def test_no_job_is_lost_with_the_server_that_leads_its_queue(
    nodes, broker, start_worker, start_relay, journal
):
    """They are actors, which have nothing but the broker once it has confirmed them."""
    start_relay()
    start_worker().ready()
    leader, holders = leader_of(broker.names("default").main, nodes)
    assert holders == 3
    for number in range(JOBS):
        with transaction.atomic():
            call_out.send(str(number))
        if number == JOBS // 2:
            leader.kill()
    assert eventually(lambda: {int(line) for line in journal()} == set(range(JOBS)), 60)
