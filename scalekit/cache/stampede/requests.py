"""What a server can be asked about entries and leases; `writing` has what transactions tell it."""

from __future__ import annotations

from dataclasses import dataclass
from secrets import token_bytes
from time import time
from typing import TYPE_CHECKING, Any

from scalekit.cache.stampede import scripts, states
from scalekit.cache.stampede.base import Order, Request

if TYPE_CHECKING:
    from collections.abc import Sequence

    from scalekit.cache.stampede.plain import PlainCache
    from scalekit.cache.stampede.scripts import Call


@dataclass(frozen=True, slots=True)
class Granted:
    """The lease is ours; the load must see `facts`."""

    facts: states.Facts


@dataclass(frozen=True, slots=True)
class Acquire(Request[Granted | bytes]):
    """Take the lease of `key`, unless something is stored that does not begin with `void`: then return that.

    `digest` is that of the stamps the load will be stored with. The lease ends after `ms`, unless renewed.
    """

    key: str
    token: bytes
    digest: bytes
    void: bytes
    ms: int

    def calls(self) -> Sequence[Call]:
        return [scripts.ACQUIRE(self.key, self.token, self.digest, self.void, self.ms)]

    def answer(self, results: list[Any]) -> Granted | bytes:
        granted, text = results[0]
        if not granted:
            return bytes(text)
        return Granted(states.facts_in(states.STAMP + self.token + text))

    def plainly(self, cache: PlainCache) -> Granted | bytes:
        """Grant it to everyone: in one process, the flights let only one ask."""
        stored = cache.get(self.key)
        if stored is None or stored[:4] in {states.STAMP, states.FAILURE}:
            return Granted(states.facts_in(stored))
        is_void = self.void and stored.startswith(self.void)
        is_ours = stored[1:4] == states.MAGIC
        return Granted(()) if is_void or not is_ours else stored


@dataclass(frozen=True, slots=True)
class Swap(Request[bool]):
    """Replace what is stored under `key` if it begins with `seen`; `new` may be b"" to remove it.

    `ms` is the lifetime of what is new, 0 for no end.
    """

    key: str
    seen: bytes
    new: bytes
    ms: int = 0

    def calls(self) -> Sequence[Call]:
        return [scripts.SWAP(self.key, self.seen, self.new, self.ms)]

    def answer(self, results: list[Any]) -> bool:
        return bool(results[0])

    def plainly(self, cache: PlainCache) -> bool:
        stored = cache.get(self.key)
        if not self._may_replace(stored):
            return False
        if self.new:
            cache.set({self.key: self.new}, self.ms)
        elif stored is not None:
            cache.delete([self.key])
        return True

    def _may_replace(self, stored: bytes | None) -> bool:
        # A lease is stored nowhere: all that is known is who may not store.
        if self.seen.startswith(states.LEASE):
            return not states.is_held(stored)
        return stored is not None and stored.startswith(self.seen)


@dataclass(frozen=True, slots=True)
class Claim(Request[bool]):
    """Take `key` if nobody has it: the right to refresh an entry that is still served."""

    key: str
    token: bytes
    ms: int

    def calls(self) -> Sequence[Call]:
        return [("SET", self.key, states.LEASE + self.token, "NX", "PX", self.ms)]

    def answer(self, results: list[Any]) -> bool:
        return bool(results[0])

    def plainly(self, cache: PlainCache) -> bool:
        return cache.add(self.key, states.LEASE + self.token, self.ms)


@dataclass(frozen=True, slots=True)
class Unclaim(Order):
    """Give back what `Claim` took."""

    key: str
    token: bytes

    def calls(self) -> Sequence[Call]:
        return [scripts.SWAP(self.key, states.LEASE + self.token, b"", 0)]

    def plainly(self, cache: PlainCache) -> None:
        cache.delete([self.key])


@dataclass(frozen=True, slots=True)
class Renew(Order):
    """Let the leases under `keys` live `ms` from now, where they still begin with their `tokens`."""

    leases: tuple[tuple[str, bytes], ...]
    ms: int

    def calls(self) -> Sequence[Call]:
        return [scripts.RENEW(key, states.LEASE + token, self.ms) for key, token in self.leases]

    def plainly(self, cache: PlainCache) -> None:
        """Do nothing: there is no lease."""


@dataclass(frozen=True, slots=True)
class Stamp(Request[list[bytes]]):
    """Return the stamps under `names`, made where they are missing; they live at least `ms`."""

    names: tuple[str, ...]
    ms: int

    def calls(self) -> Sequence[Call]:
        return [scripts.STAMP(name, token_bytes(8), self.ms) for name in self.names]

    def answer(self, results: list[Any]) -> list[bytes]:
        return results

    def plainly(self, cache: PlainCache) -> list[bytes]:
        found = zip(self.names, cache.get_many(self.names), strict=True)
        return [stamp or self._made(cache, name) for name, stamp in found]

    def _made(self, cache: PlainCache, name: str) -> bytes:
        stamp = states.STAMP + token_bytes(8)
        return stamp if cache.add(name, stamp, self.ms) else cache.get(name) or stamp


@dataclass(frozen=True, slots=True)
class Fill(Request[bool]):
    """Store an entry as `swap` does, and let the stamps that it depends on outlive it by far.

    Whoever made a stamp knew nothing of this entry: another function, or a write, after which it lives for a minute.
    """

    swap: Swap
    stamp: Stamp

    def calls(self) -> Sequence[Call]:
        return [*self.swap.calls(), *self.stamp.calls()]

    def answer(self, results: list[Any]) -> bool:
        return self.swap.answer(results[:1])

    def plainly(self, cache: PlainCache) -> bool:
        cache.keep(self.stamp.names)
        return self.swap.plainly(cache)


@dataclass(frozen=True, slots=True)
class Epoch(Request[tuple[float, float]]):
    """Return the server's time and the time before which nothing is believed; `now` if `is_raised`. Seconds."""

    key: str
    is_raised: bool = False

    def calls(self) -> Sequence[Call]:
        return [scripts.EPOCH(self.key, int(self.is_raised))]

    def answer(self, results: list[Any]) -> tuple[float, float]:
        now, epoch = results[0]
        return int(now) / 1000, int(epoch) / 1000

    def plainly(self, cache: PlainCache) -> tuple[float, float]:  # noqa: ARG002 - it has no clock
        """Know this process alone."""
        now = time()
        return now, now if self.is_raised else 0.0


@dataclass(frozen=True, slots=True)
class Batch(Request[list[Any]]):
    """Several requests in one round trip."""

    requests: tuple[Request[Any], ...]

    def calls(self) -> Sequence[Call]:
        return [call for request in self.requests for call in request.calls()]

    def answer(self, results: list[Any]) -> list[Any]:
        rest = iter(results)
        return [request.answer([next(rest) for _ in request.calls()]) for request in self.requests]

    def plainly(self, cache: PlainCache) -> list[Any]:
        return [request.plainly(cache) for request in self.requests]
