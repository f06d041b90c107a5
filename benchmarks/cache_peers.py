"""The set-ups of other libraries; those for asyncio get an event loop in a thread."""

from __future__ import annotations

import asyncio
from concurrent.futures import ThreadPoolExecutor
from threading import Condition, Thread
from urllib.parse import urlsplit

from benchmarks.cache_loads import price_of
from benchmarks.cache_setups import TTL, Setup


class Dogpile(Setup):
    name = "dogpile.cache"
    needs = "dogpile"
    distributed = False

    def open(self):
        from dogpile.cache import make_region

        limits = {"socket_timeout": self.timeout} if self.timeout else {}
        locks = {"distributed_lock": True, "thread_local_lock": False} if self.distributed else {}
        self.region = make_region().configure(
            "dogpile.cache.redis",
            expiration_time=TTL,
            arguments={"url": self.url, **limits, **locks},
        )

    def get(self, key):
        return self.region.get_or_create(f"item:{key}", lambda: price_of(key))

    def invalidate(self, key):
        self.region.delete(f"item:{key}")


class DogpileDistributed(Dogpile):
    name = "dogpile.cache, distributed_lock"
    distributed = True


class Looped(Setup):
    """Calls from threads become tasks of one loop, whose loads run in threads."""

    def open(self):
        self.loop = asyncio.new_event_loop()
        self.loop.set_default_executor(ThreadPoolExecutor(64))
        Thread(target=self.loop.run_forever, daemon=True).start()
        self.page = self.run(self.make())

    def run(self, coroutine):
        return asyncio.run_coroutine_threadsafe(coroutine, self.loop).result()

    async def make(self):
        raise NotImplementedError

    def get(self, key):
        return self.run(self.page(key))


class Cashews(Looped):
    name = "cashews"
    needs = "cashews"
    keywords = {}

    async def make(self):
        from cashews import Cache

        self.cache = Cache()
        limits = {"socket_timeout": self.timeout} if self.timeout else {}
        self.cache.setup(self.url, **limits)

        @self.cache(ttl=TTL, key="item:{key}", **self.keywords)
        async def page(key):
            return await asyncio.to_thread(price_of, key)

        return page

    def invalidate(self, key):
        self.run(self.cache.delete(f"item:{key}"))


class CashewsLock(Cashews):
    name = "cashews, lock=True"
    keywords = {"lock": True}


class CashewsTags(Cashews):
    name = "cashews, tags"
    keywords = {"tags": ["items"]}

    def invalidate(self, key):  # noqa: ARG002 - the tag stands for all of them
        self.run(self.cache.delete_tags("items"))


class AioCache(Looped):
    name = "aiocache cached"
    needs = "aiocache"
    decorator = "cached"
    keywords = {}

    async def make(self):
        import aiocache

        server = urlsplit(self.url)
        limits = {"timeout": self.timeout} if self.timeout else {}

        @getattr(aiocache, self.decorator)(
            ttl=TTL,
            key_builder=lambda _, key: f"item:{key}",
            cache=aiocache.Cache.REDIS,
            endpoint=server.hostname,
            port=server.port,
            db=int(server.path[1:]),
            **limits,
            **self.keywords,
        )
        async def page(key):
            return await asyncio.to_thread(price_of, key)

        return page

    def invalidate(self, key):
        self.run(self.page.cache.delete(f"item:{key}"))


class AioCacheStampede(AioCache):
    name = "aiocache cached_stampede"
    decorator = "cached_stampede"
    keywords = {"lease": 2}


class CacheTools(Setup):
    name = "cachetools, in process"
    needs = "cachetools"

    def open(self):
        from cachetools import TTLCache, cached

        self.page = cached(TTLCache(1000, TTL), condition=Condition())(price_of)

    def invalidate(self, key):
        self.page.cache.pop(self.page.cache_key(key), None)

    def get(self, key):
        return self.page(key)
