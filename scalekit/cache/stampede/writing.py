"""What transactions tell a server about the names they change, before their commit and after it."""

from __future__ import annotations

from dataclasses import dataclass
from secrets import token_bytes
from typing import TYPE_CHECKING, Any

from scalekit.cache.stampede import scripts, states
from scalekit.cache.stampede.base import Order, Request

if TYPE_CHECKING:
    from collections.abc import Sequence

    from scalekit.cache.stampede.plain import PlainCache
    from scalekit.cache.stampede.scripts import Call

FACTS_MS = (
    60_000  # how long loads are told what they must see: replicas that lag more are out of rotation
)


@dataclass(frozen=True, slots=True)
class Hold(Request[bool]):
    """`holder` may change `names`: for `ms` nothing that depends on them is believed or stored.

    The answer is whether the server could keep that in mind.
    """

    names: tuple[str, ...]
    holder: str
    ms: int

    def calls(self) -> Sequence[Call]:
        return [scripts.HOLD(name, self.holder, self.ms) for name in self.names]

    def answer(self, results: list[Any]) -> bool:
        return all(results)

    def plainly(self, cache: PlainCache) -> bool:
        """Hold without counting: the first of two holders that overlap ends it for both."""
        held = states.HOLD + b"0000000b" + b'{"facts":[]}'
        cache.set(dict.fromkeys(self.names, held), self.ms)
        return True


@dataclass(frozen=True, slots=True)
class Release(Order):
    """`holder` ("" if it did not hold them) is done with `names`, and has `changed` them, or not."""

    names: tuple[str, ...]
    holder: str
    changed: bool
    facts: str = ""

    def calls(self) -> Sequence[Call]:
        return [
            scripts.RELEASE(
                *(name, self.holder, int(self.changed), self.facts, token_bytes(8), FACTS_MS)
            )
            for name in self.names
        ]

    def plainly(self, cache: PlainCache) -> None:
        """Forget what was there, also after a rollback: it has not been kept."""
        if not (self.changed and self.facts):
            cache.delete(self.names)
            return
        texts = states.written_list([self.facts])
        stamps = {name: states.STAMP + token_bytes(8) + texts for name in self.names}
        cache.set(stamps, FACTS_MS)


@dataclass(frozen=True, slots=True)
class Remove(Order):
    """Remove what is stored under `name`, whatever it is."""

    name: str

    def calls(self) -> Sequence[Call]:
        return [("DEL", self.name)]

    def plainly(self, cache: PlainCache) -> None:
        cache.delete([self.name])


@dataclass(frozen=True, slots=True)
class Replicated(Request[int]):
    """Return how many replicas have what was written before on this connection, once `replicas` have, or after `ms`."""

    replicas: int
    ms: int

    def calls(self) -> Sequence[Call]:
        return [("WAIT", self.replicas, self.ms)]

    def answer(self, results: list[Any]) -> int:
        return int(results[0])

    def plainly(self, cache: PlainCache) -> int:  # noqa: ARG002 - it has none that we know of
        return self.replicas
