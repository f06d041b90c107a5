"""Entries and leases on a Redis or Valkey: alone, behind Sentinel, or a Redis Cluster."""

from __future__ import annotations

from functools import cached_property
from typing import TYPE_CHECKING, Any, TypeVar

from redis.exceptions import NoScriptError

from scalekit.cache.clients import client_of_loop, twin_if_any, twin_of_loop, twins_of
from scalekit.cache.stampede.base import Request, Server
from scalekit.cache.stampede.kept import KeptConnections, LoopConnections
from scalekit.cache.stampede.scripts import in_full

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from scalekit.cache.stampede.scripts import Call

A = TypeVar("A")


class ValkeyServer(Server):
    """Asks through one client of redis-py for all threads, and one for each event loop."""

    has_leases = True

    def __init__(self, connect: Callable[[], Any], *, is_cluster: bool = False) -> None:
        """Take what returns the client; it is called when something is first asked, and may raise."""
        self._connect = connect
        self._splits = is_cluster  # one key a command: keys of two slots may be on two servers
        self.can_wait = not is_cluster
        self._place: frozenset[object] = frozenset()

    @cached_property
    def client(self) -> Any:
        return self._connect()

    @cached_property
    def _reads(self) -> KeptConnections:
        return KeptConnections(self.client.connection_pool)

    def close(self) -> None:
        if "_reads" in self.__dict__:
            self._reads.close()

    @property
    def place(self) -> object:
        """Where Sentinel says the primary is; threads and each loop ask it for themselves."""
        client = self.__dict__.get("client")
        if client is not None and not self._splits:
            pools = [each.connection_pool for each in (client, *twins_of(client))]
            found = {getattr(pool, "master_address", None) for pool in pools} - {None}
            self._place = frozenset(found) or self._place  # a loop that ends takes it nowhere
        return self._place

    def fetch(self, keys: Sequence[str]) -> list[bytes | None]:
        if self._splits:
            return self._many([("GET", key) for key in keys])
        if len(keys) == 1:
            return [self._reads.ask("GET", keys[0])]
        return self._reads.ask("MGET", *keys)  # type: ignore[no-any-return]  # redis-py is untyped

    def run(self, request: Request[A]) -> A:
        calls = request.calls()
        return request.answer(self._one(calls[0]) if len(calls) == 1 else self._many(calls))

    def _one(self, call: Call) -> list[Any]:
        try:
            return [self.client.execute_command(*call)]
        except NoScriptError:
            return [self.client.execute_command(*in_full(call))]

    def _many(self, calls: Sequence[Call]) -> list[Any]:
        results = self._pipelined(calls)
        unknown = _unknown(results)
        if unknown:
            again = self._pipelined([in_full(calls[position]) for position in unknown])
            _put(results, unknown, again)
        return _unless_failed(results)

    def _pipelined(self, calls: Sequence[Call]) -> list[Any]:
        if not calls:
            return []
        with self.client.pipeline(transaction=False) as pipeline:
            for call in calls:
                pipeline.execute_command(*call)
            return pipeline.execute(raise_on_error=False)  # type: ignore[no-any-return]  # redis-py's own types say less

    async def afetch(self, keys: Sequence[str]) -> list[bytes | None]:
        if self._splits:
            return await self._amany([("GET", key) for key in keys])
        twin = twin_if_any(self.client)
        reads = None if twin is None else twin.reads
        if reads is None:
            reads = await self._open_reads()
        if len(keys) == 1:
            return [await reads.ask("GET", keys[0])]
        return await reads.ask("MGET", *keys)  # type: ignore[no-any-return]  # redis-py's own types say less

    async def _open_reads(self) -> LoopConnections:
        twin = await twin_of_loop(self.client)
        if twin.reads is None:
            twin.reads = LoopConnections(twin.client.connection_pool)
        return twin.reads

    async def arun(self, request: Request[A]) -> A:
        calls = request.calls()
        if len(calls) == 1:
            return request.answer(await self._aone(calls[0]))
        return request.answer(await self._amany(calls))

    async def _aone(self, call: Call) -> list[Any]:
        client = await client_of_loop(self.client)
        try:
            return [await client.execute_command(*call)]
        except NoScriptError:
            return [await client.execute_command(*in_full(call))]

    async def _amany(self, calls: Sequence[Call]) -> list[Any]:
        results = await self._apipelined(calls)
        unknown = _unknown(results)
        if unknown:
            again = await self._apipelined([in_full(calls[position]) for position in unknown])
            _put(results, unknown, again)
        return _unless_failed(results)

    async def _apipelined(self, calls: Sequence[Call]) -> list[Any]:
        if not calls:
            return []
        client = await client_of_loop(self.client)
        async with client.pipeline(transaction=False) as pipeline:
            for call in calls:
                pipeline.execute_command(*call)
            return await pipeline.execute(raise_on_error=False)  # type: ignore[no-any-return]  # redis-py's own types say less


def _unknown(results: list[Any]) -> list[int]:
    return [place for place, result in enumerate(results) if isinstance(result, NoScriptError)]


def _put(results: list[Any], places: list[int], again: list[Any]) -> None:
    for place, result in zip(places, again, strict=True):
        results[place] = result


def _unless_failed(results: list[Any]) -> list[Any]:
    for result in results:
        if isinstance(result, Exception):
            raise result
    return results
