"""Sessions leave the web servers: any of them can answer, and any can go."""

from .environment import required
from .stage_06_cdn import *

SESSION_ENGINE = "scalekit.sessions.hybrid"  # the database is the truth, Redis the speed
SCALEKIT_SESSIONS_PREVIOUS_ENGINE = "django.contrib.sessions.backends.db"  # nobody is logged out
SCALEKIT_SESSIONS_REDIS_URL = required("SESSION_URL", example="redis://sessions.internal:6379/0")
INSTALLED_APPS = [*INSTALLED_APPS, "scalekit.sessions"]
MIDDLEWARE = [
    name.replace("django.contrib.sessions.middleware", "scalekit.sessions.middleware")
    for name in MIDDLEWARE
]
