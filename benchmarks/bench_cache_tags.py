"""Give up everything that carries one tag: a million entries (--quick: 20,000), one call. One Valkey.

The entries are copies of one that the library stored itself, in the same sets. Counted are the seconds until the call
returns, the commands that the server ran, those inside scripts included, and the longest that another client waited for
the answer to a PING meanwhile.
"""

from __future__ import annotations

import time
from pathlib import Path
from threading import Event, Thread

from benchmarks.cache_orm_peers import Cachalot, CacheopsFunction
from benchmarks.cache_peers import CashewsTags
from benchmarks.cache_processes import ask
from benchmarks.cache_server import client, commands, shop
from benchmarks.cache_setups import DjangoRedis, ScalekitModels, ScalekitTags, installed, serve
from benchmarks.cache_tables import show
from benchmarks.taking_turns import QUICK, rounds

KEY = 1
LIMIT = 300  # seconds
BATCH = 20_000  # copies that one call of the script makes
CLONE = Path(__file__).with_name("cache_clone.lua").read_text()


class Pattern(DjangoRedis):
    name = "django-redis delete_pattern()"

    def give_up(self):
        self.cache.delete_pattern("item:*")


class Sets(CashewsTags):
    name = "cashews delete_tags()"

    def give_up(self):
        self.invalidate(KEY)


class Conjunctions(CacheopsFunction):
    name = "cacheops invalidate_obj()"

    def give_up(self):
        from cacheops import invalidate_obj

        from benchmarks.cache_shop.models import Item

        invalidate_obj(Item(pk=KEY, maker_id=1))


class Tables(Cachalot):
    name = "cachalot invalidate()"

    def give_up(self):
        from cachalot.api import invalidate

        invalidate("cache_shop_item")


class Stamps(ScalekitTags):
    name = "scalekit invalidate_tags()"

    def give_up(self):
        from scalekit.cache import invalidate_tags

        invalidate_tags("items")


class Models(ScalekitModels):
    name = "scalekit invalidate_models()"

    def give_up(self):
        from benchmarks.cache_shop.models import Item
        from scalekit.cache import invalidate_models

        invalidate_models(Item)


SETUPS = (Pattern, Sets, Conjunctions, Tables, Stamps, Models)


class Neighbour(Thread):
    """Another client of the server, who notes its longest wait."""

    def __init__(self, url):
        super().__init__(daemon=True)
        self.url, self.longest, self.done = url, 0.0, Event()

    def run(self):
        with client(self.url) as redis:
            while not self.done.is_set():
                begin = time.perf_counter()
                redis.ping()
                self.longest = max(self.longest, time.perf_counter() - begin)
                self.done.wait(0.001)


def fill(redis, count):
    """Copy the stored entry `count` times, into every set that holds its key."""
    keys = [key for key in redis.scan_iter(count=1000) if redis.type(key) != b"set"]
    entry = max(keys, key=redis.strlen)  # what stands beside it are stamps
    sets = [key for key in redis.scan_iter(_type="set") if redis.sismember(key, entry)]
    clone = redis.register_script(CLONE)
    for first in range(0, count, BATCH):
        clone(keys=[entry, *sets], args=[first, min(BATCH, count - first)])


def give_up(say, kind, url, database, count):
    """Fill and give up; say the seconds, the commands, the neighbour's wait and whether it loads again."""
    setup = serve(kind(url), database)
    from benchmarks.cache_loads import loads

    setup.get(KEY)
    with client(url) as redis:
        fill(redis, count)
        redis.config_resetstat()
    neighbour = Neighbour(url)
    neighbour.start()
    begin = time.perf_counter()
    setup.give_up()
    seconds = time.perf_counter() - begin
    ran = commands(url)
    neighbour.done.set()
    neighbour.join()
    loads.count = 0
    setup.get(KEY)
    say((seconds, ran, neighbour.longest, loads.count))


def main():
    count = 20_000 if rounds(__doc__) == QUICK else 1_000_000
    print(__doc__)
    rows = []
    for kind in installed(*SETUPS):
        with shop() as (url, database, _):
            seconds, ran, longest, loaded = ask(LIMIT, give_up, kind, url, database, count)
        wait = f"{longest * 1000:.1f} ms"
        rows.append(
            [kind.name, f"{seconds * 1000:,.1f} ms", f"{ran:,}", wait, "" if loaded else "no"]
        )
    columns = [f"{count:,} entries", "returns after", "commands", "a neighbour waited", "given up"]
    show("One tag", columns, rows)


if __name__ == "__main__":
    main()
