"""The database is the truth, Redis the speed: read from there if it may be believed, written through after each save.

Redis may vanish, freeze, forget or come back with what it knew an hour ago: no answer of this store depends on it. What
it holds is believed only in the present epoch (`epochs`), filled only under a lease, and never after a tombstone.
"""

from __future__ import annotations

from functools import partial
from secrets import token_hex
from time import time
from typing import TYPE_CHECKING, Any

from django.db import connections, transaction

from scalekit.sessions.events import SESSION_CACHE_READ
from scalekit.sessions.exceptions import SessionStoreUnavailable
from scalekit.sessions.records import Record
from scalekit.sessions.servers import Script, current_server
from scalekit.sessions.steps import Blocking, finish
from scalekit.sessions.stores.base import Store
from scalekit.sessions.stores.database import DatabaseStore, write_alias
from scalekit.sessions.stores.epochs import Epochs

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

    from scalekit.sessions.records import Change, StoredSession
    from scalekit.sessions.steps import Steps

PREFIX = "scalekit:session-entry:"
LEASE = 10  # seconds within which the database must have answered for its answer to be kept
TOMBSTONE = 60  # seconds; longer than a transaction that ends a session should take to commit
LONGEST = 86400  # seconds that an entry stays; the session may live longer in the database

LOAD = Script.beside(__file__, "entry_load")
FILL = Script.beside(__file__, "entry_fill")
WRITE = Script.beside(__file__, "entry_write")
BURY = Script.beside(__file__, "entry_bury")


class HybridStore(Store):
    """Sessions in the database, with copies in Redis."""

    uses_redis = uses_database = True

    def __init__(self) -> None:
        self.truth, self.epochs = DatabaseStore(), Epochs()

    def load(self, name: str) -> Steps[Record | None]:
        epoch = yield from self.epochs.known()
        token = token_hex(8)
        entry = None if epoch is None else (yield from self._look(name, epoch, token))
        cached = _record(entry) if entry else None
        if entry and cached:
            if entry[b"epoch"].decode() == (yield from self.epochs.current()):
                SESSION_CACHE_READ.emit(result="hit")
                return cached
            SESSION_CACHE_READ.emit(result="disbelieved")
        record = yield from self.truth.load(name)
        has_lease = entry is not None and entry.get(b"lease") == token.encode()
        if record and has_lease and (yield Blocking(_saw_the_present)):
            yield from self._told(FILL("fill", [PREFIX + name], token, *_entry(record, epoch)))
        return record

    def exists(self, name: str) -> Steps[bool]:
        return (yield from self.truth.exists(name))

    def save(self, name: str, change: Change) -> Steps[Record | None]:
        # Taken before the database commits: had the session ended in between, its epoch would be the old one.
        epoch = yield from self.epochs.known()
        record = yield from self.truth.save(name, change)
        if record is None:
            return None
        if change.seconds <= 0 or (yield Blocking(partial(self._is_uncommitted, [name]))):
            telling = BURY("fill", [PREFIX + name], TOMBSTONE)
        elif change.mode == "create":
            return record  # nobody has looked for it yet
        elif epoch is None:
            telling = WRITE("fill", [PREFIX + name], "", 0)
        else:
            telling = WRITE("fill", [PREFIX + name], record.version, *_entry(record, epoch))
        if not (yield from self._told(telling)):
            yield from self.epochs.distrust()
        return record

    def delete(self, name: str, tombstone: int = 0) -> Steps[None]:
        yield from self.end([name], tombstone)

    def end(self, names: Sequence[str], tombstone: int = 0) -> Steps[None]:
        """Bury the entries before and after: a reader in between goes to the database and keeps nothing."""
        yield from self._bury(names)
        yield from self.truth.end(names, tombstone)
        yield Blocking(partial(self._is_uncommitted, names))
        yield from self._bury(names)

    def has_ended(self, name: str) -> Steps[bool]:
        return (yield from self.truth.has_ended(name))

    def of_owner(self, owner: str) -> Steps[list[StoredSession]]:
        return (yield from self.truth.of_owner(owner))

    def clear_expired(self, batch: int = 1000) -> Iterator[int]:
        return self.truth.clear_expired(batch)

    def count_expired(self) -> int:
        return self.truth.count_expired()

    def statistics(self) -> dict[str, int | str]:
        return self.truth.statistics()

    def _look(self, name: str, epoch: str, token: str) -> Steps[dict[bytes, bytes] | None]:
        """Return the entry, or the lease to fill it; None if Redis does not answer."""
        try:
            flat = yield from LOAD("load", [PREFIX + name], epoch, token, LEASE)
        except SessionStoreUnavailable:
            _leave_alone()
            SESSION_CACHE_READ.emit(result="failed")
            return None
        entry = dict(zip(flat[::2], flat[1::2], strict=True))
        if b"version" not in entry:
            SESSION_CACHE_READ.emit(result="miss")
        return entry

    def _bury(self, names: Sequence[str]) -> Steps[None]:
        for name in names:
            if not (yield from self._told(BURY("delete", [PREFIX + name], TOMBSTONE))):
                yield from self.epochs.distrust()
                return

    def _is_uncommitted(self, names: Sequence[str]) -> bool:
        """Tell whether what was just done may be rolled back; if so, drop after its commit what was kept meanwhile."""
        using = write_alias()
        if not connections[using].in_atomic_block:
            return False
        transaction.on_commit(lambda: finish(self._drop(names)), using=using, robust=True)
        return True

    def _drop(self, names: Sequence[str]) -> Steps[None]:
        for name in names:
            if not (yield from self._told(WRITE("fill", [PREFIX + name], "", 0))):
                yield from self.epochs.distrust()
                return

    def _told(self, telling: Steps[Any]) -> Steps[bool]:
        """Tell Redis; return whether it has heard."""
        try:
            yield from telling
        except SessionStoreUnavailable:
            _leave_alone()
            return False
        return True


def _leave_alone() -> None:
    """Ask no more for a while, also if a refusal costs no time: the database answers, and each failure is logged."""
    breaker = current_server().breaker
    if not breaker.is_open:
        breaker.failed()


def _entry(record: Record, epoch: str | None) -> list[Any]:
    head = {
        "version": record.version,
        "epoch": epoch,
        "created": record.created,
        "saved": record.saved,
        "expires": record.expires,
    }
    seconds = max(1, min(int(record.expires - time()), LONGEST))
    return [seconds, *(part for pair in (*head.items(), *record.fields.items()) for part in pair)]


def _record(entry: dict[bytes, bytes]) -> Record | None:
    """Return what an entry holds; None if that is a lease, a tombstone, over, or damaged."""
    fields = {name: value for name, value in entry.items() if name.startswith(b"key:")}
    try:
        created, saved, expires = (float(entry[n]) for n in (b"created", b"saved", b"expires"))
        record = Record(fields, created, saved, int(entry[b"version"]), expires)
    except (KeyError, ValueError):
        return None
    return record if expires > time() and b"epoch" in entry else None


def _saw_the_present() -> bool:
    """Tell whether the last read saw all that was committed: a transaction may keep to the snapshot it began with."""
    connection = connections[write_alias()]
    level = getattr(connection, "isolation_level", None)
    name = str(getattr(level, "name", level)).lower().replace("_", " ")
    return not connection.in_atomic_block or name == "read committed"
