"""Caches over other caches that are written wrongly: what is said, before the site starts and when it does."""

from __future__ import annotations

import re
from pathlib import Path

import pytest
from django.core.cache import InvalidCacheBackendError, caches

from scalekit.cache.backends import checks
from scalekit.cache.backends.checks import check_layers
from scalekit.cache.backends.exceptions import CacheMisconfigured
from scalekit.cache.checks import check_caches
from scalekit.core.exceptions import ScalekitError

TIERED = "scalekit.cache.backends.tiered.TieredCache"
FAILOVER = "scalekit.cache.backends.failover.FailoverCache"
SHARED = {"BACKEND": "django_redis.cache.RedisCache", "LOCATION": "redis://127.0.0.1:1/0"}
SPARE = {**SHARED, "LOCATION": "redis://127.0.0.1:2/0"}
LOCAL = {"BACKEND": "django.core.cache.backends.locmem.LocMemCache"}


def tiered(**options) -> dict:
    return {"BACKEND": TIERED, "OPTIONS": {"over": "shared", **options}}


def failover(**options) -> dict:
    return {"BACKEND": FAILOVER, "OPTIONS": {"first": "shared", "gutter": "spare", **options}}


def use(settings, default, **others) -> None:
    settings.CACHES = {"default": default, "shared": SHARED, "spare": SPARE, **others}


RIGHT = [
    tiered(),
    tiered(max_entries=1, ttl=0.5, max_bytes=1000),
    failover(),
    failover(gutter_ttl=60),
]


@pytest.mark.parametrize("default", RIGHT)
def test_what_is_right_is_passed_over(settings, default):
    use(settings, default)
    assert check_layers() == []
    assert caches["default"]


def test_a_gutter_may_stand_behind_a_tiered_cache(settings):
    use(settings, failover(first="tier"), tier=tiered())
    assert check_layers() == []


WRONG = [
    ({"BACKEND": TIERED}, "E020", "The option 'over' is missing"),
    ({"BACKEND": FAILOVER, "OPTIONS": {"first": "shared"}}, "E020", "'gutter' is missing"),
    (tiered(over=None), "E020", "The option 'over' is missing"),
    (tiered(overr="x"), "E020", "did you mean 'over'"),
    (tiered(nonsense=1), "E020", "known are over, max_entries, max_bytes, ttl"),
    (tiered(ttl=0), "E020", "'ttl' is 0: write a number of seconds, above 0"),
    (tiered(ttl="5"), "E020", "'ttl' is '5'"),
    (tiered(max_entries=True), "E020", "'max_entries' is True"),
    (tiered(max_entries=1.5), "E020", "a whole number of values"),
    (tiered(max_bytes=-1), "E020", "'max_bytes' is -1"),
    (failover(gutter_ttl=0), "E020", "'gutter_ttl' is 0"),
    (failover(gutter_ttl=0.5), "E020", "a whole number of seconds"),
    (tiered(over="nowhere"), "E021", "'nowhere', which CACHES does not have"),
    (failover(gutter="nowhere"), "E021", "write one of 'default', 'shared', 'spare'"),
    (tiered(over="default"), "E020", "cannot stand over itself: default over default"),
    (failover(first="default"), "E020", "cannot stand over itself"),
]


@pytest.mark.parametrize(("default", "identity", "text"), WRONG)
def test_what_is_wrong_is_an_error_that_says_what_to_write(settings, default, identity, text):
    use(settings, default)
    (message,) = check_layers()
    assert message.id == f"scalekit.cache.{identity}"
    assert text in message.msg
    assert message.msg.startswith("CACHES['default']")


@pytest.mark.parametrize(("default", "identity", "text"), WRONG)
def test_a_site_that_starts_all_the_same_is_told_the_same(settings, default, identity, text):
    use(settings, default)
    with pytest.raises(CacheMisconfigured) as caught:
        caches["default"].get("k")
    assert text.partition(":")[0] in str(caught.value)
    assert isinstance(caught.value, ScalekitError)
    assert isinstance(caught.value, InvalidCacheBackendError)


def test_a_circle_of_caches_is_found_from_every_side(settings):
    use(settings, tiered(over="other"), other=failover(first="default"))
    assert {m.id for m in check_layers()} == {"scalekit.cache.E020"}
    with pytest.raises(CacheMisconfigured, match="other over default over other"):
        caches["default"].get("k")


@pytest.mark.parametrize(
    "shared",
    [
        LOCAL,
        {"BACKEND": "django.core.cache.backends.dummy.DummyCache"},
        {"BACKEND": "django.core.cache.backends.filebased.FileBasedCache", "LOCATION": "/tmp/x"},
        {"BACKEND": "scalekit.cache.backends.cluster.ClusterCache", "LOCATION": ["redis://x:1"]},
        {**SHARED, "OPTIONS": {"CLIENT_CLASS": "django_redis.client.HerdClient"}},
        {**SHARED, "OPTIONS": {"CLIENT_CLASS": "django_redis.client.ShardClient"}},
    ],
)
def test_a_tier_over_what_it_cannot_hear_is_an_error(settings, shared):
    use(settings, tiered(), shared=shared)
    assert [m.id for m in check_layers()] == ["scalekit.cache.E022"]


def test_a_tier_over_what_it_cannot_hear_keeps_nothing_and_works(settings):
    use(settings, tiered(), shared=LOCAL)
    cache = caches["default"]
    cache.set("k", [1])
    assert cache.get("k") == cache.get_many(["k"])["k"] == [1]
    assert cache.incr_version("k") == 2
    assert len(cache.local) == 0
    assert not cache.local.enabled


def test_a_gutter_on_the_same_server_is_an_error(settings):
    use(settings, failover(), spare=SHARED)
    assert [m.id for m in check_layers()] == ["scalekit.cache.E023"]


@pytest.mark.parametrize(
    ("change", "identity"),
    [
        ({"spare": LOCAL}, "W020"),
        ({"shared": LOCAL}, "W020"),
        ({"shared": {**SHARED, "OPTIONS": {"IGNORE_EXCEPTIONS": True}}}, "W021"),
    ],
)
def test_what_would_surprise_is_a_warning(settings, change, identity):
    use(settings, failover(), **change)
    assert [m.id for m in check_layers()] == [f"scalekit.cache.{identity}"]


def test_sessions_in_a_gutter_are_a_warning(settings):
    use(settings, failover())
    settings.SESSION_ENGINE = "django.contrib.sessions.backends.cache"
    assert [m.id for m in check_layers()] == ["scalekit.cache.W022"]
    settings.SESSION_CACHE_ALIAS = "shared"
    assert check_layers() == []


PAGE = Path(__file__).parents[2] / "docs" / "howto" / "tier_the_cache.md"


@pytest.mark.parametrize("lines", re.findall(r"```python\n(.*?)```", PAGE.read_text(), re.DOTALL))
def test_the_lines_of_the_page_are_right(settings, lines):
    written: dict[str, dict] = {}
    exec(lines, written)
    settings.CACHES = written["CACHES"]
    assert check_layers() == check_caches() == []
    assert caches["default"]


def test_every_check_is_on_the_page():
    told = set(re.findall(r"`scalekit\.cache\.([EW]\d+)`", PAGE.read_text()))
    source = Path(checks.__file__).read_text()
    assert told == set(re.findall(r"scalekit\.cache\.([EW]\d+)", source))
