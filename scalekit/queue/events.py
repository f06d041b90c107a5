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
    labels=("task", "queue"),
    level=logging.INFO,
)
DEAD_DISCARDED = Event(
    "queue_dead_discarded",
    "An operator discarded a dead letter.",
    labels=("task", "queue"),
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
