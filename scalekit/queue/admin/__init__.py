"""The pages of the admin: jobs and dead letters, queues that can be paused, and what cron enqueues."""

from __future__ import annotations

from scalekit.queue.admin.cron import CronAdmin
from scalekit.queue.admin.jobs import JobAdmin
from scalekit.queue.admin.queues import QueueAdmin

__all__ = ["CronAdmin", "JobAdmin", "QueueAdmin"]
