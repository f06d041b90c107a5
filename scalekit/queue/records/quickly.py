"""What most jobs need, in one statement for all of a group: PostgreSQL can change rows and return them.

Only what went the usual way is answered here. Whoever gets no answer (the job is another's, its worker died, it
was cancelled ...) is for `scalekit.queue.records.writing`, which tells these apart.
"""

from __future__ import annotations

import json
from pathlib import Path
from typing import TYPE_CHECKING

from django.db import connections

from scalekit.queue.conf import settings
from scalekit.queue.models import TaskRecord
from scalekit.queue.records.steps import Claimed, Ended, Ending

if TYPE_CHECKING:
    from collections.abc import Sequence

    from scalekit.queue.records.steps import Claim

BEGIN, SUCCEED = (
    Path(__file__).with_name(f"{name}.sql").read_text() for name in ("begin", "succeed")
)


def can_be_quick(database: str) -> bool:
    """Tell whether a statement here is a transaction of its own, on PostgreSQL."""
    connection = connections[database]
    return connection.vendor == "postgresql" and not connection.in_atomic_block


def begin(database: str, claims: Sequence[Claim]) -> list[Claimed | None]:
    """Begin the jobs that nobody has begun, or that are due to be tried again."""
    wanted = {
        "ids": [claim.id for claim in claims],
        "worker": claims[0].worker,  # this process, for all
        "lease": settings.LEASE_SECONDS,
    }
    found = {row.pk: row for row in TaskRecord.objects.using(database).raw(BEGIN, wanted)}
    # Of two messages of one job, the first has it.
    rows = (found.pop(claim.id, None) for claim in claims)
    return [None if row is None else Claimed("begin", row) for row in rows]


def succeed(database: str, endings: Sequence[Ending]) -> list[Ended | None]:
    """Finish the jobs that succeeded and have nothing to say but their value."""
    said = [
        {"id": str(ending.id), "attempt": ending.record.attempt, "value": ending.value}
        for ending in endings
        if ending.is_plain_success
    ]
    if not said:
        return [None] * len(endings)
    with connections[database].cursor() as cursor:
        keep = settings.KEEP_SUCCESSFUL_SECONDS
        cursor.execute(SUCCEED, {"said": json.dumps(said), "keep": keep})
        finished = dict(cursor.fetchall())
    return [
        Ended("written", {**ending.fields, "finished_at": at}, at)
        if (at := finished.get(ending.id))
        else None
        for ending in endings
    ]
