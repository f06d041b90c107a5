"""The servers under the cache benchmarks, and what they counted."""

from __future__ import annotations

import sqlite3
import tempfile
from contextlib import contextmanager
from pathlib import Path

# What opens a connection or is ours.
NOT_COUNTED = {"hello", "client", "select", "auth", "ping", "info", "config", "flushall", "command"}
ITEMS = 100
TABLES = """
CREATE TABLE cache_shop_maker (id integer PRIMARY KEY, name varchar(50));
CREATE TABLE cache_shop_item (id integer PRIMARY KEY, name varchar(50) UNIQUE, price integer, maker_id integer);
CREATE TABLE cache_shop_cover (id integer PRIMARY KEY, name varchar(50), price integer);
INSERT INTO cache_shop_maker VALUES (1, 'one');
"""


@contextmanager
def shop():
    """Start a Valkey and make an SQLite file of items, each priced at 100 times its key; give both addresses, and the server."""
    from scalekit.testing.servers import Topology

    with Topology() as topology, tempfile.TemporaryDirectory() as folder:
        server = topology.valkey()
        yield server.url, items_in(Path(folder) / "shop.sqlite3"), server


def items_in(path):
    """Make the file; return its entry of DATABASES."""
    with sqlite3.connect(path) as connection:
        connection.executescript(TABLES)
        rows = [(key, f"item {key}", key * 100) for key in range(1, ITEMS + 1)]
        connection.executemany("INSERT INTO cache_shop_item VALUES (?, ?, ?, 1)", rows)
        connection.executemany("INSERT INTO cache_shop_cover VALUES (?, ?, ?)", rows)
    connection.close()
    return {"ENGINE": "django.db.backends.sqlite3", "NAME": str(path), "OPTIONS": {"timeout": 20}}


def client(url):
    from redis import Redis

    return Redis.from_url(url)


def reset(url):
    """Begin to count anew, with a cache that is cold."""
    with client(url) as connection:
        connection.flushall()
        connection.config_resetstat()


def commands(url):
    """Return how many commands ran since `reset`, by INFO commandstats, without the set-up of connections."""
    with client(url) as connection:
        stats = connection.info("commandstats")
    names = {name: stat["calls"] for name, stat in stats.items()}
    return sum(n for name, n in names.items() if name[8:].split("|")[0] not in NOT_COUNTED)
