"""Jobs in the tests of your site: docs/howto/test_jobs.md.

    with captured_jobs() as jobs:            # what a worker would get, and nothing that rolled back
        self.client.post("/photos/", ...)
    jobs.assert_enqueued(make_thumbnail, photo.id)

    run_jobs()                               # all that is due, in this thread, with records and retries
    run_jobs(ahead=3600)                     # and what becomes due within an hour

    with running_worker() as worker:         # a process: needs a real broker and a committed database
        ...

The first two work in `TestCase`, `TransactionTestCase` and pytest, without any server.
"""

from __future__ import annotations

from .capture import CapturedJob, CapturedJobs, assert_enqueued, captured_jobs
from .exceptions import JobsDoNotEnd, QueueUntestable
from .inline import RanJob, arun_jobs, run_jobs
from .worker import running_worker

__all__ = [
    "CapturedJob",
    "CapturedJobs",
    "JobsDoNotEnd",
    "QueueUntestable",
    "RanJob",
    "arun_jobs",
    "assert_enqueued",
    "captured_jobs",
    "run_jobs",
    "running_worker",
]
