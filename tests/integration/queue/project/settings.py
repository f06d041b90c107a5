"""A project with a queue and nothing else; what differs from test to test comes from the environment."""

from __future__ import annotations

import json
import os

SECRET_KEY = "of a test"
INSTALLED_APPS = ["scalekit.queue", "tests.integration.queue.project"]
DATABASES = json.loads(os.environ["QUEUE_DATABASES"])
USE_TZ = True

TASKS = {
    "default": {
        "BACKEND": "scalekit.queue.backend.DramatiqBackend",
        "QUEUES": ["default", "mail"],
    },
}
SCALEKIT_QUEUE_BROKER = {"default": json.loads(os.environ["QUEUE_BROKER"])}
SCALEKIT_QUEUE_MIN_BACKOFF = 0.05
SCALEKIT_QUEUE_DRAIN_SECONDS = float(os.environ.get("QUEUE_DRAIN", "10"))

globals().update(json.loads(os.environ.get("QUEUE_SETTINGS", "{}")))
