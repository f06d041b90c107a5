"""Workers that gunicorn forked from a process whose tier was warm: each listens for itself."""

from __future__ import annotations

import json
import os
import sys
from pathlib import Path
from urllib.request import urlopen

import pytest
import redis
from tiers import TIERED, eventually, redis_entry

pytestmark = pytest.mark.servers

WORKERS = 2
HERE = Path(__file__).parent


@pytest.fixture
def server(scalekit_servers):
    return scalekit_servers.valkey("cache")


@pytest.fixture
def ask(scalekit_servers, server):
    """Run the site; return what asks it."""
    port = scalekit_servers.free_port()
    caches = {
        "shared": redis_entry(server),
        "default": {"BACKEND": TIERED, "OPTIONS": {"over": "shared", "ttl": 600}},
    }
    gunicorn = [sys.executable, "-W", "ignore::DeprecationWarning", "-m", "gunicorn", "--preload"]
    scalekit_servers.process(
        "site",
        [*gunicorn, f"--workers={WORKERS}", f"--bind=127.0.0.1:{port}", "preloaded_site"],
        port=port,
        cwd=HERE,
        env={
            "SITE_CACHES": json.dumps(caches),
            "PYTHONPATH": os.pathsep.join([str(HERE), str(HERE.parents[2])]),
        },
    )

    def ask() -> dict:
        with urlopen(f"http://127.0.0.1:{port}/", timeout=10) as answer:
            return json.load(answer)

    return ask


def test_each_worker_listens_for_itself(server, ask):
    near: set[int] = set()

    def all_are_near() -> bool:
        answer = ask()
        near.update([answer["pid"]] if answer["near"] else [])
        return len(near) == WORKERS

    assert eventually(all_are_near, 20)
    with redis.Redis.from_url(server.url) as client:
        assert (
            len(client.client_list(_type="pubsub")) == WORKERS + 1
        )  # and the one that forked them
        client.set(":1:k", 7)
    shown: dict[int, object] = {}

    def all_show_it() -> bool:
        answer = ask()
        shown[answer["pid"]] = answer["value"]
        return list(shown.values()) == [7] * WORKERS

    assert eventually(all_show_it, 20)  # less than the ttl: they were told
