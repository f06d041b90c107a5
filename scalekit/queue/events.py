"""What the queue announces.

`task` is the dotted path of the task, the name of the actor, or ``unknown`` for a message that named
none; `wait` counts from when the job could have started.
"""

from __future__ import annotations

import logging

from scalekit.core.events import Event

JOB_STORED = Event(
    "queue_job_stored",
    "A job was written into the outbox, in a transaction that may yet roll back.",
    labels=("task", "queue"),
)
JOB_ENQUEUED = Event(
    "queue_job_enqueued", "A job was handed to the broker.", labels=("task", "queue")
)
PUBLISH_FAILED = Event(
    "queue_publish_failed", "The broker did not take a job.", labels=("task", "queue")
)
FAST_PATH_LEFT = Event(
    "queue_fast_path_left",
    "Jobs were left to the relay, since the broker did not answer a moment ago.",
    labels=("database",),
)
RELAYED = Event(
    "queue_relayed",
    "The relay published a batch of jobs; `late` is how long the first of them had been due.",
    labels=("database",),
    seconds="late",
)
RELAY_BURIED = Event(
    "queue_relay_buried",
    "A job can never be published and went to the dead letters.",
    labels=("task", "queue"),
    level=logging.ERROR,
)
JOBS_LOST = Event(
    "queue_jobs_lost",
    "Jobs whose worker gives no sign of life are published again.",
    labels=("database",),
    level=logging.WARNING,
)
DUTY_DONE = Event(
    "queue_duty_done",
    "A relay process did one of its duties.",
    labels=("duty", "database"),
    seconds="duration",
)
DUTY_FAILED = Event(
    "queue_duty_failed",
    "A duty of the relay process failed; it is done again.",
    labels=("duty", "database"),
    level=logging.ERROR,
)
JOB_STARTED = Event(
    "queue_job_started", "A worker took up a job.", labels=("task", "queue"), seconds="wait"
)
JOB_FINISHED = Event(
    "queue_job_finished",
    "A worker is done with one attempt: succeeded, retrying, failed, refused, skipped, or late.",
    labels=("task", "queue", "outcome"),
    seconds="duration",
    level=logging.INFO,
)
MESSAGE_REFUSED = Event(
    "queue_message_refused",
    "A message was not trusted and went to the dead letters.",
    labels=("queue", "reason"),
    level=logging.WARNING,
)
CRON_FIRED = Event(
    "queue_cron_fired",
    "A scheduler enqueued the job of a cron slot.",
    labels=("entry", "task"),
    level=logging.INFO,
)
CRON_FAILED = Event(
    "queue_cron_failed",
    "A cron slot could not be fired; the log says why, and it is tried again.",
    labels=("entry",),
    level=logging.ERROR,
)
DEAD_REQUEUED = Event(
    "queue_dead_requeued",
    "An operator had a dead letter run again.",
    labels=("queue",),  # a dead letter's task may be anybody's invention
    level=logging.INFO,
)
DEAD_DISCARDED = Event(
    "queue_dead_discarded",
    "An operator discarded a dead letter.",
    labels=("queue",),
    level=logging.INFO,
)
JOB_TAKEN_OVER = Event(
    "queue_job_taken_over",
    "A job whose worker gave no more sign of life was begun by another, or given up.",
    labels=("task", "queue", "outcome"),
    level=logging.WARNING,
)
COMPLETION_REJECTED = Event(
    "queue_completion_rejected",
    "A worker that had lost its lease was done with a job after all; what it says of it does not count.",
    labels=("task", "queue"),
    level=logging.WARNING,
)
RECORD_WAITING = Event(
    "queue_record_waiting",
    "The record of a job could not be written, because its database does not answer; it is tried again.",
    labels=("database",),
    level=logging.WARNING,
)
JOB_POSTPONED = Event(
    "queue_job_postponed",
    "A job was over a limit of its task and comes back later: rate or concurrency.",
    labels=("task", "queue", "limit"),
)
JOB_CANCELLED = Event(
    "queue_job_cancelled",
    "A job was ended before it began, or asked to stop.",
    labels=("task", "queue"),
    level=logging.INFO,
)
WORKER_LOST = Event(
    "queue_worker_lost",
    "A process that run_workers had started ended though nobody had told it to: killed, or exited.",
    labels=("process", "how"),
    level=logging.ERROR,
)
WORKER_OUTGROWN = Event(
    "queue_worker_outgrown",
    "A worker process reached its limit (memory, jobs) and is being replaced.",
    labels=("limit",),
    level=logging.INFO,
)
WORKERS_SCALED = Event(
    "queue_workers_scaled",
    "The number of worker processes was changed.",
    labels=("direction",),
    level=logging.INFO,
)
JOBS_SEEN = Event(
    "queue_jobs",
    "Jobs of a queue, by state: waiting, delayed, in_flight, dead.",
    labels=("queue", "state"),
    gauge="jobs",
)
LATENCY_SEEN = Event(
    "queue_latency_seconds",
    "For how long the oldest waiting job of a queue has waited.",
    labels=("queue",),
    gauge="latency",
)
OUTBOX_SEEN = Event(
    "queue_outbox_age_seconds",
    "For how long the oldest row of the outbox has been due without being published.",
    gauge="age",
)
PROCESSES_SEEN = Event(
    "queue_worker_processes",
    "Worker processes of one run_workers, by state: ready, starting, draining.",
    labels=("state",),
    gauge="processes",
)
