"""The Django settings of one or more peers: QUEUE_PEERS names them; QUEUE_SETTINGS, as JSON, replaces some."""

from __future__ import annotations

import json
import os

from benchmarks.queue_peers import peers

SECRET_KEY = "of a benchmark"
USE_TZ = True
DEFAULT_AUTO_FIELD = "django.db.models.BigAutoField"
DATABASES = {"default": {**json.loads(os.environ["QUEUE_DATABASE"]), "CONN_MAX_AGE": 60}}
INSTALLED_APPS = ["django.contrib.contenttypes"]
LOGGING_CONFIG = None  # what a job costs, not what its log line does
TASKS: dict[str, object] = {}

for key in os.environ["QUEUE_PEERS"].split(","):
    peer = peers()[key]
    for name, value in peer.settings(os.environ["QUEUE_REDIS"]).items():
        if name == "TASKS":
            TASKS |= value
        elif name == "INSTALLED_APPS":
            INSTALLED_APPS += [app for app in value if app not in INSTALLED_APPS]
        else:
            globals()[name] = value

globals().update(json.loads(os.environ.get("QUEUE_SETTINGS", "{}")))
