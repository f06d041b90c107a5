"""The row of a job, and what happens to it from outside."""

from __future__ import annotations

from datetime import timedelta

from django.utils import timezone

from scalekit.queue.models import TaskRecord


def row_of(job):
    return TaskRecord.objects.get(pk=job.message.message_id)


def lose_worker(job):
    """Let the lease of `job` run out."""
    TaskRecord.objects.filter(pk=job.record.pk).update(
        leased_until=timezone.now() - timedelta(seconds=1)
    )
