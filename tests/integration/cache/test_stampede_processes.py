"""Several web servers, one cold value."""

from __future__ import annotations

import signal
import time

import pytest
import redis
from stampedes import answers, commands, go, workers

pytestmark = pytest.mark.servers


@pytest.fixture
def client(scalekit_servers):
    server = scalekit_servers.valkey("cache")
    with redis.Redis.from_url(server.url) as client:
        client.url = server.url
        yield client


@pytest.mark.parametrize(("threads", "most"), [(8, 170), (25, 300)])
def test_four_processes_load_once(client, threads, most):
    with workers(client.url, 4, threads=threads) as processes:
        before = commands(client)
        for process in processes:
            go(process)
        values = {value for process in processes for value, _ in answers(process)}
        spent = commands(client) - before
    assert client.llen("loads") == 1
    assert len(values) == 1
    assert spent <= most


def test_a_killed_loader_is_replaced_within_five_seconds_by_one(client):
    with workers(client.url, 1, seconds=60) as (leader,), workers(client.url, 2) as others:
        go(leader)
        while not client.llen("loads"):
            time.sleep(0.01)
        for other in others:
            go(other)
        time.sleep(0.3)
        leader.send_signal(signal.SIGKILL)
        seconds = [seconds for other in others for _, seconds in answers(other)]
    assert client.llen("loads") == 2
    assert max(seconds) < 5.5  # 0.3 of which the leader still lived


def test_a_load_of_seven_seconds_is_slow_not_dead(client):
    with workers(client.url, 2, threads=4, seconds=7) as processes:
        for process in processes:
            go(process)
        values = {value for process in processes for value, _ in answers(process)}
    assert client.llen("loads") == 1
    assert len(values) == 1


def test_an_error_reaches_those_who_wait_in_all_processes(client):
    with workers(client.url, 3, threads=4, seconds=0.5, outcome="error") as processes:
        for process in processes:
            go(process)
        values = {value for process in processes for value, _ in answers(process)}
    assert values == {"error"}
    assert client.llen("loads") == 1
    (key,) = [key for key in client.keys("*load*") if key != b"loads"]
    assert client.get(key)[:1] == b"F"
    assert 0 < client.pttl(key) <= 2000
