"""All stored entries of one function, found by their keys: a walk through the whole server, for commands."""

from __future__ import annotations

import re
from contextlib import contextmanager
from itertools import islice
from typing import TYPE_CHECKING, Any

from scalekit.cache.exceptions import UncacheableFunction
from scalekit.cache.keys import prefix_of
from scalekit.cache.store import store_of

if TYPE_CHECKING:
    from collections.abc import Iterator

_TOGETHER = 500  # keys in one round trip


def keys_of(alias: str, function: str) -> Iterator[tuple[str, ...]]:
    """Return the keys on the server of a function's values, some hundred at a time, running loads' included.

    Raises `UncacheableFunction` at once for a cache that cannot list its keys, and ConnectionError, as the keys
    are walked through, for one that is gone.
    """
    client = getattr(store_of(alias).server, "client", None)
    if client is None:
        msg = (
            f"CACHES[{alias!r}] cannot list its keys: end values of {function} by their arguments or tags, or all"
            " of them by another version= of the function."
        )
        raise UncacheableFunction(msg)
    return _walk(client, alias, store_of(alias).made_key(prefix_of(function)))


def _walk(client: Any, alias: str, prefix: str) -> Iterator[tuple[str, ...]]:
    pattern = re.sub(r"([*?\[\]\\])", r"\\\1", prefix) + "*"
    found = client.scan_iter(match=pattern, count=_TOGETHER)
    keys = (key.decode() if isinstance(key, bytes) else key for key in found)
    with answering(alias):
        while some := tuple(islice(keys, _TOGETHER)):
            yield some


@contextmanager
def answering(alias: str) -> Iterator[None]:
    """Turn what a client of redis-py raises for a server that is gone into ConnectionError."""
    from redis.exceptions import RedisError

    try:
        yield
    except RedisError as error:
        raise ConnectionError(f"CACHES[{alias!r}] does not answer: {error}") from error
