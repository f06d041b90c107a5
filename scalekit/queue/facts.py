from __future__ import annotations

from typing import TYPE_CHECKING

from scalekit.core.context import Fact

if TYPE_CHECKING:
    from scalekit.queue.jobs import Job

JOB: Fact[Job | None] = Fact("queue_job", None)
JOB_ID: Fact[str] = Fact("job_id", "", logged=True)
