"""A shop whose orders enqueue jobs; DATABASE_PORT and DATABASE_PASSWORD name a real PostgreSQL, else it is SQLite."""

from __future__ import annotations

import os

if "DATABASE_PORT" in os.environ:
    DATABASE = {
        "ENGINE": "django.db.backends.postgresql",
        "HOST": "127.0.0.1",
        "PORT": os.environ["DATABASE_PORT"],
        "NAME": "postgres",
        "USER": "postgres",
        "PASSWORD": os.environ["DATABASE_PASSWORD"],
    }
else:
    DATABASE = {"ENGINE": "django.db.backends.sqlite3", "NAME": ":memory:"}
DATABASES = {"default": DATABASE}
INSTALLED_APPS = [
    "django.contrib.auth",
    "django.contrib.contenttypes",
    "scalekit.queue",
    "shop",
]
TASKS = {"default": {"BACKEND": "scalekit.queue.backend.DramatiqBackend"}}
NOWHERE = "redis://192.0.2.1:6379/0"  # a test that reached for the real broker would hang there
SCALEKIT_QUEUE_BROKER = {
    "default": {
        "BACKEND": "scalekit.queue.brokers.redis.RedisBroker",
        "OPTIONS": {"url": os.environ.get("QUEUE_URL", NOWHERE)},
    },
}
ROOT_URLCONF = "urls"
SECRET_KEY = "test"
USE_TZ = True
