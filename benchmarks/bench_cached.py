"""What a hit costs over a plain GET, beside what a user would pick or write by hand: one Valkey, one process.

Three comparisons, each in turns: synchronous, asyncio, and values that are in the process already. Of many short rounds
the fastest counts: what the others took longer is what else the machine did.
"""

from __future__ import annotations

import asyncio
import inspect
import sys
from importlib.util import find_spec
from pathlib import Path
from tempfile import TemporaryDirectory

from benchmarks import cache_hits
from benchmarks.cache_server import items_in
from benchmarks.cache_tables import show
from benchmarks.taking_turns import in_turns, rounds

CALLS, LOCAL_CALLS = 50, 500  # a round
PEERS = ("cacheops", "cachalot")  # apps


def configure(url, database):
    import django
    from django.conf import settings

    times_out = {"SOCKET_CONNECT_TIMEOUT": 0.25, "SOCKET_TIMEOUT": 0.25}
    on_django_redis = {"LOCATION": url, "OPTIONS": times_out}
    settings.configure(
        INSTALLED_APPS=[
            *filter(find_spec, PEERS),
            *("scalekit.cache", "django.contrib.contenttypes", "benchmarks.cache_shop"),
        ],
        CACHES={
            "default": {"BACKEND": "django_redis.cache.RedisCache", **on_django_redis},
            "django": {"BACKEND": "django.core.cache.backends.redis.RedisCache", "LOCATION": url},
            "tiered": {
                "BACKEND": "scalekit.cache.backends.tiered.TieredCache",
                "OPTIONS": {"over": "default"},
            },
            "local": {"BACKEND": "django.core.cache.backends.locmem.LocMemCache"},
        },
        DATABASES={"default": database},
        DEFAULT_AUTO_FIELD="django.db.models.AutoField",
        CACHEOPS_REDIS=url,
        CACHEOPS={"cache_shop.item": {"ops": (), "timeout": cache_hits.TTL}},
        CACHALOT_ONLY_CACHABLE_TABLES=("cache_shop_cover",),
        SECRET_KEY="x" * 50,
        USE_TZ=True,
    )
    django.setup()


def table(title, ways, count, calls, loop=None):
    """Check that all ways give the value, and print what they cost."""
    for name, way in ways.items():
        for _ in range(2):  # fills, then hits
            value = loop.run_until_complete(way()) if loop else way()
        if not name.startswith("redis") and value not in cache_hits.RIGHT:
            sys.exit(f"{name} gave {value!r}")
    samples = in_turns(ways, count, calls, loop)
    times = {name: min(some) for name, some in samples.items()}
    first = next(iter(times.values()))
    rows = [[name, f"{t:.2f} us", f"{t / first:.2f} x"] for name, t in times.items()]
    show(title, ["a hit", "time", f"over {next(iter(ways))}"], rows)


def main():
    count = 3 * rounds(__doc__)
    print(__doc__)
    from scalekit.testing.servers import Topology

    with Topology() as topology, TemporaryDirectory() as folder:
        url = topology.valkey().url
        configure(url, items_in(Path(folder) / "shop.sqlite3"))
        table("Synchronous", cache_hits.synchronous(url), count, CALLS)
        table("In the process", cache_hits.local(), count, LOCAL_CALLS)
        with asyncio.Runner() as runner:
            loop = runner.get_loop()
            ways = runner.run(cache_hits.asynchronous(url))
            assert all(map(inspect.iscoroutinefunction, ways.values()))
            table("asyncio", ways, count, CALLS, loop)


if __name__ == "__main__":
    main()
