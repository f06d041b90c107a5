"""Static files under hashed names, and photos, come from the edge nearest to the visitor."""

from scalekit.cdn.headers import is_immutable

from .environment import before, required
from .stage_05_cache import *

SCALEKIT_CDN_URL = required("CDN_URL", example="https://cdn.example.org").rstrip("/")
STORAGES |= {"staticfiles": {"BACKEND": "scalekit.cdn.storage.CdnStaticFilesStorage"}}
MEDIA_URL = f"{SCALEKIT_CDN_URL}/media/"
WHITENOISE_USE_FINDERS = False  # the origin serves what collectstatic has hashed
WHITENOISE_IMMUTABLE_FILE_TEST = is_immutable
MIDDLEWARE = before(
    MIDDLEWARE,
    "whitenoise.middleware.WhiteNoiseMiddleware",
    "scalekit.cdn.middleware.MissingAssetMiddleware",
)
INSTALLED_APPS = [*INSTALLED_APPS, "scalekit.cdn"]
