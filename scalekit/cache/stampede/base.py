"""The contract of a server that keeps entries, and of what it can be asked.

A request says in one place what it means to a Valkey (`calls`, one round trip, and `answer`) and to any other
cache of Django (`plainly`). So each is written once for threads and event loops.
"""

from __future__ import annotations

from abc import ABC, abstractmethod
from typing import TYPE_CHECKING, Any, ClassVar, Generic, TypeVar

from asgiref.sync import sync_to_async

if TYPE_CHECKING:
    from collections.abc import Sequence

    from scalekit.cache.stampede.plain import PlainCache
    from scalekit.cache.stampede.scripts import Call

A = TypeVar("A")


class Request(ABC, Generic[A]):
    """One question to a server, whose answer is an `A`."""

    __slots__ = ()

    @abstractmethod
    def calls(self) -> Sequence[Call]:
        """Return the commands for a Valkey, each about one key."""

    @abstractmethod
    def answer(self, results: list[Any]) -> A:
        """Return what the results of the calls mean."""

    @abstractmethod
    def plainly(self, cache: PlainCache) -> A:
        """Do what comes nearest on a cache that knows only get, set, add and delete."""


class Order(Request[None]):
    """A request whose answer says nothing."""

    __slots__ = ()

    def answer(self, results: list[Any]) -> None:  # noqa: ARG002 - there is nothing to read in them
        return None


class Server(ABC):
    """Where the entries of one alias are. Keys are as the server knows them. Raises what its client raises."""

    has_leases: ClassVar[bool] = False
    can_wait: bool = False  # for its replicas to have what was written

    @property
    def place(self) -> object:
        """Where the server is now, as far as its client knows: another after a failover."""
        return None

    def close(self) -> None:  # noqa: B027 - most keep nothing open
        """Give back what is kept open."""

    @abstractmethod
    def fetch(self, keys: Sequence[str]) -> list[bytes | None]:
        """Return what is stored under each key, in one round trip."""

    @abstractmethod
    def run(self, request: Request[A]) -> A:
        """Ask."""

    async def afetch(self, keys: Sequence[str]) -> list[bytes | None]:
        return await sync_to_async(self.fetch)(keys)

    async def arun(self, request: Request[A]) -> A:
        return await sync_to_async(self.run)(request)
