"""Real servers as pytest fixtures: one topology for the session, and a fresh one for a test that breaks things.

Each server starts when a test first asks for it. Where a server's program is missing the test is skipped, except
with CI=true in the environment, where a missing server is a failure. This module imports neither Django nor the
servers: pytest loads it in every project that has scalekit installed.
"""

from __future__ import annotations

import os
from contextlib import ExitStack
from typing import TYPE_CHECKING

import pytest

if TYPE_CHECKING:
    from collections import Counter
    from collections.abc import Callable, Generator, Iterator

    from scalekit.testing.cache import FakeClock
    from scalekit.testing.queue import CapturedJobs
    from scalekit.testing.servers import Postgres, Process, RabbitMQ, Topology, Valkey


@pytest.fixture(scope="session")
def scalekit_topology() -> Iterator[Topology]:
    """Give the topology that all session fixtures of this plugin live in; add servers of your own to it."""
    from scalekit.testing.servers import Topology

    with Topology() as topology:
        yield topology


@pytest.fixture
def scalekit_servers(scalekit_topology: Topology) -> Iterator[Topology]:
    """Give a fresh topology for this test alone, which may kill, freeze or promote what is in it.

    It copies the initialised PostgreSQL cluster of the session's, so that initdb runs once.
    """
    from scalekit.testing.servers import Topology

    with Topology(templates=scalekit_topology.templates) as topology:
        yield topology


@pytest.fixture(scope="session")
def postgres_primary(scalekit_topology: Topology) -> Postgres:
    """Give the primary of the session."""
    return scalekit_topology.postgres("primary")


@pytest.fixture(scope="session")
def postgres_replicas(
    scalekit_topology: Topology, postgres_primary: Postgres
) -> tuple[Postgres, Postgres]:
    """Give two hot standbys that stream from the primary of the session."""
    replica = scalekit_topology.postgres_replica
    return replica(postgres_primary, "replica_1"), replica(postgres_primary, "replica_2")


@pytest.fixture(scope="session")
def postgres_shards(scalekit_topology: Topology) -> tuple[Postgres, Postgres]:
    """Give two further primaries."""
    return scalekit_topology.postgres("shard_0"), scalekit_topology.postgres("shard_1")


@pytest.fixture(scope="session")
def valkey(scalekit_topology: Topology) -> Valkey:
    """Give the Valkey (or Redis) of the session; it is not emptied between tests."""
    return scalekit_topology.valkey("valkey")


@pytest.fixture(scope="session")
def rabbitmq(scalekit_topology: Topology) -> RabbitMQ:
    """Give the RabbitMQ of the session; its queues are not removed between tests."""
    return scalekit_topology.rabbitmq("rabbitmq")


@pytest.fixture
def scalekit_replicas(db: None) -> Iterator[Counter[str]]:  # noqa: ARG001 - pytest-django's, to begin before
    """Let the test read from replicas as in production, and give the reads by alias; needs pytest-django."""
    from scalekit.testing.replicas import visible_replicas

    with visible_replicas() as reads:
        yield reads


@pytest.fixture
def scalekit_cache() -> Iterator[FakeClock]:
    """Give the test empty caches, which are given up after it, and the clock that moves what is in them."""
    from scalekit.testing.cache import fake_clock, fresh_cache

    with fresh_cache(), fake_clock() as clock:
        yield clock


@pytest.fixture
def scalekit_jobs() -> Iterator[CapturedJobs]:
    """Give the jobs that the test enqueues; nothing runs them but `run_jobs()`."""
    from scalekit.testing.queue import captured_jobs

    with captured_jobs() as jobs:
        yield jobs


@pytest.fixture
def scalekit_worker(transactional_db: None) -> Iterator[Callable[..., Process]]:  # noqa: ARG001 - committed, to be seen
    """Give a function that starts a worker process on the databases of the test: ``scalekit_worker("--threads=4")``."""
    from scalekit.testing.queue import running_worker

    with ExitStack() as stack:
        yield lambda *arguments, **env: stack.enter_context(running_worker(*arguments, **env))


@pytest.hookimpl(wrapper=True)
def pytest_runtest_setup() -> Generator[None, object, object]:
    """Skip, outside CI, a test whose fixtures need a server that is not installed."""
    return (yield from _skipping_what_is_missing())


@pytest.hookimpl(wrapper=True)
def pytest_runtest_call() -> Generator[None, object, object]:
    """Skip, outside CI, a test that itself asks for a server that is not installed."""
    return (yield from _skipping_what_is_missing())


def _skipping_what_is_missing() -> Generator[None, object, object]:
    try:
        return (yield)
    except Exception as error:
        if os.environ.get("CI") == "true" or not _is_missing_binary(error):
            raise
        pytest.skip(str(error))


def _is_missing_binary(error: Exception) -> bool:
    """Compare by name: importing the class here would import the servers for every failing test of a project."""
    return (
        type(error).__module__.startswith("scalekit.")
        and type(error).__name__ == "ServerBinaryMissing"
    )
