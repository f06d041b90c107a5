"""The short form of `make chaos`: a site that takes orders while its workers, relay and Redis are killed."""

from __future__ import annotations

import pytest

from benchmarks.chaos.__main__ import settle
from benchmarks.chaos.faults import Storm, write_always
from benchmarks.chaos.ledger import stumbles
from benchmarks.chaos.site import THREADS, WARM, Site
from benchmarks.queue_peers import peers

JOBS, RATE = 300, 50
SOON = 3  # seconds until a dead worker's jobs are run elsewhere; 15 by default


@pytest.fixture
def site(scalekit_servers):
    valkey = scalekit_servers.valkey(appendonly=True)
    write_always(valkey)
    options = {"url": valkey.url, "heartbeat_timeout": SOON * 1000}
    site = Site(
        scalekit_servers,
        scalekit_servers.postgres("primary"),
        valkey,
        peers()["scalekit"],
        SCALEKIT_QUEUE_LEASE_SECONDS=SOON,
        SCALEKIT_QUEUE_BROKER={
            "default": {
                "BACKEND": "scalekit.queue.brokers.redis.RedisBroker",
                "OPTIONS": options,
            },
        },
    )
    try:
        site.open()
        yield site
    finally:
        site.close()


@pytest.mark.servers
def test_no_job_is_lost_and_every_effect_happens_once_in_a_storm(site):
    producer = site.produce(WARM, WARM + JOBS, RATE)
    storm = Storm(site, JOBS / RATE, relays=2, restarts=1)
    storm.rage()
    failed = int(producer.communicate()[0])
    counts = settle(site, patience=30)
    assert storm.kills >= 3
    assert storm.relay_kills + storm.redis_kills >= 2
    assert (failed, counts.orders) == (0, JOBS)
    assert (counts.lost, counts.unordered) == (0, 0)
    assert counts.effects == JOBS
    assert counts.runs - JOBS - stumbles(WARM, WARM + JOBS) <= storm.kills * THREADS
