"""A PostgreSQL server among others: streaming, lag, promotion, and the way back."""

from __future__ import annotations

import contextlib
from typing import TYPE_CHECKING, Self

from scalekit.testing.servers.exceptions import ServerError, ServerTimeout
from scalekit.testing.servers.interrupts import deferred
from scalekit.testing.servers.spawning import tail

from . import data
from .instance import Instance
from .settings import Settings, conninfo

if TYPE_CHECKING:
    from collections.abc import Iterator

_MAKE_SLOT = """\
SELECT pg_create_physical_replication_slot(%s, true)
WHERE NOT EXISTS (SELECT FROM pg_replication_slots WHERE slot_name = %s)"""
# Asked of the upstream: a receiver calls itself streaming before it has found out that it may not.
_IS_FOLLOWED = "SELECT active FROM pg_replication_slots WHERE slot_name = %s"
_HAS_REPLAYED = "SELECT pg_last_wal_replay_lsn() >= %s::pg_lsn"
_POSITION = """\
SELECT CASE WHEN pg_is_in_recovery() THEN pg_last_wal_replay_lsn() ELSE pg_current_wal_insert_lsn() END::text"""


class Postgres(Instance):
    """A primary, or a standby that streams from its `upstream`."""

    upstream: Postgres | None = None

    @property
    def is_standby(self) -> bool:
        """Whether the server itself says that it is in recovery, and so refuses writes."""
        return bool(self.value("SELECT pg_is_in_recovery()"))

    def position(self) -> str:
        """Return the end of its write-ahead log (LSN): what it has written, or as a standby replayed."""
        return str(self.value(_POSITION))

    def pause_replay(self) -> None:
        """Let a standby receive changes without showing them, and return when it has stopped doing so."""
        self.execute("SELECT pg_wal_replay_pause()")
        self.waits.until(
            lambda: self.value("SELECT pg_get_wal_replay_pause_state()") == "paused",
            f"pausing the replay of {self.name}",
        )

    def resume_replay(self) -> None:
        """Let a standby show again what it receives."""
        self.execute("SELECT pg_wal_replay_resume()")

    @contextlib.contextmanager
    def replay_paused(self) -> Iterator[Self]:
        """Pause its replay for the length of a `with` block."""
        self.pause_replay()
        try:
            yield self
        finally:
            if self.running:
                self.resume_replay()

    def delay_replay(self, seconds: float) -> None:
        """Let a standby show every commit `seconds` late; 0 ends that. It needs no restart."""
        value = f"{round(seconds * 1000)}ms"
        self.configure(recovery_min_apply_delay=value)
        shown = "SELECT setting::int FROM pg_settings WHERE name = 'recovery_min_apply_delay'"
        self.waits.until(
            lambda: bool(self.value(shown) == round(seconds * 1000)), f"delaying {self.name}"
        )

    def catch_up(self, seconds: float | None = None) -> None:
        """Return when a standby shows all that its upstream has written by now, at most after `seconds`."""
        target = self._upstream().position()
        self.waits.until(
            lambda: bool(self.value(_HAS_REPLAYED, [target])),
            f"{self.name} replaying up to {target}",
            seconds,
        )

    def promote(self) -> None:
        """Make a standby a primary, and return when it takes writes. Its old upstream is not touched."""
        self.execute("SELECT pg_promote(true, %s)", [round(self.waits.act)])
        self.waits.until(lambda: not self.is_standby, f"promoting {self.name}")
        self.upstream = None
        self.reload()

    def follow(self, new_primary: Postgres) -> None:
        """Let a running standby stream from another server, and return when it does."""
        self._point_at(new_primary)
        self.reload()
        self.wait_streaming()

    def rewind_to(self, new_primary: Postgres) -> None:
        """Bring a former primary back as a standby of the one that took over, dropping what only it has written."""
        self.stop()
        # Before its first checkpoint the new primary's control file still names the old timeline, and pg_rewind
        # would find nothing to do (PostgreSQL 15).
        new_primary.execute("CHECKPOINT")
        self.tools.rewind(self.data_folder, new_primary.dsn)
        self._point_at(new_primary)
        self._become_standby()
        self.start()
        self.wait_streaming()

    def wait_streaming(self, seconds: float | None = None) -> None:
        """Return when a standby streams from its upstream, at most after `seconds`."""
        upstream = self._upstream()
        limit = self.waits.act if seconds is None else seconds
        if not self.waits.happens(
            lambda: upstream.execute(_IS_FOLLOWED, [self.name]) == [(True,)], limit
        ):
            raise ServerTimeout(
                f"{self.name} did not stream from {upstream.name} within {limit:g} s; {tail(self.log)}"
            )

    def prepare(self) -> None:
        """Make what is missing. Raises `ServerError` for data that was left in the other role, as by a promotion."""
        super().prepare()
        if (self.data_folder / "standby.signal").exists() != (self.upstream is not None):
            was = "a primary" if self.upstream else "a standby"
            raise ServerError(
                f"{self.name} was {was} when {self.folder} was last used: remove that folder to begin anew"
            )

    def make_data(self) -> None:
        """Copy the upstream, or make a fresh cluster when there is none."""
        if not self.upstream:
            super().make_data()
            return
        self._point_at(self.upstream)
        with data.finished(self.data_folder, self.account) as copy:
            self.tools.basebackup(copy, self.upstream.dsn, self.name)
        self._become_standby()

    def role_settings(self) -> Settings:
        """Return where a standby streams from."""
        if not self.upstream:
            return {}
        access = self.upstream.access()
        source = conninfo(
            host=access.host,
            port=access.port,
            user="postgres",
            password=access.password,
            application_name=self.name,
        )
        return {"primary_conninfo": source, "primary_slot_name": self.name}

    def _point_at(self, primary: Postgres) -> None:
        """Take `primary` as upstream, which keeps from now on what we have not received (a slot)."""
        if primary is self:
            raise ServerError(f"{self.name} cannot follow itself")
        primary.execute(_MAKE_SLOT, [self.name, self.name])
        self.upstream = primary
        self._share_password(primary)

    def _become_standby(self) -> None:
        """Mark the data directory as a standby's, and drop the settings that came with the copy."""
        with deferred():
            (self.data_folder / "postgresql.auto.conf").write_text("")
            (self.data_folder / "standby.signal").touch()
            self.account.adopt(self.data_folder)

    def _share_password(self, primary: Postgres) -> None:
        password = self.folder / data.PASSWORD_FILE
        password.touch(mode=0o600)
        password.write_text(primary.password)

    def _upstream(self) -> Postgres:
        if self.upstream is None:
            raise ServerError(f"{self.name} is no standby of another server")
        return self.upstream
