"""A process-local tier over a primary that Sentinel replaces: the listener goes where the primary is."""

from __future__ import annotations

import pytest
import redis
from django.core.cache import caches
from tiers import TIERED, eventually

from scalekit.cache.backends.tiered import stop_listening
from scalekit.testing.servers.binaries import VALKEY

pytestmark = pytest.mark.servers

SENTINEL = """\
port {port}
bind 127.0.0.1
sentinel monitor cache {host} {primary} 1
sentinel down-after-milliseconds cache 300
sentinel failover-timeout cache 3000
"""


@pytest.fixture
def primary(scalekit_servers, settings, tmp_path):
    """The primary of a pair that a Sentinel watches; `CACHES` asks the Sentinel."""
    primary, replica = (scalekit_servers.valkey(name) for name in ("primary", "replica"))
    client = redis.Redis.from_url(replica.url)
    client.replicaof(primary.host, primary.port)
    assert eventually(lambda: client.info("replication")["master_link_status"] == "up")
    client.close()
    port = scalekit_servers.free_port()
    configuration = tmp_path / "sentinel.conf"
    lines = SENTINEL.format(port=port, host=primary.host, primary=primary.port)
    configuration.write_text(lines)
    scalekit_servers.process("sentinel", [VALKEY.find(), configuration, "--sentinel"], port=port)
    sentinel = redis.Redis(port=port)
    assert eventually(lambda: sentinel.sentinel_slaves("cache"))
    sentinel.close()
    settings.DJANGO_REDIS_CONNECTION_FACTORY = "django_redis.pool.SentinelConnectionFactory"
    settings.CACHES = {
        "shared": {
            "BACKEND": "django_redis.cache.RedisCache",
            "LOCATION": "redis://cache/0",
            "OPTIONS": {
                "CLIENT_CLASS": "django_redis.client.SentinelClient",
                "SENTINELS": [("127.0.0.1", port)],
                "SOCKET_TIMEOUT": 0.5,
            },
        },
        "default": {
            "BACKEND": TIERED,
            "OPTIONS": {"over": "shared"},
        },
    }
    yield primary
    stop_listening()


def writes(cache, value: object) -> bool:
    try:
        cache.set("k", value)
    except redis.RedisError:
        return False
    return True


def test_it_hears_the_new_primary(primary):
    cache = caches["default"]
    assert eventually(lambda: cache.local.enabled)
    assert writes(cache, "before")
    assert eventually(lambda: cache.get("k") == "before" and cache.make_key("k") in cache.local)
    primary.kill()
    assert eventually(lambda: not cache.local._enabled)
    assert eventually(lambda: cache.local.enabled)
    assert eventually(lambda: writes(cache, "after"))
    assert eventually(lambda: cache.get("k") == "after" and cache.make_key("k") in cache.local)
    elsewhere = cache.client.get_client(write=True)
    elsewhere.set(cache.make_key("k"), 3)
    assert eventually(lambda: cache.get("k") == 3, 1)
