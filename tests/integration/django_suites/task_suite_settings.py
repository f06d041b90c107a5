"""Django's own tests of Tasks with our backend in the place of Django's two."""

from __future__ import annotations

DATABASES = {alias: {"ENGINE": "django.db.backends.sqlite3"} for alias in ("default", "other")}
SCALEKIT_QUEUE_BROKER = {"default": {"BACKEND": "scalekit.queue.brokers.memory.MemoryBroker"}}
SCALEKIT_QUEUE_MAX_RETRIES = 0  # Django's own backends know none
TEST_RUNNER = "task_suite_runner.Runner"
SECRET_KEY = "suite"
USE_TZ = True
