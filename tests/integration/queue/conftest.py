"""A PostgreSQL with the queue's tables, a Valkey, and processes of the project on both.

`queue_database`   the entry of DATABASES["default"], a fresh database for each test
`queue_databases`  DATABASES; override it in a test module for more than one (`new_queue_database` makes them)
`queue_settings`   further settings, of this process and of those that are started; override it likewise
`own_valkey`       a Valkey for the broker of this test alone
`options`          OPTIONS of the broker; `broker_entry` the whole of SCALEKIT_QUEUE_BROKER["default"]
`broker`           the broker, with this process's Django on all of the above: enqueue here
`start_worker`     one worker process, no supervisor: kill it and it is dead
`start_workers`    ``run_workers``: the supervisor with what it starts
`start_relay`      ``run_relay``
`manage`           any other command of the project
`journal`          the lines that tasks have written
`effects`          the names that tasks `affect` have written into their database
`rows`             the rows of jobs, as SQL sees them, whatever this process's Django is set to
"""

from __future__ import annotations

import json
import subprocess
from uuid import uuid4

import pytest

from tests.db.databases import databases
from tests.integration.queue.processes import Manage, environment, eventually

__all__ = ["eventually"]

TEMPLATE = "queue_template"
EFFECTS = "CREATE TABLE effect (id bigserial PRIMARY KEY, name text NOT NULL)"
TASKS = {
    "default": {
        "BACKEND": "scalekit.queue.backend.DramatiqBackend",
        "QUEUES": ["default", "mail"],
    },
}


@pytest.fixture(scope="session")
def queue_template(postgres_primary, tmp_path_factory):
    """Give the server with a database that has the tables, to be copied: that takes a tenth of migrating."""
    return with_template(postgres_primary, tmp_path_factory.mktemp("queue_template"))


def with_template(server, folder):
    """Migrate the template on a server."""
    server.create_database(TEMPLATE)
    entry = server.django_settings(NAME=TEMPLATE)
    env = environment({"default": entry}, {"BACKEND": "scalekit.queue.brokers.memory.MemoryBroker"})
    migrating = Manage(folder, env, "migrate", "-v0")
    try:
        assert migrating.wait(60) == 0, migrating.output
    except subprocess.TimeoutExpired:
        migrating.close()
        raise
    server.execute(EFFECTS, database=TEMPLATE)
    return server


@pytest.fixture
def new_queue_database(queue_template):
    """Give a function that makes a database with the tables and returns its entry; all end with the test."""
    names = []

    def make(**extra):
        names.append(f"queue_{uuid4().hex[:12]}")
        queue_template.execute(f"CREATE DATABASE {names[-1]} TEMPLATE {TEMPLATE}")
        more = {"CONN_MAX_AGE": 60, "CONN_HEALTH_CHECKS": True, **extra}
        return queue_template.django_settings(NAME=names[-1], **more)

    yield make
    for name in names:
        queue_template.execute(f"DROP DATABASE {name} WITH (FORCE)")


@pytest.fixture
def queue_database(new_queue_database):
    return new_queue_database()


@pytest.fixture
def queue_databases(queue_database):
    return {"default": queue_database}


@pytest.fixture
def queue_settings():
    return {}


@pytest.fixture
def own_valkey(scalekit_servers):
    """Give a Valkey of this test alone, which may be killed; nothing in it survives that."""
    return scalekit_servers.valkey("queue")


@pytest.fixture
def options(request):
    """Give the broker's OPTIONS; what the tests leave behind lies under a name of its own."""
    whose = "own_valkey" if "own_valkey" in request.fixturenames else "valkey"
    return {"url": request.getfixturevalue(whose).url, "namespace": uuid4().hex}


@pytest.fixture
def broker_entry(options):
    return {"BACKEND": "scalekit.queue.brokers.redis.RedisBroker", "OPTIONS": options}


@pytest.fixture
def in_project(settings, broker_entry, queue_databases, queue_settings, django_db_blocker):
    """Let this process have the databases and the broker of the project."""
    settings.TASKS = TASKS
    settings.SCALEKIT_QUEUE_BROKER = {"default": broker_entry}
    for name, value in queue_settings.items():
        setattr(settings, name, value)
    with django_db_blocker.unblock(), databases(queue_databases, DATABASE_ROUTERS=[]):
        yield


@pytest.fixture
def broker(in_project):
    """Give the broker that tasks enqueued in this process go to."""
    from scalekit.queue.brokers import default_broker

    broker = default_broker()
    yield broker
    broker.close()
    if hasattr(broker, "client"):
        broker.client.close()


@pytest.fixture
def journal(tmp_path):
    """Give a function that reads the lines that tasks have written."""
    path = tmp_path / "journal"
    return lambda: path.read_text().splitlines() if path.exists() else []


@pytest.fixture
def rows(queue_template, queue_database):
    """Give a function that reads columns of all jobs, oldest first: ``rows("status", "attempt")``."""
    name = queue_database["NAME"]

    def read(*columns):
        sql = f"SELECT {', '.join(columns)} FROM scalekit_queue_taskrecord ORDER BY enqueued_at, id"
        return queue_template.execute(sql, database=name)

    return read


@pytest.fixture
def effects(queue_template, queue_database):
    """Give a function that returns what the tasks `affect` have done, in order."""
    name, sql = queue_database["NAME"], "SELECT name FROM effect ORDER BY id"
    return lambda: [row[0] for row in queue_template.execute(sql, database=name)]


@pytest.fixture
def manage(tmp_path, broker_entry, queue_databases, queue_settings):
    """Give a function that starts a command of the project; all end with the test."""
    started = []

    def start(*args, **env):
        env = environment(
            queue_databases,
            broker_entry,
            **{
                "JOURNAL": str(tmp_path / "journal"),
                "QUEUE_SETTINGS": json.dumps(queue_settings),
                **env,
            },
        )
        started.append(Manage(tmp_path, env, *args))
        return started[-1]

    yield start
    for process in started:
        process.close()


@pytest.fixture
def start_worker(manage):
    """Give a function that starts one worker process."""
    return lambda *args, **env: manage("run_workers", "--single", "--threads=2", *args, **env)


@pytest.fixture
def start_workers(manage):
    """Give a function that starts a supervisor, which starts workers."""
    return lambda *args, **env: manage("run_workers", "--threads=2", *args, **env)


@pytest.fixture
def start_relay(manage):
    """Give a function that starts a relay process."""
    return lambda *args, **env: manage("run_relay", *args, **env)
