from __future__ import annotations

SECRET_KEY = "x" * 50
DEBUG = False
ALLOWED_HOSTS = ["127.0.0.1"]
ROOT_URLCONF = "tests.integration.observability.pages"
DATABASES = {"default": {"ENGINE": "django.db.backends.sqlite3", "NAME": ":memory:"}}
INSTALLED_APPS = [
    "django.contrib.auth",
    "django.contrib.contenttypes",
    "scalekit.health",
    "scalekit.observability",
]
MIDDLEWARE = [
    "scalekit.health.middleware.HealthMiddleware",
    "scalekit.observability.middleware.RequestMiddleware",
]
SCALEKIT_METRICS_TOKEN = "a-token-for-tests"
LOGGING = {
    "version": 1,
    "disable_existing_loggers": False,
    "formatters": {"json": {"()": "scalekit.observability.logging.JSONFormatter"}},
    "handlers": {"stdout": {"class": "logging.StreamHandler", "formatter": "json"}},
    "root": {"handlers": ["stdout"], "level": "INFO"},
}
