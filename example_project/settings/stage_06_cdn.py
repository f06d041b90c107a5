"""Static files under hashed names, and photos, come from the edge nearest to the visitor."""

from .environment import required
from .stage_05_cache import *

SCALEKIT_CDN_URL = required("CDN_URL", example="https://cdn.example.org").rstrip("/")
STORAGES |= {"staticfiles": {"BACKEND": "scalekit.cdn.storage.CdnStaticFilesStorage"}}
MEDIA_URL = f"{SCALEKIT_CDN_URL}/media/"
WHITENOISE_USE_FINDERS = False  # the origin serves what collectstatic has hashed
INSTALLED_APPS = [*INSTALLED_APPS, "scalekit.cdn"]
