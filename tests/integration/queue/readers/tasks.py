"""Tasks that read what their request wrote, where replicas lag."""

from __future__ import annotations

from django.db import connections, router

from scalekit.db import using_replica
from scalekit.queue import task
from scalekit.queue.models import TaskRecord
from tests.integration.queue.project.tasks import write


def seen(name):
    """Return how often `name` is in the table `effect`, where the router lets us read."""
    with connections[router.db_for_read(TaskRecord)].cursor() as cursor:
        cursor.execute("SELECT count(*) FROM effect WHERE name = %s", [name])
        return cursor.fetchone()[0]


def read_back(context, name):
    with using_replica():
        stale = seen(name)
    write(f"{name}: {seen(name)} here, {stale} on the replica")
    if context.attempt == 1:
        raise ValueError("once more")


@task(takes_context=True)
def with_a_record(context, name):
    read_back(context, name)


@task(takes_context=True, record=False)
def without_a_record(context, name):
    """Nothing but the message says what this must see: no claim is written on the primary for it."""
    read_back(context, name)
