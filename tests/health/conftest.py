from __future__ import annotations

import pytest

HEALTH = "scalekit.health.middleware.HealthMiddleware"


@pytest.fixture
def probed(settings):
    """Let the sample site have HealthMiddleware in front of what Django's own project template has."""
    settings.MIDDLEWARE = [
        HEALTH,
        "django.middleware.security.SecurityMiddleware",
        "django.contrib.sessions.middleware.SessionMiddleware",
        "django.middleware.common.CommonMiddleware",
    ]
    settings.ROOT_URLCONF = "tests.health.sample_site"
    settings.DEBUG = False
    return settings
