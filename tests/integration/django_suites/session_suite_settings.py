"""Django's own tests with one of our session engines, which SUITE_ENGINE names; SUITE_REDIS is the store's URL."""

from __future__ import annotations

import os

DATABASES = {alias: {"ENGINE": "django.db.backends.sqlite3"} for alias in ("default", "other")}
SESSION_ENGINE = os.environ["SUITE_ENGINE"]
SCALEKIT_SESSIONS_REDIS_URL = os.environ["SUITE_REDIS"]
TEST_RUNNER = "session_suite_runner.Runner"
SECRET_KEY = "suite"
PASSWORD_HASHERS = ["django.contrib.auth.hashers.MD5PasswordHasher"]
USE_TZ = False
