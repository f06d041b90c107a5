"""A site behind a load balancer: shared database and cache, everything else by environment."""

from __future__ import annotations

import json
import os

SECRET_KEY = os.environ.get("SECRET_KEY", "x" * 50)
DEBUG = False
ALLOWED_HOSTS = ["photos.example.org"]
ROOT_URLCONF = "tests.integration.health.photos.pages"
INSTALLED_APPS = ["django.contrib.contenttypes", "django.contrib.sessions", "scalekit.health"]
MIDDLEWARE = [
    "scalekit.health.middleware.HealthMiddleware",
    "django.middleware.security.SecurityMiddleware",
    "django.contrib.sessions.middleware.SessionMiddleware",
    "django.middleware.common.CommonMiddleware",
]
DATABASES = json.loads(os.environ.get("DATABASES", "{}"))
if "CACHE_URL" in os.environ:
    REDIS = "django.core.cache.backends.redis.RedisCache"
    CACHES = {"default": {"BACKEND": REDIS, "LOCATION": os.environ["CACHE_URL"]}}
SESSION_ENGINE = "django.contrib.sessions.backends.db"
SECURE_SSL_REDIRECT = os.environ.get("SSL_REDIRECT") == "1"
SECURE_PROXY_SSL_HEADER = ("HTTP_X_FORWARDED_PROTO", "https")
USE_TZ = True
SCALEKIT_TRUSTED_PROXIES = ["127.0.0.1"]
SCALEKIT_HEALTH_TOKEN = "only for us"
SCALEKIT_HEALTH_DRAIN_FILE = os.environ.get("DRAIN_FILE", "")
SCALEKIT_HEALTH_CACHE = float(os.environ.get("HEALTH_CACHE", "2"))
