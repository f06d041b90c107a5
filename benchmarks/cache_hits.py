"""The ways to get one stored value that `bench_cached` compares, by name; the first of each is the measure."""

from __future__ import annotations

import time
from importlib.util import find_spec
from threading import Lock

TTL = 3600
VALUE = {"id": 42, "name": "Ana", "photos": list(range(20))}
TAGS = ["a", "b", "c"]
ROW = (42, "item 42", 4200)
RIGHT = [VALUE, [ROW], "Ana 42", {"id": 42, "name": "Ana"}]


def profile(user_id: int, lang: str = "en") -> dict:  # noqa: ARG001 - they make the key
    return VALUE


async def aprofile(user_id: int, lang: str = "en") -> dict:  # noqa: ARG001 - they make the key
    return VALUE


def synchronous(url):
    """Return those that ask the server."""
    from django.core.cache import caches
    from redis import Redis

    client = Redis.from_url(url)
    client.set("raw", b"x" * 100)
    for alias in ("default", "django"):
        caches[alias].set("profile", VALUE)
    ways = {"redis-py GET": lambda: client.get("raw")}
    ways |= ours()
    ways |= {
        "django-redis cache.get()": lambda: caches["default"].get("profile"),
        "Django's RedisCache.get()": lambda: caches["django"].get("profile"),
    }
    for peer, make in {"dogpile": dogpile, "cacheops": cacheops, "cachalot": cachalot}.items():
        ways |= make(url) if find_spec(peer) else {}
    return ways


def ours():
    from benchmarks.cache_shop.models import Item
    from scalekit.cache import cached

    plain, on_django = cached(ttl=TTL)(profile), cached(ttl=TTL, alias="django")(profile)
    tagged = cached(ttl=TTL, tags=TAGS, version=2)(profile)
    row = cached(ttl=TTL, depends_on=lambda user_id: [(Item, user_id)], version=3)(profile)
    return {
        "@cached": lambda: plain(42),
        "@cached, named arguments": lambda: plain(user_id=42, lang="en"),
        "@cached, three tags": lambda: tagged(42),
        "@cached, depends_on a row": lambda: row(42),
        "@cached on Django's RedisCache": lambda: on_django(42),
    }


def dogpile(url):
    from dogpile.cache import make_region

    region = make_region().configure(
        "dogpile.cache.redis", expiration_time=TTL, arguments={"url": url}
    )
    page = region.cache_on_arguments()(profile)
    return {"dogpile.cache": lambda: page(42)}


def cacheops(_):
    from cacheops import cached_as

    from benchmarks.cache_shop.models import Item

    page, locked = cached_as(Item)(profile), cached_as(Item, lock=True)(profile)
    rows = Item.objects.filter(pk=42).values_list("id", "name", "price").cache(timeout=TTL)
    return {
        "cacheops @cached_as": lambda: page(42),
        "cacheops @cached_as(lock=True)": lambda: locked(42),
        "cacheops queryset": lambda: list(rows.all()),
    }


def cachalot(_):
    from benchmarks.cache_shop.models import Cover

    rows = Cover.objects.filter(pk=42).values_list("id", "name", "price")
    return {"cachalot": lambda: list(rows.all())}


def local():
    """Return those that need no server."""
    from django.core.cache import caches

    from scalekit.cache import cached

    caches["local"].set("profile", VALUE)
    ways = {}
    if find_spec("cachetools"):
        from cachetools import TTLCache
        from cachetools import cached as in_ttl_cache

        kept = in_ttl_cache(TTLCache(1000, TTL), lock=Lock())(profile)
        ways |= {"cachetools TTLCache, lock": lambda: kept(42)}
    in_process = cached(ttl=TTL, alias="local")(profile)
    ways |= tiered()
    return ways | {
        "Django's LocMemCache.get()": lambda: caches["local"].get("profile"),
        "@cached on Django's LocMemCache": lambda: in_process(42),
    }


def tiered():
    """Return ours in the process's own tier, with values that are given as they are, or copied."""
    from scalekit.cache import cached

    @cached(ttl=TTL, alias="tiered")
    def text(user_id):
        return f"Ana {user_id}"

    @cached(ttl=TTL, alias="tiered")
    def flat(user_id):
        return {"id": user_id, "name": "Ana"}

    nested = cached(ttl=TTL, alias="tiered")(profile)
    until_it_listens(text)
    return {
        "@cached on TieredCache, a text": lambda: text(42),
        "@cached on TieredCache, a flat dict": lambda: flat(42),
        "@cached on TieredCache": lambda: nested(42),
    }


def until_it_listens(function):
    from django.core.cache import caches

    while not caches["tiered"].local.enabled:
        function(1)  # the listener begins with the first question
        time.sleep(0.01)


async def asynchronous(url):
    """Return coroutine functions that ask the server."""
    from redis.asyncio import Redis

    client = Redis.from_url(url)
    await client.set("raw", b"x" * 100)

    async def get():
        return await client.get("raw")

    ways = {"redis.asyncio GET": get, **aours()}
    for peer, make in {"aiocache": aiocache, "cashews": cashews}.items():
        ways |= make(url) if find_spec(peer) else {}
    return ways | django_async()


def aours():
    from scalekit.cache import cached

    page = cached(ttl=TTL)(aprofile)
    tagged = cached(ttl=TTL, tags=TAGS, version=2)(aprofile)
    in_process = cached(ttl=TTL, alias="tiered", version=3)(aprofile)

    async def plain():
        return await page(42)

    async def with_tags():
        return await tagged(42)

    async def tiered():
        return await in_process(42)

    return {
        "@cached async def": plain,
        "@cached async def, three tags": with_tags,
        "@cached async def on TieredCache": tiered,
    }


def django_async():
    from django.core.cache import cache

    async def aget():
        return await cache.aget("profile")

    return {"django-redis cache.aget()": aget}


def aiocache(url):
    from urllib.parse import urlsplit

    from aiocache import Cache
    from aiocache import cached as kept
    from aiocache.serializers import PickleSerializer

    server = urlsplit(url)
    where = {"endpoint": server.hostname, "port": server.port, "serializer": PickleSerializer()}
    page = kept(ttl=TTL, cache=Cache.REDIS, **where)(aprofile)

    async def get():
        return await page(42)

    return {"aiocache cached": get}


def cashews(url):
    from cashews import Cache

    cache = Cache()
    cache.setup(url)
    plain = cache(ttl=TTL, key="plain:{user_id}")(aprofile)
    tagged = cache(ttl=TTL, key="tags:{user_id}", tags=TAGS)(aprofile)
    locked = cache(ttl=TTL, key="lock:{user_id}", lock=True)(aprofile)

    async def get():
        return await plain(42)

    async def with_tags():
        return await tagged(42)

    async def with_lock():
        return await locked(42)

    return {"cashews": get, "cashews, three tags": with_tags, "cashews, lock=True": with_lock}
