from __future__ import annotations

import pytest

from scalekit.health import health
from scalekit.health.base import Check
from scalekit.health.checks import check_health_modules
from scalekit.health.discovery import installed_checks

POSTGRES = {"ENGINE": "django.db.backends.postgresql", "NAME": "photos", "OPTIONS": {"pool": True}}


class Databases(dict):
    """Stands for `django.db.connections`, of which only the settings are asked."""

    @property
    def settings(self):
        return self


def known(monkeypatch, **databases):
    made = {alias: {"TEST": {}, **config} for alias, config in databases.items()}
    monkeypatch.setattr(health, "connections", Databases(made))
    return {check.name: check.critical for check in health.checks()}


def test_a_project_without_other_rungs_has_its_database_checked(settings):
    settings.INSTALLED_APPS = ["scalekit.health"]
    assert [check.name for check in installed_checks()] == ["database default"]


def test_a_replica_is_not_critical(monkeypatch):
    mirror = {**POSTGRES, "TEST": {"MIRROR": "default"}}
    ours = {**POSTGRES, "SCALEKIT": {"REPLICA_OF": "default"}}
    found = known(monkeypatch, default=POSTGRES, mirror=mirror, ours=ours, other=POSTGRES)
    assert found == {
        "database default": True,
        "database mirror": False,
        "database ours": False,
        "database other": True,
    }


def test_no_database_is_nothing_to_check(monkeypatch):
    assert known(monkeypatch, default={"ENGINE": "django.db.backends.dummy"}) == {}


@pytest.mark.parametrize(
    ("backend", "names"),
    [
        ("django.core.cache.backends.redis.RedisCache", ["cache default"]),
        ("django.core.cache.backends.locmem.LocMemCache", []),
        ("django.core.cache.backends.filebased.FileBasedCache", []),
    ],
)
def test_a_cache_with_a_server_is_checked_and_not_critical(settings, monkeypatch, backend, names):
    settings.CACHES = {"default": {"BACKEND": backend}}
    found = known(monkeypatch)
    assert list(found) == names
    assert not any(found.values())


def test_a_value_that_cannot_be_read_back_is_a_failure(settings):
    settings.CACHES = {"default": {"BACKEND": "django.core.cache.backends.dummy.DummyCache"}}
    with pytest.raises(OSError, match="read back"):
        health.CacheCheck("default").run()


@pytest.mark.django_db
def test_the_test_database_is_well():
    health.DatabaseCheck("default", critical=True).run()


def test_a_check_of_the_same_name_takes_the_place_of_ours(settings):
    settings.INSTALLED_APPS = ["scalekit.db", "scalekit.health"]
    [check] = installed_checks()
    assert isinstance(check, Check)
    assert type(check).__module__ == "scalekit.db.health"
    assert check_health_modules() == []


@pytest.mark.parametrize("vendor", ["postgresql", "mysql"])
def test_an_old_connection_of_a_pool_is_not_asked(vendor):
    assert health._impatient(vendor, POSTGRES)["OPTIONS"] == {"connect_timeout": 1}
    assert health._impatient("sqlite", POSTGRES) is POSTGRES
