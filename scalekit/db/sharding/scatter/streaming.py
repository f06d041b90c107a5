"""Rows of a shard in chunks, read by a thread that is one chunk ahead of its reader."""

from __future__ import annotations

import threading
import time
from contextlib import closing, suppress
from itertools import islice
from queue import Empty, Queue
from typing import TYPE_CHECKING, Any

from django.db import Error
from django.utils.asyncio import async_unsafe

from scalekit.db.sharding.parallel import failure, in_these_circumstances, silence, stays_here
from scalekit.db.sharding.threads import crew, tidy_connections

if TYPE_CHECKING:
    from collections.abc import Iterator

    from scalekit.db.sharding.scatter.plans import Plan
    from scalekit.db.sharding.scatter.sorting import Chunk

PARTING_SECONDS = 1.0  # for which a reader that leaves early waits for the thread to let go


def chunks_of(plan: Plan, alias: str, size: int) -> Iterator[Chunk]:
    """Read a shard's rows `size` at a time, by a cursor of the server where the database has one."""
    rows = plan.ask(alias).iterator(size)
    try:
        while found := list(islice(rows, size)):
            yield plan.chunk(found)
    finally:
        rows.close()


class Stream:
    """The chunks of one shard. Reading begins at once, unless only this thread may ask the shard."""

    @async_unsafe("You cannot ask shards from an async context - use aiterator().")
    def __init__(self, plan: Plan, alias: str, size: int, seconds: float | None) -> None:
        self.alias, self._seconds, self._began = alias, seconds, time.monotonic()
        self._ahead: Queue[Chunk | BaseException | None] = Queue(maxsize=1)
        self._left, self._done = False, threading.Event()
        self._chunks = chunks_of(plan, alias, size)
        self._is_here = stays_here(alias) or not self._begun()

    def __iter__(self) -> Iterator[Chunk]:
        if self._is_here:
            return self._read_here()
        return self._handed_over()

    def close(self) -> None:
        """Leave, whatever there is still to read."""
        if self._is_here:
            self._chunks.close()  # type: ignore[attr-defined]  # a generator
            return
        self._left = True
        with suppress(Empty):
            self._ahead.get_nowait()  # for which the thread may be waiting
        self._done.wait(PARTING_SECONDS)

    def _begun(self) -> bool:
        run = in_these_circumstances()
        try:
            crew.submit(self.alias, lambda: run(self._work), lasting=True)
        except RuntimeError:  # the system gives no more threads
            return False
        return True

    def _work(self) -> None:
        last: BaseException | None = None
        try:
            with closing(self._chunks) as chunks:  # type: ignore[type-var]  # a generator
                for chunk in chunks:
                    self._ahead.put(chunk)
                    if self._left:
                        break
        except BaseException as error:  # noqa: BLE001 - it is raised in the thread that reads
            last = failure(self.alias, error)
        tidy_connections()
        if not self._left:
            self._ahead.put(last)
        self._done.set()

    def _read_here(self) -> Iterator[Chunk]:
        try:
            yield from self._chunks
        except Error as error:
            failed = failure(self.alias, error)
            raise failed from failed.__cause__

    def _handed_over(self) -> Iterator[Chunk]:
        patience = self._seconds
        if patience is not None:  # several silent shards are waited for at once
            patience = max(0.0, self._began + patience - time.monotonic())
        while True:
            try:
                found: Any = self._ahead.get(timeout=patience)
            except Empty:
                raise silence(self.alias, self._seconds) from None
            patience = self._seconds
            if isinstance(found, BaseException):
                raise found
            if found is None:
                return
            yield found
