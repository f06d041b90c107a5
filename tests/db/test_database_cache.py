"""Django's cache in a database, of whose class routers are asked although it is no model."""

from __future__ import annotations

import pytest
from django.core.cache import caches
from django.db import connections, router
from django.test import override_settings

from tests.db.diary_databases import run

CACHES = {
    "default": {"BACKEND": "django.core.cache.backends.db.DatabaseCache", "LOCATION": "cached"}
}


@pytest.mark.parametrize("cluster", ["replicas", "shards"])
def test_its_table_is_made_on_default_and_used_there(cluster, request):
    request.getfixturevalue(cluster)
    with override_settings(CACHES=CACHES):
        run("createcachetable")
        caches["default"].set("a", 1)
        assert caches["default"].get("a") == 1
    assert "cached" in connections["default"].introspection.table_names()


def test_it_is_no_table_of_a_shard(shards):
    with override_settings(CACHES=CACHES):
        run("createcachetable", database="shard_0")
    assert "cached" not in connections["shard_0"].introspection.table_names()


def test_an_app_that_is_gone_has_nothing_on_shards(shards):
    assert router.allow_migrate("default", "gone")
    assert not router.allow_migrate("shard_0", "gone")
