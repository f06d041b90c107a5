from __future__ import annotations

from scalekit.core.apps import RungConfig


class QueueConfig(RungConfig):
    name = "scalekit.queue"
    label = "scalekit_queue"
    verbose_name = "scalekit: queue"
