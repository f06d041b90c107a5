"""The set-ups of the libraries that patch Django's ORM: cacheops and cachalot."""

from __future__ import annotations

from benchmarks.cache_loads import price_of
from benchmarks.cache_setups import TTL, Setup


class CacheopsFunction(Setup):
    name = "cacheops @cached_as"
    needs = "cacheops"
    apps = ("cacheops",)
    keywords = {}

    def settings(self):
        limits = f"?socket_timeout={self.timeout}" if self.timeout else ""
        return {
            "CACHEOPS_REDIS": self.url + limits,
            "CACHEOPS": {"cache_shop.*": {"ops": (), "timeout": TTL}},
            "CACHEOPS_DEGRADE_ON_FAILURE": True,
        }

    def open(self):
        from cacheops import cached_as

        from benchmarks.cache_shop.models import Item

        self.page = cached_as(Item, timeout=TTL, **self.keywords)(price_of)

    def get(self, key):
        return self.page(key)

    def write(self, change, key):
        from cacheops import invalidate_obj

        from benchmarks.cache_shop.models import Item

        change(key)
        if not getattr(change, "sends_signals", False):
            invalidate_obj(
                Item(pk=key, maker_id=1)
            )  # it asks for this; it waits for the commit by itself


class CacheopsLock(CacheopsFunction):
    name = "cacheops @cached_as(lock=True)"
    keywords = {"lock": True}


class CacheopsFresh(CacheopsFunction):
    name = "cacheops @cached_as(keep_fresh=True)"
    keywords = {"keep_fresh": True}


class CacheopsQuerySet(CacheopsFunction):
    name = "cacheops queryset"
    lock = False

    def open(self):
        """Need nothing but the settings."""

    def get(self, key):
        from benchmarks.cache_shop.models import Item

        rows = Item.objects.filter(pk=key).cache(timeout=TTL, lock=self.lock)
        return next(iter(rows.values_list("price", flat=True)), None)


class CacheopsQuerySetLock(CacheopsQuerySet):
    name = "cacheops queryset, lock"
    lock = True


class Cachalot(Setup):
    name = "cachalot"
    needs = "cachalot"
    apps = ("cachalot",)

    def settings(self):
        limits = {}
        if self.timeout:
            limits = {"SOCKET_TIMEOUT": self.timeout, "SOCKET_CONNECT_TIMEOUT": self.timeout}
        backend = "django_redis.cache.RedisCache"
        return {
            "CACHES": {"default": {"BACKEND": backend, "LOCATION": self.url, "OPTIONS": limits}}
        }

    def get(self, key):
        return price_of(key)
