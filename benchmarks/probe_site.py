"""The sites of `bench_probes`: settings and URLs of the one that BENCH_SITE names, over the same two servers."""

from __future__ import annotations

import json
import os

from django.urls import path

SITE = os.environ.get("BENCH_SITE", "scalekit")
SECRET_KEY = "x" * 50
DEBUG = False
ALLOWED_HOSTS = ["photos.example.org"]
ROOT_URLCONF = "benchmarks.probe_site"
DATABASES = json.loads(os.environ.get("DATABASES", "{}"))
CACHES = {
    "default": {
        "BACKEND": "django.core.cache.backends.redis.RedisCache",
        "LOCATION": os.environ.get("CACHE_URL", ""),
    }
}
APPS = {
    "scalekit": ["scalekit.health"],
    "django-health-check": ["health_check"],
    "dockerflow": ["dockerflow.django"],
}
MIDDLEWARES = {
    "scalekit": ["scalekit.health.middleware.HealthMiddleware"],
    "dockerflow": ["dockerflow.django.middleware.DockerflowMiddleware"],
}
PROBES = {
    "scalekit": {"alive": "/livez", "ready": "/readyz"},
    "django-health-check": {"ready": "/ready?format=json"},
    "dockerflow": {"alive": "/__lbheartbeat__", "ready": "/__heartbeat__"},
}
NEEDS = {
    "django-health-check": "health_check.checks",
    "dockerflow": "dockerflow",
}  # the first since 4.0
INSTALLED_APPS = ["django.contrib.contenttypes", *APPS[SITE]]
MIDDLEWARE = [*MIDDLEWARES.get(SITE, []), "django.middleware.common.CommonMiddleware"]
DOCKERFLOW_CHECKS = ["dockerflow.django.checks.check_database_connected"]
LOGGING_CONFIG = None
SCALEKIT_HEALTH_CACHE = float(os.environ.get("HEALTH_CACHE", "2"))
USE_TZ = True


def __getattr__(name):
    if name == "urlpatterns":
        return [path("ready", _ready_view())] if SITE == "django-health-check" else []
    raise AttributeError(name)


def _ready_view():
    from health_check.views import HealthCheckView

    return HealthCheckView.as_view(checks=["health_check.Database", "health_check.Cache"])
