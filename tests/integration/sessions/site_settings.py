"""The pages as a site of its own, served by web servers that share nothing but their stores."""

from __future__ import annotations

import os

SECRET_KEY = "the same on every server"
ALLOWED_HOSTS = ["127.0.0.1"]
ROOT_URLCONF = "tests.integration.sessions.pages"
INSTALLED_APPS = ["django.contrib.auth", "django.contrib.contenttypes", "scalekit.sessions"]
MIDDLEWARE = [
    "scalekit.sessions.middleware.SessionMiddleware",
    "django.contrib.auth.middleware.AuthenticationMiddleware",
]
DATABASES = {
    "default": {
        "ENGINE": "django.db.backends.postgresql",
        "HOST": "127.0.0.1",
        "PORT": os.environ["DATABASE_PORT"],
        "NAME": os.environ["DATABASE_NAME"],
        "USER": "postgres",
        "PASSWORD": os.environ["DATABASE_PASSWORD"],
        "CONN_MAX_AGE": 60,
    }
}
PASSWORD_HASHERS = ["django.contrib.auth.hashers.MD5PasswordHasher"]
SESSION_ENGINE = os.environ["SESSION_ENGINE"]
SCALEKIT_SESSIONS_REDIS_URL = os.environ["SESSION_URL"]
USE_TZ = True
