"""A job that looks at what its request wrote, and has a child that does the same."""

from __future__ import annotations

import json
import logging
import os
from pathlib import Path

from scalekit.core.context import facts
from scalekit.queue import task

logger = logging.getLogger("travelling")


@task
def develop(name):
    logger.info("developing")
    note("parent", name)
    make_thumbnail.enqueue(name)


@task
def make_thumbnail(name):
    logger.info("making a thumbnail")
    note("child", name)


def note(who, name):
    """Write down what a job sees."""
    from tests.integration.queue.travelling.models import Effect, Photo

    sees = Effect.objects.filter(name=name).exists()
    replica_sees = Effect.objects.using("replica_1").filter(name=name).exists()
    seen = {
        "who": who,
        "owner": int(name.split()[-1]),
        "sees": sees,
        "replica_sees": replica_sees,
        "photos": sorted(Photo.objects.values_list("id", flat=True)),
        "region": facts["region"].get(),
        "request_id": facts["request_id"].get(),
    }
    with Path(os.environ["JOURNAL"]).open("a") as journal:
        journal.write(json.dumps(seen) + "\n")
