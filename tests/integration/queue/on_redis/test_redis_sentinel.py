"""The broker behind real Sentinels, one of which replaces the server by its replica."""

from __future__ import annotations

import pytest
import redis

from scalekit.queue.brokers.redis import RedisBroker
from scalekit.queue.exceptions import BrokerUnreachable, PublishFailed
from scalekit.testing.servers.binaries import VALKEY
from tests.integration.queue.processes import eventually

pytestmark = pytest.mark.servers

SENTINEL = """\
port {port}
bind 127.0.0.1
sentinel monitor queue {host} {primary} {quorum}
sentinel down-after-milliseconds queue 300
sentinel failover-timeout queue 3000
"""


@pytest.fixture
def pair(scalekit_servers):
    """Give a server and its replica."""
    primary, replica = (scalekit_servers.valkey(name) for name in ("primary", "replica"))
    with redis.Redis.from_url(replica.url) as client:
        client.replicaof(primary.host, primary.port)
        assert eventually(lambda: client.info("replication")["master_link_status"] == "up")
    return primary, replica


@pytest.fixture
def sentinels(pair, scalekit_servers, tmp_path):
    """Give the ports of three Sentinels that watch the pair and know each other."""
    primary, _ = pair
    ports = [scalekit_servers.free_port() for _ in range(3)]
    for number, port in enumerate(ports):
        configuration = tmp_path / f"sentinel_{number}.conf"
        place = {"host": primary.host, "primary": primary.port}
        configuration.write_text(SENTINEL.format(port=port, quorum=2, **place))
        argv = [VALKEY.find(), configuration, "--sentinel"]
        scalekit_servers.process(f"sentinel_{number}", argv, port=port)
    with redis.Redis(port=ports[0]) as client:
        assert eventually(lambda: len(client.sentinel_sentinels("queue")) == 2, 30)
        assert eventually(lambda: client.sentinel_slaves("queue"), 30)
    return ports


@pytest.fixture
def redis_options(sentinels):
    gone = "127.0.0.1:1"  # one that does not answer costs nothing
    known = [gone, *(f"127.0.0.1:{port}" for port in sentinels)]
    return {"sentinels": known, "service_name": "queue", "timeout": 0.5}


def send(actor, line):
    """Send until it is confirmed, as the relay does."""

    def confirmed():
        try:
            actor.send(line)
        except PublishFailed:
            return False
        return True

    assert eventually(confirmed, 30)


def is_primary(server):
    try:
        with redis.Redis.from_url(server.url) as client:
            return client.info("replication")["role"] == "master"
    except redis.ConnectionError:  # it hangs up on everyone when its role changes
        return False


def test_jobs_are_run_across_a_failover(pair, redis_broker, actors, crew, make_broker):
    primary, replica = pair
    crew.work(make_broker())
    actors.note.send("before")
    assert eventually(lambda: crew.journal() == ["before"])
    actors.note.send_with_options(args=("delayed",), delay=2500)
    actors.work.send("across", 2.5)
    assert eventually(lambda: "across begun" in crew.journal())
    assert redis_broker.client.wait(1, 2000) == 1  # replication is not waited for otherwise
    primary.kill()
    send(actors.note, "after")
    done = ["across begun", "across done", "after", "before", "delayed"]
    assert eventually(lambda: sorted(crew.journal()) == done, 30), crew.journal()
    assert is_primary(replica)


def test_switch_over_with_both_alive_takes_the_workers_along(
    pair, sentinels, actors, crew, make_broker
):
    """The old server turns into a replica, which refuses writes: that is no answer to give up at."""
    crew.work(make_broker())
    actors.note.send("before")
    assert eventually(lambda: crew.journal() == ["before"])
    with redis.Redis(port=sentinels[0]) as client:
        assert eventually(lambda: client.execute_command("SENTINEL FAILOVER", "queue"))
    assert eventually(lambda: is_primary(pair[1]), 30)
    send(actors.note, "after")
    assert eventually(lambda: "after" in crew.journal(), 30)


def test_no_sentinel_says_where_it_was_looked_for():
    nowhere = {"sentinels": ["127.0.0.1:1"], "service_name": "queue"}
    broker = RedisBroker("default", **nowhere, connection={"password": "secret"})
    with pytest.raises(
        BrokerUnreachable, match=r"queue of the Sentinels 127\.0\.0\.1:1"
    ) as refusal:
        broker.ping(0.3)
    assert "secret" not in str(refusal.value)
