"""From a request to its job, and to the job's job: in processes of their own, on databases that lag."""

from __future__ import annotations

import json

import pytest

from tests.db.databases import ROUTER, sharding
from tests.integration.queue.processes import eventually

pytestmark = pytest.mark.servers

ENGINE = "scalekit.db.backends.postgresql"
HERE = "tests.integration.queue.travelling"
OWNERS = (1, 2, 3, 4, 5, 6)  # some on either shard
VISIT = f"""
from django.test import Client
for owner in {OWNERS}:
    Client().get(f"/upload/{{owner}}/")
"""


@pytest.fixture
def queue_database(new_queue_database):
    return new_queue_database(ENGINE=ENGINE)


@pytest.fixture
def replica(postgres_replicas, queue_database):
    """Give a replica that has the empty database, and receives from now on what it does not show."""
    replica, _ = postgres_replicas
    replica.catch_up()
    with replica.replay_paused():
        yield replica
    replica.catch_up()


@pytest.fixture
def queue_databases(queue_database, new_queue_database, queue_template, replica):
    shards = {f"shard_{number}": new_queue_database(ENGINE=ENGINE) for number in range(2)}
    for shard in shards.values():
        queue_template.execute(
            "CREATE TABLE photo (id bigint PRIMARY KEY, owner_id bigint)", database=shard["NAME"]
        )
    own = {"NAME": queue_database["NAME"], "ENGINE": ENGINE}
    lagging = replica.django_settings(**own, SCALEKIT={"REPLICA_OF": "default"})
    return {"default": queue_database, **shards, "replica_1": lagging}


@pytest.fixture
def queue_settings():
    return {
        "ALLOWED_HOSTS": ["testserver"],
        "ROOT_URLCONF": f"{HERE}.urls",
        "DATABASE_ROUTERS": ROUTER,
        "INSTALLED_APPS": [
            "scalekit.db",
            "scalekit.observability",
            "scalekit.queue",
            "scalekit.regions",
            "tests.integration.queue.project",
            HERE,
        ],
        "MIDDLEWARE": [
            "scalekit.observability.middleware.RequestMiddleware",
            "scalekit.regions.middleware.RegionMiddleware",
            "scalekit.db.middleware.ReadYourWrites",
        ],
        "LOGGING": {
            "version": 1,
            "formatters": {"json": {"()": "scalekit.observability.logging.JSONFormatter"}},
            "handlers": {"stderr": {"class": "logging.StreamHandler", "formatter": "json"}},
            "root": {"handlers": ["stderr"], "level": "INFO"},
        },
        "SCALEKIT_DB_MAX_LAG": 600,
        "SCALEKIT_DB_SHARDING": sharding("shard_0", "shard_1"),
        "SCALEKIT_REGION": "eu-1",
    }


@pytest.fixture
def visited(manage, start_worker, queue_settings, journal):
    """Let six visitors upload, and their jobs run in another region; give the two logs and what jobs saw."""
    elsewhere = json.dumps({**queue_settings, "SCALEKIT_REGION": "us-1"})
    worker = start_worker(QUEUE_SETTINGS=elsewhere).ready()
    web = manage("shell", "-v0", "-c", VISIT)
    assert web.wait(60) == 0, web.output
    assert eventually(lambda: len(journal()) == 2 * len(OWNERS), 30), worker.output
    return web, worker, [json.loads(line) for line in journal()]


def ids_in(process, event):
    """Return the request ids of the lines of a JSON log in which something happened."""
    lines = [json.loads(line) for line in process.output.splitlines() if line.startswith("{")]
    return sorted(line["request_id"] for line in lines if event in line["event"])


def test_job_and_its_child_are_of_their_request(visited):
    """One run for all: it takes two processes, four databases and a replica that shows nothing."""
    web, worker, seen = visited
    ids = ids_in(web, "GET /upload/")
    assert len(set(ids)) == len(OWNERS)
    assert ids_in(worker, "developing") == ids_in(worker, "making a thumbnail") == ids
    assert {one["region"] for one in seen} == {"eu-1"}
    assert [one["sees"] for one in seen] == [True] * 2 * len(OWNERS)
    assert [one["replica_sees"] for one in seen] == [False] * 2 * len(OWNERS)
    assert all(one["owner"] in one["photos"] for one in seen)
    assert not any(set(OWNERS) <= set(one["photos"]) for one in seen)
