"""The settings of the unit tests: the example's first stage with every rung installed, none configured."""

from __future__ import annotations

import os

from example_project.settings.environment import postgresql
from example_project.settings.stage_01_one_server import *  # noqa: F403
from example_project.settings.stage_01_one_server import INSTALLED_APPS as SITE_APPS

RUNGS = ["cache", "cdn", "db", "health", "observability", "queue", "regions", "sessions"]
INSTALLED_APPS = list(dict.fromkeys([*SITE_APPS, *(f"scalekit.{rung}" for rung in RUNGS)]))

if address := os.environ.get(
    "SCALEKIT_TEST_MYSQL_DSN"
):  # mysql://root:password@127.0.0.1:3306/site
    entry = postgresql(address.replace("mysql:", "postgresql:", 1))
    DATABASES = {"default": {**entry, "ENGINE": "django.db.backends.mysql"}}
