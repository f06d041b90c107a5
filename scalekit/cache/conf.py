from __future__ import annotations

from typing import Any

from scalekit.core.conf import Setting, Settings


class CacheSettings(Settings):
    prefix = "SCALEKIT_CACHE_"

    MAX_WAIT = Setting(
        10.0,
        "Seconds a call waits for another call that loads the same value; then one of those who wait loads.",
        kind=(int, float),
        valid=lambda seconds: seconds > 0,
        expected="a number of seconds above 0",
    )
    BREAKER_SECONDS = Setting(
        5.0,
        "Seconds a cache that failed is left alone before one call tries it again.",
        kind=(int, float),
        valid=lambda seconds: seconds >= 0,
        expected="a number of seconds, 0 or more",
    )
    LOADS_WHILE_DOWN = Setting(
        16,
        "How many calls of one process may load at once while the cache is down.",
        kind=int,
        valid=lambda calls: calls > 0,
        expected="a number of calls above 0",
    )
    WAIT_WHILE_DOWN = Setting(
        2.0,
        "Seconds a call waits for its turn to load while the cache is down; then it raises TooManyLoads.",
        kind=(int, float),
        valid=lambda seconds: seconds >= 0,
        expected="a number of seconds, 0 or more",
    )
    OVERDUE_LOADS = Setting(
        32,
        "How many loads of one process may run on after the `timeout` of their function; then it is called no more.",
        kind=int,
        valid=lambda loads: loads > 0,
        expected="a number of loads above 0",
    )
    REFRESH_THREADS = Setting(
        4,
        "How many threads of one process load values again while the old ones are still served.",
        kind=int,
        valid=lambda threads: threads > 0,
        expected="a number of threads above 0",
    )
    REFRESH_TASKS = Setting(
        "",
        "The alias of TASKS whose workers load values again; empty is threads of the process itself.",
        kind=str,
        expected="an alias of TASKS, or an empty string",
        example="default",
    )
    REPLICAS = Setting(
        0,
        "How many replicas of the cache must have an invalidation before it counts as done.",
        kind=int,
        valid=lambda replicas: replicas >= 0,
        expected="a number of replicas, 0 or more",
    )
    SERIALIZER = Setting[dict[str, dict[str, Any]]](
        lambda: {"default": {"BACKEND": "scalekit.cache.serializers.pickle.PickleSerializer"}},
        "How values are written down, by alias of the cache; `default` is for all others.",
        kind=dict,
        valid=lambda plugs: "default" in plugs,
        expected='a dict with the alias "default"',
    )
    DIGEST = Setting(
        "blake2b",
        "The digest that signs stored values: blake2b (keyed) or hmac-sha256.",
        kind=str,
        valid=lambda name: name in {"blake2b", "hmac-sha256"},
        expected='"blake2b" or "hmac-sha256"',
    )
    COMPRESS_ABOVE = Setting[int | None](
        4096,
        "Bytes above which a value is stored compressed; None is never.",
        kind=(int, type(None)),
        valid=lambda size: size is None or size >= 0,
        expected="a number of bytes, 0 or more, or None",
    )
    MODELS = Setting[list[str] | tuple[str, ...]](
        list,
        "The models whose writes every process announces to the cache, since functions depend on them.",
        kind=(list, tuple),
        valid=lambda labels: all(isinstance(label, str) for label in labels),
        expected='a list of "app.Model", "app", or "*" for all',
        example=["shop.Photo"],
    )
    ALIASES = Setting[list[str] | tuple[str, ...]](
        lambda: ["default"],
        "The entries of CACHES in which values end by tags and by writes to models.",
        kind=(list, tuple),
        valid=lambda aliases: bool(aliases) and all(isinstance(alias, str) for alias in aliases),
        expected="a list of aliases of CACHES",
    )
    HOLD_SECONDS = Setting(
        30.0,
        "Seconds for which nothing is kept that a transaction has written, should its process die.",
        kind=(int, float),
        valid=lambda seconds: seconds > 0,
        expected="a number of seconds above 0; longer than your transactions last",
    )
    REPLICA_LAG = Setting[float | None](
        None,
        "Seconds for which a replica may lack a write; None is 15 if DATABASES has replicas, else 0.",
        kind=(int, float, type(None)),
        valid=lambda seconds: seconds is None or seconds >= 0,
        expected="a number of seconds, 0 or more, or None",
    )
    STATISTICS = Setting(
        "",
        "The alias of CACHES, a Redis or Valkey, on which processes add up what they count; empty is not to count.",
        kind=str,
        example="default",
    )
    STATISTICS_SECONDS = Setting(
        10.0,
        "Seconds between two moments at which a process shares what it counted.",
        kind=(int, float),
        valid=lambda seconds: seconds > 0,
        expected="a number of seconds above 0",
    )
    WARMERS = Setting[list[str]](
        list,
        "Dotted paths of the functions that manage.py cache_warm runs when it is given none.",
        kind=(list, tuple),
        example=["shop.warmers.front_pages"],
    )


settings = CacheSettings()
