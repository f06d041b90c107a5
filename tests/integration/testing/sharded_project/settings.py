"""A project with two shards; DATABASE_PORT and DATABASE_PASSWORD name a real PostgreSQL, else it is SQLite."""

from __future__ import annotations

import os

from tests.db.diary import hooks


def database(name):
    if "DATABASE_PORT" in os.environ:
        return {
            "ENGINE": "scalekit.db.backends.postgresql",
            "HOST": "127.0.0.1",
            "PORT": os.environ["DATABASE_PORT"],
            "NAME": f"sharded_project_{name}",
            "USER": "postgres",
            "PASSWORD": os.environ["DATABASE_PASSWORD"],
        }
    return {"ENGINE": "django.db.backends.sqlite3", "NAME": ":memory:"}


DATABASES = {name: database(name) for name in ("default", "shard_0", "shard_1")}
DATABASE_ROUTERS = ["scalekit.db.router.Router"]
SCALEKIT_DB_SHARDING = {
    "users": {
        "BACKEND": "scalekit.db.sharding.slots.Slots",
        "OPTIONS": {"shards": ["shard_0", "shard_1"]},
    }
}
INSTALLED_APPS = [
    "django.contrib.auth",
    "django.contrib.contenttypes",
    "scalekit.db",
    "tests.db.diary",
]
FIXTURE_DIRS = ["fixtures"]
SECRET_KEY = "test"
USE_TZ = True


def first_entries(alias, apps):
    """Create on each shard, as a data migration, the first entry of each writer who belongs there."""
    from scalekit.db.conf import schemes

    for writer in range(1, 7):
        if schemes["users"].shard_for(writer) == alias:
            apps.get_model("diary", "Entry").objects.create(writer_id=writer, text="the first")


hooks.on_shards.append(first_entries)
