"""Dead letters for the tests."""

from __future__ import annotations

from django.utils import timezone

from scalekit.queue.ids import new_id
from scalekit.queue.models import Status, TaskRecord

TRACEBACK = 'Traceback (most recent call last):\n  File "mail.py", line 3\nValueError: no luck\n'


def dead_letter(**values):
    """A row as a job leaves it that has raised four times."""
    error = {"exception_class_path": "builtins.ValueError", "traceback": TRACEBACK}
    return TaskRecord(
        **{
            "id": new_id(),
            "path": "tests.queue.sample_tasks.note",
            "queue_name": "default",
            "backend": "default",
            "status": Status.FAILED,
            "attempt": 4,
            "worker_ids": ["web-1:11"] * 4,
            "errors": [error] * 4,
            "finished_at": timezone.now(),
            **values,
        }
    )


def dead_letters(count=1, *, using="default", **values):
    rows = [dead_letter(**values) for _ in range(count)]
    return TaskRecord.objects.using(using).bulk_create(rows)
