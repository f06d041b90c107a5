"""Django's own tests with a replica; DATABASE_PORT and DATABASE_PASSWORD name a real PostgreSQL, else it is SQLite.

The replica's address is one that never answers: a test that reached for it would fail.
"""

from __future__ import annotations

import os

if "DATABASE_PORT" in os.environ:
    DEFAULT = {
        "ENGINE": "scalekit.db.backends.postgresql",
        "HOST": "127.0.0.1",
        "PORT": os.environ["DATABASE_PORT"],
        "USER": "postgres",
        "PASSWORD": os.environ["DATABASE_PASSWORD"],
    }
    NAMES = {"default": {"NAME": "suite"}, "other": {"NAME": "suite_other"}}
    NOWHERE = {"HOST": "192.0.2.1"}
else:
    DEFAULT = {"ENGINE": "django.db.backends.sqlite3"}
    NAMES = {"default": {}, "other": {}}
    NOWHERE = {"NAME": "/nowhere/replica.sqlite3"}

DATABASES = {alias: {**DEFAULT, **name} for alias, name in NAMES.items()} | {
    "replica_1": {
        **(DEFAULT | NAMES["default"] | NOWHERE),
        "SCALEKIT": {"REPLICA_OF": "default"},
        "TEST": {"MIRROR": "default"},
    }
}
DATABASE_ROUTERS = ["scalekit.db.router.Router"]
TEST_RUNNER = "suite_runner.Runner"
SECRET_KEY = "suite"
PASSWORD_HASHERS = ["django.contrib.auth.hashers.MD5PasswordHasher"]
USE_TZ = False
