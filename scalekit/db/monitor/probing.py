"""One server's place in the monitor: its connection, and at most one probe under way."""

from __future__ import annotations

import asyncio
import os
import socket
from contextlib import suppress
from time import monotonic
from typing import TYPE_CHECKING, Any

import psycopg

from scalekit.db.monitor.reading import PROBE, observation

if TYPE_CHECKING:
    from collections.abc import Callable

    from scalekit.db.monitor.sights import Observation

PATIENCE = 3.0  # seconds after which a connection that says nothing is given up for a new one
# For servers that vanish with their machine; a frozen process still has a kernel that acknowledges.
KEEPALIVE = {
    "keepalives_idle": 5,
    "keepalives_interval": 2,
    "keepalives_count": 2,
    "tcp_user_timeout": 3000,
    "fallback_application_name": "scalekit monitor",
}


class Blind(Exception):
    """A server answers, but not what was asked."""


class Slot:
    """The probes of one server, which wait for no other server's.

    A probe that gets no answer stays under way: its server counts as hung until it answers.
    """

    def __init__(self, alias: str, params: Callable[[], dict[str, Any]]) -> None:
        self.alias = alias
        self._params = params  # asked again for each connection: a primary may have moved
        self._connection: psycopg.AsyncConnection[Any] | None = None
        self._since = 0.0
        self.probe: asyncio.Task[Observation] | None = None
        self.answered = False  # at least once

    def begin(self) -> asyncio.Task[Observation]:
        """Return the probe that is under way, or a new one."""
        if self.probe is not None and not self.probe.done():
            if monotonic() - self._since > PATIENCE:
                self._break_off()
            return self.probe
        self._hear()
        self._since = monotonic()
        self.probe = asyncio.get_running_loop().create_task(self._ask())
        return self.probe

    async def close(self) -> None:
        if self.probe is not None and not self.probe.done():
            self._break_off()
            if self._connection is None:
                self.probe.cancel()
            await asyncio.wait([self.probe], timeout=1)
        self._hear()
        await self.forget()

    def _hear(self) -> None:
        """Take note of how the last probe ended, for asyncio complains of errors that nobody asked for."""
        if self.probe is not None and self.probe.done() and not self.probe.cancelled():
            self.probe.exception()

    async def forget(self) -> None:
        """Close the connection, so that the next probe finds out anew where the server is."""
        connection, self._connection = self._connection, None
        if connection is not None:
            with suppress(psycopg.Error):
                await connection.close()

    async def _ask(self) -> Observation:
        """Return the answer. Raises `psycopg.Error` if the server is gone, `Blind` if it tells nothing."""
        was_open = self._connection is not None
        try:
            return await self._ask_once()
        except psycopg.Error:
            await self.forget()
            if not was_open:
                raise
        return await self._ask_once()  # an idle connection may have been cut by what lies between

    async def _ask_once(self) -> Observation:
        connection = self._connection
        if connection is None or connection.closed:
            # In a thread: it may have to ask somebody where the primary is.
            params = await asyncio.to_thread(self._params)
            hosts = 1 + str(params.get("host", "")).count(",")
            async with asyncio.timeout(PATIENCE * hosts):
                connection = await psycopg.AsyncConnection.connect(
                    **{**KEEPALIVE, **params, "autocommit": True}
                )
            self._connection = connection
        started = monotonic()
        try:
            cursor = await connection.execute(PROBE)
            row = await cursor.fetchone()
            seen = observation(row or (), at=started, took=monotonic() - started)
        except (
            psycopg.ProgrammingError,
            psycopg.NotSupportedError,
            TypeError,
            ValueError,
        ) as error:
            raise Blind(str(error)) from error
        self.answered = True
        return seen

    def _break_off(self) -> None:
        """End a probe that gets no answer, by its socket: cancelling a query would ask the server first."""
        if self._connection is None or self._connection.closed:
            return  # connecting has a limit of its own
        with suppress(OSError, psycopg.Error):
            copy = socket.socket(fileno=os.dup(self._connection.pgconn.socket))
            with copy:
                copy.shutdown(socket.SHUT_RDWR)
