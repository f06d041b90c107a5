"""Reads go to streaming replicas; visitors always see what they have just written."""

from .environment import before, postgresql, required_list
from .stage_03_load_balancer import *

ENGINE = "scalekit.db.backends.postgresql"
DATABASES["default"]["ENGINE"] = ENGINE
DATABASES |= {
    f"replica_{number}": postgresql(
        url, ENGINE=ENGINE, SCALEKIT={"REPLICA_OF": "default"}, TEST={"MIRROR": "default"}
    )
    for number, url in enumerate(
        required_list(
            "DATABASE_REPLICA_URLS", example="postgresql://...@r1/photos,postgresql://...@r2/photos"
        ),
        start=1,
    )
}
DATABASE_ROUTERS = ["scalekit.db.router.Router"]
INSTALLED_APPS = [*INSTALLED_APPS, "scalekit.db"]
MIDDLEWARE = before(
    MIDDLEWARE,
    "django.middleware.security.SecurityMiddleware",
    "scalekit.db.outage.middleware.ReadOnlyMode",
    "scalekit.db.middleware.ReadYourWrites",
)
TEMPLATES[0]["OPTIONS"]["context_processors"].append(
    "scalekit.db.outage.context_processors.read_only"
)
