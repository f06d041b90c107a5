"""The database connections of workers, on a real PostgreSQL."""

from __future__ import annotations

import json

import pytest

from tests.integration.queue.conftest import eventually
from tests.integration.queue.project.tasks import note_connection, note_connection_of_async_code

pytestmark = pytest.mark.servers


@pytest.fixture
def database(postgres_primary):
    """Give a DATABASES entry as a project would write it."""
    return postgres_primary.django_settings(CONN_MAX_AGE=60, CONN_HEALTH_CHECKS=True)


def test_jobs_use_one_connection_a_thread_also_from_async_code(
    broker, start_worker, journal, database
):
    for _ in range(20):
        note_connection.enqueue()
        note_connection_of_async_code.enqueue()
    start_worker(QUEUE_DATABASE=json.dumps(database)).ready()
    assert eventually(lambda: len(journal()) == 40)
    assert len(set(journal())) <= 2


def test_connection_that_the_server_closed_fails_no_job(
    broker, start_worker, journal, database, postgres_primary
):
    start_worker("--threads=1", QUEUE_DATABASE=json.dumps(database)).ready()
    note_connection.enqueue()
    assert eventually(lambda: len(journal()) == 1)
    postgres_primary.execute("SELECT pg_terminate_backend(%s)", [int(journal()[0])])
    note_connection.enqueue()
    assert eventually(lambda: len(journal()) == 2)


def test_connection_is_closed_after_the_job_where_none_may_be_kept(
    broker, start_worker, journal, database, postgres_primary
):
    database |= {"CONN_MAX_AGE": 0}
    start_worker(QUEUE_DATABASE=json.dumps(database)).ready()
    note_connection.enqueue()
    assert eventually(lambda: len(journal()) == 1)
    alive = "SELECT count(*) FROM pg_stat_activity WHERE pid = %s"
    assert eventually(lambda: postgres_primary.execute(alive, [int(journal()[0])]) == [(0,)])
