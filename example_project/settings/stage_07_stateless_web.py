"""Sessions leave the web servers: any of them can answer, and any can go."""

from .stage_06_cdn import *

SESSION_ENGINE = "scalekit.sessions.redis"
INSTALLED_APPS = [*INSTALLED_APPS, "scalekit.sessions"]
