from __future__ import annotations

from typing import Any

from scalekit.core.conf import Setting, Settings

Number = float | int
NUMBER = (int, float)
MINUTE = 60  # seconds


class QueueSettings(Settings):
    prefix = "SCALEKIT_QUEUE_"

    BROKER: Setting[dict[str, dict[str, Any]]] = Setting(
        dict,
        'The broker, as {"default": {"BACKEND": "scalekit.queue.brokers.redis.RedisBroker", '
        '"OPTIONS": {"url": "redis://queue.internal:6379/1"}}}.',
        kind=dict,
    )
    MAX_RETRIES: Setting[int] = Setting(
        3,
        "How often a job that raised is run again before it goes to the dead letters.",
        kind=int,
        valid=lambda value: value >= 0,
        expected="a whole number from 0",
    )
    MIN_BACKOFF: Setting[Number] = Setting(
        15,
        "Seconds before the first retry; doubled for each one after it, with up to as much again at random.",
        kind=NUMBER,
        valid=lambda value: value > 0,
        expected="a number above 0",
    )
    MAX_BACKOFF: Setting[Number] = Setting(
        3600,
        "Seconds before a retry at the most.",
        kind=NUMBER,
        valid=lambda value: value > 0,
        expected="a number above 0",
    )
    TIME_LIMIT: Setting[Number] = Setting(
        600,
        "Seconds after which a task is interrupted, which counts as a failure.",
        kind=NUMBER,
        valid=lambda value: value > 0,
        expected="a number above 0",
    )
    LEASE_SECONDS: Setting[Number] = Setting(
        15,
        "Seconds without a sign of life from its worker after which a job is another's to run. Workers give "
        "one three times as often.",
        kind=NUMBER,
        valid=lambda value: value >= 1,
        expected="a number from 1",
    )
    MAX_DELIVERIES: Setting[int] = Setting(
        3,
        "How often a job is begun whose workers die of it, before it goes to the dead letters.",
        kind=int,
        valid=lambda value: value >= 1,
        expected="a whole number from 1",
    )
    KEEP_SUCCESSFUL_SECONDS: Setting[Number | None] = Setting(
        86_400,
        "Seconds for which the record and result of a successful job are kept; None keeps them for ever.",
        kind=(*NUMBER, type(None)),
        valid=lambda value: value is None or value >= 0,
        expected="a number from 0, or None",
    )
    KEEP_FAILED_SECONDS: Setting[Number | None] = Setting(
        30 * 86_400,
        "Seconds for which a dead letter, the record of a job that failed for good, is kept; None keeps them "
        "for ever.",
        kind=(*NUMBER, type(None)),
        valid=lambda value: value is None or value >= 0,
        expected="a number from 0, or None",
    )
    KEEP_INBOX_SECONDS: Setting[Number | None] = Setting(
        90 * 86_400,
        "Seconds for which once() knows an effect; longer than a job may be run again, out of the dead "
        "letters too. None: for ever.",
        kind=(*NUMBER, type(None)),
        valid=lambda value: value is None or value > 0,
        expected="a number above 0, or None",
    )
    DRAIN_SECONDS: Setting[Number] = Setting(
        25,
        "Seconds that running jobs get to finish when a worker is told to stop. Stay under the time "
        "after which your platform kills (Kubernetes: 30).",
        kind=NUMBER,
        valid=lambda value: value >= 0,
        expected="a number from 0",
    )
    DATABASES: Setting[list[str]] = Setting(
        lambda: ["default"],
        "The databases that have the tables of the queue: primaries, shards too. A job lies in the one "
        "whose transaction enqueued it; what there is but once (cron, paused queues) lies in the first.",
        kind=(list, tuple),
        valid=lambda value: bool(value) and all(isinstance(alias, str) for alias in value),
        expected="a list of aliases of DATABASES",
    )
    UNCLAIMED_SECONDS: Setting[Number] = Setting(
        900,
        "Seconds after which a published job that no worker has claimed is published again, in case the "
        "broker has lost it; doubled each time.",
        kind=NUMBER,
        valid=lambda value: value >= 1,
        expected="a number from 1",
    )
    CRON: Setting[dict[str, dict[str, Any]]] = Setting(
        dict,
        "What is enqueued at which times: each entry has a TASK and a CRON expression, and may have ARGS, "
        "KWARGS, TIME_ZONE and CATCH_UP.",
        kind=dict,
        example={"nightly": {"TASK": "shop.tasks.nightly", "CRON": "0 3 * * *"}},
    )
    CRON_CATCH_UP: Setting[Number] = Setting(
        3600,
        "Seconds that a cron slot may be late, after a downtime, and still be fired; of several missed "
        "ones the last.",
        kind=NUMBER,
        valid=lambda value: value >= MINUTE,
        expected="a number from 60",
    )


settings = QueueSettings()
