"""Every server knows the data centre it stands in."""

from .environment import before, required
from .stage_07_stateless_web import *

SCALEKIT_REGION = required("REGION", example="eu-1")
INSTALLED_APPS = [*INSTALLED_APPS, "scalekit.regions"]
MIDDLEWARE = before(
    MIDDLEWARE,
    "scalekit.db.middleware.ReadYourWrites",
    "scalekit.regions.middleware.RegionMiddleware",
)
