from __future__ import annotations

import subprocess
import sys

import pytest

from scalekit.cache import cached
from scalekit.cache.checks import check_aliases, check_caches, check_refresh_tasks
from scalekit.cache.health import checks

REDIS = {"BACKEND": "django_redis.cache.RedisCache", "LOCATION": "redis://127.0.0.1:1/0"}
QUICK = {"SOCKET_CONNECT_TIMEOUT": 0.25, "SOCKET_TIMEOUT": 0.25}


def ids(messages) -> list[str]:
    return [message.id for message in messages]


def test_a_function_kept_nowhere_is_an_error():
    assert check_aliases() == []

    @cached(alias="nowhere")
    def lost(): ...

    assert ids(check_aliases()) == ["scalekit.cache.E001"]
    assert "default" in check_aliases()[0].hint
    del lost


@pytest.mark.parametrize(
    ("config", "expected"),
    [
        ({"BACKEND": "django.core.cache.backends.locmem.LocMemCache"}, ["scalekit.cache.W001"]),
        (REDIS, ["scalekit.cache.W002"]),
        ({**REDIS, "OPTIONS": QUICK}, []),
        ({**REDIS, "OPTIONS": {**QUICK, "SOCKET_TIMEOUT": 5}}, ["scalekit.cache.W002"]),
        ({**REDIS, "OPTIONS": {**QUICK, "IGNORE_EXCEPTIONS": True}}, ["scalekit.cache.W003"]),
        (
            {
                "BACKEND": "django.core.cache.backends.redis.RedisCache",
                "OPTIONS": {"socket_timeout": 0.25, "socket_connect_timeout": 0.25},
            },
            [],
        ),
    ],
)
def test_caches_that_would_surprise(settings, config, expected):
    settings.CACHES = {"default": config}
    assert ids(check_caches()) == expected


def test_a_cluster_must_be_quick_too(settings):
    cluster = {"BACKEND": "scalekit.cache.backends.cluster.ClusterCache", "LOCATION": []}
    settings.CACHES = {"default": cluster}
    assert ids(check_caches()) == ["scalekit.cache.W002"]
    assert '"socket_timeout": 0.25' in check_caches()[0].hint


def test_workers_who_do_not_exist_are_an_error(settings):
    assert check_refresh_tasks() == []
    settings.SCALEKIT_CACHE_REFRESH_TASKS = "nobody"
    assert ids(check_refresh_tasks()) == ["scalekit.cache.E002"]


def test_the_hint_is_in_the_backend_s_own_words(settings):
    settings.CACHES = {"default": REDIS}
    assert '"SOCKET_TIMEOUT": 0.25' in check_caches()[0].hint


def test_a_cache_is_watched_but_not_critical():
    (check,) = checks()
    assert (check.name, check.critical) == ("cache default", False)
    check.run()


def test_nothing_configured_imports_no_client():
    code = (
        "import django; django.setup(); import scalekit.cache, sys; print('redis' in sys.modules)"
    )
    assert subprocess.check_output([sys.executable, "-c", code], text=True).strip() == "False"
