"""A project with two replicas; DATABASE_PORT and DATABASE_PASSWORD name a real PostgreSQL, else it is SQLite."""

from __future__ import annotations

import os

if "DATABASE_PORT" in os.environ:
    DATABASE = {
        "ENGINE": "scalekit.db.backends.postgresql",
        "HOST": "127.0.0.1",
        "PORT": os.environ["DATABASE_PORT"],
        "NAME": "postgres",
        "USER": "postgres",
        "PASSWORD": os.environ["DATABASE_PASSWORD"],
    }
else:
    DATABASE = {"ENGINE": "django.db.backends.sqlite3", "NAME": ":memory:"}
NOWHERE = {"HOST": "192.0.2.1"}  # a test that reached for the real replica would hang there
REPLICA = {
    **(DATABASE | NOWHERE),
    "SCALEKIT": {"REPLICA_OF": "default"},
    "TEST": {"MIRROR": "default"},
}
DATABASES = {"default": DATABASE, "replica_1": REPLICA, "replica_2": REPLICA}
DATABASE_ROUTERS = ["scalekit.db.router.Router"]
INSTALLED_APPS = [
    "django.contrib.auth",
    "django.contrib.contenttypes",
    "django.contrib.sessions",
    "scalekit.db",
]
MIDDLEWARE = [
    "scalekit.db.middleware.ReadYourWrites",
    "django.contrib.sessions.middleware.SessionMiddleware",
    "django.contrib.auth.middleware.AuthenticationMiddleware",
]
ROOT_URLCONF = "urls"
SECRET_KEY = "test"
USE_TZ = True
