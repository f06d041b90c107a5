"""One row a session. A save replaces the row it has read; if another save came first, it merges into that.

Replacing is one statement, guarded by the row's version. Merging takes the row's lock first, where the database
has such locks, so that forty requests at once take turns instead of trying again and again.
"""

from __future__ import annotations

import json
from base64 import b64decode, b64encode
from contextlib import contextmanager, nullcontext
from datetime import datetime, timedelta
from functools import partial
from typing import TYPE_CHECKING, Any, TypeVar
from zlib import compress, decompress
from zlib import error as CompressionError  # noqa: N812 - a class, whatever its name

from django.db import (
    IntegrityError,
    InterfaceError,
    InternalError,
    OperationalError,
    connections,
    router,
    transaction,
)
from django.utils import timezone

from scalekit.sessions.conf import settings
from scalekit.sessions.events import (
    SESSION_STORE_FAILED,
    SESSION_UNREADABLE,
    SESSIONS_EXPIRED,
)
from scalekit.sessions.exceptions import SessionStoreUnavailable
from scalekit.sessions.records import Fields, Record, StoredSession
from scalekit.sessions.steps import Blocking
from scalekit.sessions.stores.base import Store

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
    from contextlib import AbstractContextManager

    from django.db.models import QuerySet

    from scalekit.sessions.models import Session
    from scalekit.sessions.records import Change
    from scalekit.sessions.steps import Steps


T = TypeVar("T")

NEVER = 0  # the version of a tombstone: no session has it, so no save finds one
LARGE = 2000  # characters
PACKED = "z"  # JSON text begins with a brace
COLUMNS = ("data", "created", "saved", "expires", "version", "ended")


class DatabaseStore(Store):
    """Sessions in the project's database: wherever its routers write them, and read there too."""

    uses_database = True

    def load(self, name: str) -> Steps[Record | None]:
        return (yield from asking("load", partial(self._load, name)))

    def exists(self, name: str) -> Steps[bool]:
        return (yield from asking("exists", lambda: rows().filter(name=name).exists()))

    def save(self, name: str, change: Change) -> Steps[Record | None]:
        return (yield from asking("save", partial(self._save, name, change)))

    def delete(self, name: str, tombstone: int = 0) -> Steps[None]:
        yield from asking("delete", partial(self._delete, [name], tombstone))

    def end(self, names: Sequence[str], tombstone: int = 0) -> Steps[None]:
        yield from asking("delete", partial(self._delete, names, tombstone))

    def has_ended(self, name: str) -> Steps[bool]:
        ended = {"name": name, "ended": True}
        return (yield from asking("load", lambda: rows().filter(**ended).exists()))

    def of_owner(self, owner: str) -> Steps[list[StoredSession]]:
        return (yield from asking("list", partial(self._of_owner, owner)))

    def clear_expired(self, batch: int = 1000) -> Iterator[int]:
        """Remove the oldest first. Rows that someone has locked are left for the next time."""
        while removed := self._clear(batch):
            SESSIONS_EXPIRED.emit(count=removed)
            yield removed

    def count_expired(self) -> int:
        return rows().filter(expires__lt=timezone.now()).count()

    def statistics(self) -> dict[str, int | str]:
        live = rows().filter(ended=False, expires__gte=timezone.now())
        return {
            "sessions": live.count(),
            "users": live.exclude(owner="").values("owner").distinct().count(),
            "expired": self.count_expired(),
            "database": write_alias(),
        }

    def _load(self, name: str) -> Record | None:
        try:
            return _record(rows().filter(name=name).values_list(*COLUMNS))
        except (ValueError, AttributeError, TypeError) as error:
            SESSION_UNREADABLE.emit(error=repr(error))
            return None

    def _save(self, name: str, change: Change) -> Record | None:
        if change.mode == "create":
            return self._insert(name, change)
        if change.seconds <= 0:
            removed, _ = rows().filter(name=name, ended=False).delete()
            return Record({}, 0, 0) if removed else None
        if change.mode == "update" and change.base is not None:
            replaced = self._replace(name, change, change.base)
            if replaced is not None:
                return replaced
        return self._merge(name, change)

    def _insert(self, name: str, change: Change) -> Record | None:
        now = timezone.now()
        values = _values(change.fields, change, now, now)
        try:
            with transaction.atomic(using=write_alias()):
                rows().create(name=name, created=now, **values)
        except IntegrityError:
            return None
        return _kept(change.fields, now.timestamp(), values, 1)

    def _replace(self, name: str, change: Change, current: Record) -> Record | None:
        """Write over `current`, if it is still what lies there."""
        merged, now = change.merged_into(current.fields), timezone.now()
        began = datetime.fromtimestamp(current.created, tz=now.tzinfo)
        values = _values(merged, change, now, began) | {"version": current.version + 1}
        if not rows().filter(name=name, version=current.version).update(**values):
            return None
        return _kept(merged, current.created, values, current.version + 1)

    def _merge(self, name: str, change: Change) -> Record | None:
        while True:
            with _locking():
                locked = rows().filter(name=name).select_for_update()
                current = _record(locked.values_list(*COLUMNS))
                if current is None:
                    return None
                record = self._replace(name, change, current)
                if record is not None:
                    return record

    def _delete(self, names: Sequence[str], tombstone: int) -> None:
        for name in names if tombstone else ():
            while not self._bury(name, tombstone):
                pass
        if not tombstone:
            rows().filter(name__in=names).delete()

    def _bury(self, name: str, seconds: int) -> bool:
        now = timezone.now()
        grave = {"ended": True, "version": NEVER, "data": "", "owner": "", "saved": now}
        grave["expires"] = now + timedelta(seconds=seconds)
        if rows().filter(name=name).update(**grave):
            return True
        try:
            with transaction.atomic(using=write_alias()):
                rows().create(name=name, created=now, **grave)
        except IntegrityError:  # made in between
            return False
        return True

    def _of_owner(self, owner: str) -> list[StoredSession]:
        of_owner = rows().filter(owner=owner, ended=False, expires__gt=timezone.now())
        found = of_owner.order_by("-saved").values_list("name", "created", "saved", "expires")
        return [StoredSession(name, *(t.timestamp() for t in times)) for name, *times in found]

    def _clear(self, batch: int) -> int:
        expired = rows().filter(expires__lt=timezone.now())
        size = min(batch, connections[expired.db].features.max_query_params or batch)
        with _locking():
            skip = connections[expired.db].features.has_select_for_update_skip_locked
            locked = expired.select_for_update(skip_locked=skip).order_by("expires")
            names = list(locked.values_list("name", flat=True)[:size])
            removed, _ = expired.filter(name__in=names).delete()
        return removed


def write_alias() -> str:
    """Return the database that takes the sessions. They are read there too: a replica may not know a logout yet."""
    from scalekit.sessions.models import Session

    return router.db_for_write(Session)


def rows() -> QuerySet[Session]:
    from scalekit.sessions.models import Session

    return Session.objects.using(write_alias())


@contextmanager
def answering(operation: str) -> Iterator[None]:
    """Turn what says that the database cannot answer just now into `SessionStoreUnavailable`.

    PostgreSQL calls a server that is read-only, as one failing over is, an internal error.
    """
    try:
        yield
    except (OperationalError, InterfaceError, InternalError) as error:
        SESSION_STORE_FAILED.emit(operation=operation, error=repr(error))
        raise SessionStoreUnavailable from error


def asking(operation: str, question: Callable[[], T]) -> Steps[T]:
    """Run an ORM function as a step."""

    def ask() -> T:
        with answering(operation):
            return question()

    answer: T = yield Blocking(ask)
    return answer


def _locking() -> AbstractContextManager[Any]:
    """SQLite has no row locks, and a transaction that reads before it writes may not get to write at all."""
    using = write_alias()
    has_locks = connections[using].features.has_select_for_update
    return transaction.atomic(using=using) if has_locks else nullcontext()


def _values(fields: Fields, change: Change, now: datetime, began: datetime) -> dict[str, Any]:
    expires = now + timedelta(seconds=change.seconds)
    if settings.ABSOLUTE_SECONDS:
        expires = min(expires, began + timedelta(seconds=settings.ABSOLUTE_SECONDS))
    return {"data": pack(fields), "owner": change.owner, "saved": now, "expires": expires}


def _kept(fields: Fields, created: float, values: Mapping[str, Any], version: int) -> Record:
    saved, expires = values["saved"].timestamp(), values["expires"].timestamp()
    return Record(fields, created, saved, version, expires)


def _record(found: Iterable[Any]) -> Record | None:
    """Return the one row of a query, unless the session is over: judged here, which is quicker than more SQL."""
    for data, created, saved, expires, version, ended in found:
        if not ended and expires > timezone.now():
            times = created.timestamp(), saved.timestamp()
            return Record(unpack(data), *times, version, expires.timestamp())
    return None


def pack(fields: Mapping[bytes, bytes]) -> str:
    """Return fields as JSON text, whatever bytes a serializer made (Latin-1 gives each byte a character)."""
    text = json.dumps({n.decode("latin-1"): v.decode("latin-1") for n, v in fields.items()})
    # What is larger than a page's quarter, PostgreSQL would compress itself, and more slowly.
    return text if len(text) < LARGE else PACKED + b64encode(compress(text.encode(), 1)).decode()


def unpack(data: str) -> Fields:
    """Return what was packed. Raises ValueError for anything else."""
    if data.startswith(PACKED):
        try:
            data = decompress(b64decode(data[1:])).decode()
        except CompressionError as error:
            raise ValueError(str(error)) from error
    return {n.encode("latin-1"): v.encode("latin-1") for n, v in json.loads(data).items()}
