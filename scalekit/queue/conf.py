from __future__ import annotations

from typing import Any

from scalekit.core.conf import Setting, Settings

Number = float | int
NUMBER = (int, float)


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
    DRAIN_SECONDS: Setting[Number] = Setting(
        25,
        "Seconds that running jobs get to finish when a worker is told to stop. Stay under the time "
        "after which your platform kills (Kubernetes: 30).",
        kind=NUMBER,
        valid=lambda value: value >= 0,
        expected="a number from 0",
    )


settings = QueueSettings()
