"""One JSON line per request, and metrics of every tier at ``/metrics``."""

from .environment import after, required
from .stage_09_message_queue import *

LOGGING = {
    "version": 1,
    "disable_existing_loggers": False,
    "formatters": {"json": {"()": "scalekit.observability.logging.JSONFormatter"}},
    "handlers": {"stderr": {"class": "logging.StreamHandler", "formatter": "json"}},
    "root": {"handlers": ["stderr"], "level": "INFO"},
}
SCALEKIT_METRICS_TOKEN = required(
    "METRICS_TOKEN", example="what Prometheus sends as its bearer token"
)
INSTALLED_APPS = [*INSTALLED_APPS, "scalekit.observability"]
MIDDLEWARE = after(
    MIDDLEWARE,
    "scalekit.health.middleware.HealthMiddleware",
    "scalekit.observability.middleware.RequestMiddleware",
)
