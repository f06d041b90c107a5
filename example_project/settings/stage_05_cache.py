"""One cache for all web servers, so that what one has computed none computes again."""

from .environment import required
from .stage_04_replicas import *

CACHES = {
    "default": {
        "BACKEND": "django_redis.cache.RedisCache",
        "LOCATION": required("CACHE_URL", example="redis://cache.internal:6379/0"),
        "OPTIONS": {"SOCKET_CONNECT_TIMEOUT": 0.25, "SOCKET_TIMEOUT": 0.25},  # seconds
    },
}
SCALEKIT_CACHE_MODELS = ["auth.User", "photos.Profile"]  # cached functions depend on their rows
INSTALLED_APPS = [*INSTALLED_APPS, "scalekit.cache"]
