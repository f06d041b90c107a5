"""From a TaskResult, or its id, to the row of its job."""

from __future__ import annotations

from typing import Any
from uuid import UUID

from scalekit.queue.conf import settings
from scalekit.queue.frameworks import framework
from scalekit.queue.models import TaskRecord


def find_record(result: Any, database: str | None = None) -> tuple[TaskRecord, str]:
    """Return the row of the job with this TaskResult or id, and the alias of its database.

    Asks each of SCALEKIT_QUEUE_DATABASES, on the primary, or `database` alone. Raises TaskResultDoesNotExist,
    also for a job whose row is there only until it is published: it may be on its way already.
    """
    id_ = str(getattr(result, "id", result))
    try:
        uuid = UUID(id_)
    except ValueError as error:
        raise _does_not_exist(id_) from error
    for alias in [database] if database else settings.DATABASES:
        if record := TaskRecord.objects.using(alias).filter(pk=uuid, kept=True).first():
            return record, alias
    raise _does_not_exist(id_)


def _does_not_exist(id_: str) -> Exception:
    error: type[Exception] = framework().exceptions.TaskResultDoesNotExist
    return error(f"There is no job {id_[:100]!r}: rolled back, forgotten, or record=False.")
