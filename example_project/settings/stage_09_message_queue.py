"""Thumbnails are made by workers: ``manage.py run_workers``."""

from .environment import required
from .stage_08_data_centres import *

TASKS = {"default": {"BACKEND": "scalekit.queue.backend.DramatiqBackend"}}
SCALEKIT_QUEUE_BROKER = {
    "default": {
        "BACKEND": "scalekit.queue.brokers.redis.RedisBroker",
        "OPTIONS": {"url": required("QUEUE_URL", example="redis://queue.internal:6379/1")},
    },
}
INSTALLED_APPS = [*INSTALLED_APPS, "scalekit.queue"]
