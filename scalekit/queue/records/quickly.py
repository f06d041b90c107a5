"""What most jobs need, in one statement for all of a group: PostgreSQL can change rows and return them.

Only what went the usual way is answered here. Whoever gets no answer (the job is another's, its worker died, it
was cancelled ...) is for `scalekit.queue.records.writing`, which tells these apart.
"""

from __future__ import annotations

import json
from functools import cache
from pathlib import Path
from typing import TYPE_CHECKING, Any

from django.db import connections

from scalekit.queue.conf import settings
from scalekit.queue.models import TaskRecord
from scalekit.queue.records.steps import Claimed, Ended, Ending

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator, Sequence

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
    with connections[database].cursor() as cursor:
        cursor.execute(_begin_sql(), wanted)
        found = {row.pk: row for row in _records(cursor.fetchall(), connections[database])}
    # Of two messages of one job, the first has it.
    rows = (found.pop(claim.id, None) for claim in claims)
    return [None if row is None else Claimed("begin", row) for row in rows]


@cache
def _begin_sql() -> str:
    """Return the statement with its columns in the order of the model's, whichever the table's is."""
    columns = (f'job."{field.column}"' for field in TaskRecord._meta.concrete_fields)  # noqa: SLF001 - documented
    return BEGIN.replace("job.*", ", ".join(columns))


def _records(rows: Iterable[Sequence[Any]], connection: Any) -> Iterator[TaskRecord]:
    """Make records of rows of all columns; `raw()` would find out their order with each query, at twice the cost."""
    fields = TaskRecord._meta.concrete_fields  # noqa: SLF001 - documented
    names = [field.attname for field in fields]
    converters = [field.get_db_converters(connection) for field in fields]
    for row in rows:
        values = list(row)
        for at, functions in enumerate(converters):
            for convert in functions:
                values[at] = convert(values[at], None, connection)
        yield TaskRecord.from_db(connection.alias, names, values)


def succeed(
    database: str, endings: Sequence[Ending], statement: str = SUCCEED
) -> list[Ended | None]:
    """Finish the jobs that succeeded and have nothing to say but their value; those that `statement` finishes."""
    said = [
        {"id": str(ending.id), "attempt": ending.record.attempt, "value": ending.value}
        for ending in endings
        if ending.is_plain_success
    ]
    if not said:
        return [None] * len(endings)
    with connections[database].cursor() as cursor:
        keep = settings.KEEP_SUCCESSFUL_SECONDS
        cursor.execute(statement, {"said": json.dumps(said), "keep": keep})
        finished = dict(cursor.fetchall())
    return [
        Ended("written", {**ending.fields, "finished_at": at}, at)
        if (at := finished.get(ending.id))
        else None
        for ending in endings
    ]
