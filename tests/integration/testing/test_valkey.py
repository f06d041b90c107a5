from __future__ import annotations

import pytest
import redis


@pytest.fixture
def connect():
    clients = []

    def connect(server):
        clients.append(redis.Redis.from_url(server.url, socket_timeout=0.5))
        return clients[-1]

    yield connect
    for client in clients:
        client.close()


def test_it_keeps_what_it_is_given_until_it_is_flushed(valkey, connect):
    client = connect(valkey)
    client.set("key", "value")
    assert client.get("key") == b"value"
    valkey.flush()
    assert client.get("key") is None


def test_url_names_database_zero(valkey):
    assert valkey.url == f"redis://127.0.0.1:{valkey.port}/0"


@pytest.mark.parametrize(("appendonly", "kept"), [(True, b"value"), (False, None)])
def test_only_appendonly_data_outlives_a_kill(scalekit_servers, connect, appendonly, kept):
    server = scalekit_servers.valkey(appendonly=appendonly)
    connect(server).set("key", "value")
    connect(server).config_set("appendfsync", "always")
    connect(server).set("last", "write")
    server.kill()
    server.start()
    assert connect(server).get("key") == kept


def test_frozen_server_times_out_and_goes_on_where_it_was(scalekit_servers, connect):
    server = scalekit_servers.valkey()
    client = connect(server)
    client.set("key", "value")
    with server.frozen(), pytest.raises(redis.exceptions.TimeoutError):
        client.get("key")
    assert connect(server).get("key") == b"value"


def test_stop_and_start_come_back_on_the_same_port(scalekit_servers, connect):
    server = scalekit_servers.valkey()
    server.stop()
    with pytest.raises(redis.exceptions.ConnectionError):
        connect(server).ping()
    server.start()
    assert connect(server).ping()
