"""One JSON line per request, and metrics of every tier at ``/metrics``."""

from .environment import after, optional_list
from .stage_09_message_queue import *

LOGGING = {
    "version": 1,
    "disable_existing_loggers": False,
    "formatters": {"json": {"()": "scalekit.observability.logging.JSONFormatter"}},
    "handlers": {"stderr": {"class": "logging.StreamHandler", "formatter": "json"}},
    "root": {"handlers": ["stderr"], "level": "INFO"},
}
SCALEKIT_METRICS_NETWORKS = optional_list("METRICS_NETWORKS") or ["127.0.0.0/8"]
INSTALLED_APPS = [*INSTALLED_APPS, "scalekit.observability"]
MIDDLEWARE = after(
    MIDDLEWARE,
    "scalekit.health.middleware.HealthMiddleware",
    "scalekit.observability.middleware.RequestMiddleware",
)
