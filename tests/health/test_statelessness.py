from __future__ import annotations

import pytest
from django.core.checks.registry import registry

from scalekit.cdn.storage import CdnStaticFilesStorage
from scalekit.health.checks import check_middleware
from scalekit.health.statelessness import check_stateless

HEALTH = "scalekit.health.middleware.HealthMiddleware"
LOCMEM = "django.core.cache.backends.locmem.LocMemCache"
FILES = "django.core.cache.backends.filebased.FileBasedCache"
REDIS = "django.core.cache.backends.redis.RedisCache"
STORAGES = {
    "default": {"BACKEND": "tests.health.test_statelessness.ObjectStorage"},
    "staticfiles": {"BACKEND": "scalekit.cdn.storage.CdnStaticFilesStorage"},
}


class OwnCdnStorage(CdnStaticFilesStorage):
    """A project's own, which keeps what ours keeps."""


class ObjectStorage:
    """Stands for a storage that all servers share."""


@pytest.fixture
def database(monkeypatch, settings):
    """Say that the database is of another kind, without a connection to one."""

    def choose(name):
        monkeypatch.setitem(settings.DATABASES["default"], "ENGINE", f"django.db.backends.{name}")

    return choose


@pytest.fixture
def site(settings, database):
    """A site that ties nobody to a server, without the rungs that have checks of their own."""
    settings.INSTALLED_APPS = ["scalekit.health"]
    settings.CACHES = {"default": {"BACKEND": REDIS, "LOCATION": "redis://cache.internal"}}
    database("postgresql")
    settings.SESSION_ENGINE = "django.contrib.sessions.backends.db"
    settings.STORAGES = STORAGES
    return settings


def found():
    return [message.id.removeprefix("scalekit.health.") for message in check_stateless()]


def test_a_stateless_site_is_left_alone(site):
    assert found() == []


def test_a_project_as_django_makes_it_is_told_all_that_ties_it_to_one_server(site, database):
    database("sqlite3")
    site.CACHES = {"default": {"BACKEND": LOCMEM}}
    site.STORAGES = {
        "default": {"BACKEND": "django.core.files.storage.FileSystemStorage"},
        "staticfiles": {"BACKEND": "django.contrib.staticfiles.storage.StaticFilesStorage"},
    }
    assert found() == ["W010", "W013", "W015", "W016"]
    assert all(message.hint for message in check_stateless())


@pytest.mark.parametrize(
    ("engine", "cache", "told"),
    [
        ("file", REDIS, ["W011"]),
        ("cache", REDIS, []),
        ("cache", LOCMEM, ["W012", "W013"]),
        ("cached_db", LOCMEM, ["W012", "W013"]),
        ("cached_db", FILES, ["W012", "W014"]),
        ("db", FILES, ["W014"]),
        ("signed_cookies", REDIS, []),  # the visitor carries them to every server
    ],
)
def test_where_sessions_and_cached_values_live(site, engine, cache, told):
    site.SESSION_ENGINE = f"django.contrib.sessions.backends.{engine}"
    site.CACHES = {"default": {"BACKEND": cache, "LOCATION": "/tmp/cache"}}
    assert found() == told


def test_what_another_rung_says_is_not_said_twice(site):
    site.INSTALLED_APPS = ["scalekit.health", "scalekit.cache", "scalekit.sessions"]
    site.CACHES = {"default": {"BACKEND": LOCMEM}}
    site.SESSION_ENGINE = "django.contrib.sessions.backends.cache"
    assert found() == []


@pytest.mark.parametrize(
    ("backend", "told"),
    [
        ("django.core.files.storage.FileSystemStorage", ["W015"]),
        ("django.core.files.storage.InMemoryStorage", ["W015"]),
        ("tests.health.test_statelessness.ObjectStorage", []),
        ("no.such.Storage", []),  # Django says so
    ],
)
@pytest.mark.parametrize("alias", ["default", "invoices"])
def test_where_uploads_live(site, alias, backend, told):
    site.STORAGES = {**STORAGES, alias: {"BACKEND": backend}}
    assert found() == told


@pytest.mark.parametrize(
    ("backend", "told"),
    [
        ("django.contrib.staticfiles.storage.StaticFilesStorage", "the same name in every release"),
        ("django.contrib.staticfiles.storage.ManifestStaticFilesStorage", "its own release only"),
        ("whitenoise.storage.CompressedManifestStaticFilesStorage", "its own release only"),
    ],
)
def test_assets_of_one_release_on_one_server(site, backend, told):
    site.STORAGES = {**STORAGES, "staticfiles": {"BACKEND": backend}}
    [message] = check_stateless()
    assert message.id == "scalekit.health.W016"
    assert told in message.msg


def test_a_storage_made_of_ours_is_left_alone(site):
    own = {"BACKEND": "tests.health.test_statelessness.OwnCdnStorage"}
    site.STORAGES = {**STORAGES, "staticfiles": own}
    assert found() == []


def test_it_is_said_when_deploying_only():
    assert check_stateless not in registry.get_checks()
    assert check_stateless in registry.get_checks(include_deployment_checks=True)


@pytest.mark.parametrize(
    ("middleware", "proxies", "told"),
    [
        ([], [], ["scalekit.health.W005"]),
        ([HEALTH], [], ["scalekit.health.W006"]),
        ([HEALTH], ["10.0.0.0/24"], []),
        ([HEALTH], ["unix"], []),
        ([HEALTH], ["10.0.0.0/24", "0.0.0.0/0", "::/0"], ["scalekit.health.W007"] * 2),
        ([HEALTH], "10.0.0.0/24", []),  # scalekit.core.E002 says so
    ],
)
def test_a_site_behind_a_load_balancer_names_it(settings, middleware, proxies, told):
    settings.MIDDLEWARE, settings.SCALEKIT_TRUSTED_PROXIES = middleware, proxies
    assert [message.id for message in check_middleware()] == told
