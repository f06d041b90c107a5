"""Connections that are renewed when they are dead, and led to a primary that may move."""

from __future__ import annotations

import os
import threading
from contextlib import suppress
from functools import cached_property
from typing import TYPE_CHECKING, Any

from django.db import Error
from django.db.backends.postgresql import base
from django.db.utils import DatabaseErrorWrapper

from scalekit.db.backends.postgresql import following, pools
from scalekit.db.backends.postgresql.failures import (
    is_server_lost,
    is_silence,
    is_unreachable,
    was_demoted,
)
from scalekit.db.backends.postgresql.sockets import hung_up, limited, lines
from scalekit.db.cluster import current_cluster
from scalekit.db.conf import discoveries
from scalekit.db.exceptions import PrimaryDown, StalePrimary
from scalekit.db.outage.facts import LOST
from scalekit.db.outage.state import outages

if TYPE_CHECKING:
    from types import TracebackType

_making_pools = threading.RLock()


def _forget_after_fork() -> None:
    global _making_pools  # noqa: PLW0603 - a lock that the parent's threads held stays locked in the child
    _making_pools = threading.RLock()


if hasattr(os, "register_at_fork"):
    os.register_at_fork(after_in_child=_forget_after_fork)
CONNECT_TIMEOUT = 2  # seconds; libpq waits two minutes for a host that is gone


class _Errors(DatabaseErrorWrapper):
    """Django's translation of errors, overheard."""

    def __exit__(
        self,
        exc_type: type[BaseException] | None,
        exc_value: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        if exc_type is None:
            return
        try:
            super().__exit__(exc_type, exc_value, traceback)
        except Error as translated:
            self.wrapper.failed(translated)  # type: ignore[attr-defined]  # ours
            raise


class Connecting(base.DatabaseWrapper):
    """The part of the engine that opens connections and gives up dead ones."""

    moves_reads = True  # False for whoever must hear that this very server is gone
    _demoted = False
    _opening = False

    @property
    def replica_of(self) -> str | None:
        """The alias of the primary, None on a primary."""
        return (self.settings_dict.get("SCALEKIT") or {}).get("REPLICA_OF")

    @cached_property
    def follows(self) -> bool:
        """Whether this is a primary that another server may take over from."""
        if self.replica_of or not self.moves_reads:
            return False
        primary = current_cluster().primaries.get(self.alias)
        has_others = primary is not None and bool(primary.replicas)
        return has_others or self._several_hosts or self.alias in discoveries

    @property
    def _several_hosts(self) -> bool:
        return "," in str(self.settings_dict["HOST"])

    @cached_property
    def wrap_database_errors(self) -> DatabaseErrorWrapper:
        return _Errors(self)

    def failed(self, error: Error) -> None:
        """Hear of an error: what fails for want of a primary is no fault of the request's."""
        if not self.follows:
            return
        if was_demoted(error, self.connection):
            self._demoted = True
        elif not is_server_lost(error, self.connection):
            return
        LOST.set(self.alias)

    def get_connection_params(self) -> dict[str, Any]:
        params = super().get_connection_params()
        if self.replica_of or self._several_hosts or self.follows:
            params.setdefault("connect_timeout", CONNECT_TIMEOUT)
        if not self.replica_of and (self._several_hosts or self.alias in discoveries):
            params.setdefault("target_session_attrs", "read-write")
        return params

    def connect(self) -> None:
        if not self.follows:
            super().connect()
            return
        self._demoted = False
        try:
            outages.admit(self.alias)
            self._connect_or_wait()
        except PrimaryDown:
            LOST.set(self.alias)
            raise
        outages.up(self.alias)

    def _connect_or_wait(self) -> None:
        """Connect; if nobody is there, wait for who will be, and try once more: nothing was sent yet."""
        for is_last in (False, True):
            try:
                super().connect()
            except (self.Database.Error, StalePrimary, PrimaryDown) as error:
                if not is_unreachable(error):
                    raise
                following.doubt(self.alias)
                outages.down(self.alias, error)
                if is_last:
                    raise PrimaryDown(f"The primary {self.alias} is down: {error}") from error
                outages.admit(self.alias)
            else:
                return

    def reach(self) -> None:
        """Connect anew to see where the primary is, or whether it is back. Raises Django's errors.

        A primary found on a new timeline ends the connections to the old one. A pool that has lost its
        server tries again ever more rarely; it is replaced by a new one.
        """
        options = {k: v for k, v in self.settings_dict["OPTIONS"].items() if k != "pool"}
        pooled = self.settings_dict
        self.settings_dict = {**pooled, "OPTIONS": options}
        try:
            with self.wrap_database_errors, limited(CONNECT_TIMEOUT):
                super().connect()
        finally:
            self.close()
            self.settings_dict = pooled
        if outages.is_down(self.alias):
            self.close_pool()

    def give_up(self, error: BaseException) -> None:
        """Wake whoever still waits for a server, if it was silent; what it was asked may have been done.

        A server that turned us away may be at work for others.
        """
        if is_silence(error):
            lines.cut(self.alias)

    def get_new_connection(self, conn_params: dict[str, Any]) -> Any:
        opened = super().get_new_connection
        if self.pool is not None or not (self.follows or self.replica_of):
            return opened(conn_params)
        if self.follows:
            return following.connect(self.alias, conn_params, lambda **there: opened(there))
        connection = opened(conn_params)
        lines.add(self.alias, connection)
        return connection

    @property
    def pool(self) -> Any:
        if not self.settings_dict["OPTIONS"].get("pool"):
            return None
        with _making_pools:
            is_new = self.alias not in self._connection_pools  # type: ignore[attr-defined]  # no stub
            pool = super().pool
            if pool is None or not (self.follows or self.replica_of):
                return pool
            if is_new:
                self._prepare_pool(pool)
        return pools.Lender(pool, self.alias)

    def _prepare_pool(self, pool: Any) -> None:
        if self.follows:
            pools.follow_primary(pool, self.alias, is_unreachable)
            return
        pools.watch_replica(pool, self.alias)
        options = self.settings_dict["OPTIONS"].get("pool")
        if not isinstance(options, dict) or "timeout" not in options:
            pool.timeout = CONNECT_TIMEOUT

    def _cursor(self, name: str | None = None) -> Any:
        self._renew()
        return super()._cursor(name)  # type: ignore[misc]  # no stub

    def set_autocommit(self, autocommit: bool, *args: Any, **kwargs: Any) -> None:
        if not autocommit:  # a transaction is about to begin, and has sent nothing yet
            self._renew()
        super().set_autocommit(autocommit, *args, **kwargs)

    def _renew(self) -> None:
        """Drop a connection that is dead or leads to a former primary, if no transaction is lost with it."""
        connection = self.connection
        if connection is None or self._opening or self.in_atomic_block or not self.autocommit:
            return
        if not (self.follows or self.replica_of) or not (self._demoted or hung_up(connection)):
            return
        with suppress(self.Database.Error):
            connection.close()  # a pool takes a closed connection for lost, and makes another
        self.close()
