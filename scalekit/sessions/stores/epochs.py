"""Whether what lies in Redis may be believed. The database knows: an entry must carry its epoch.

A process that could not tell Redis of a change opens a new epoch in the database, and for a while nobody uses Redis
at all: nobody believes the entries from before, and nobody makes new ones until all have heard of it. The epoch also
names the server process that answered, so a Redis that was restarted from an old file, or replaced by a
replica that lagged, is not believed either.
"""

from __future__ import annotations

from contextlib import suppress
from dataclasses import dataclass
from datetime import timedelta
from functools import partial
from time import monotonic
from typing import TYPE_CHECKING

from django.db import IntegrityError, router, transaction
from django.db.models import F
from django.db.models.functions import Now

from scalekit.sessions.conf import settings
from scalekit.sessions.events import SESSION_CACHE_DISTRUSTED
from scalekit.sessions.exceptions import SessionStoreUnavailable
from scalekit.sessions.servers import Command, current_server
from scalekit.sessions.steps import Blocking
from scalekit.sessions.stores.database import answering, write_alias

if TYPE_CHECKING:
    from django.db.models import QuerySet

    from scalekit.sessions.models import Epoch
    from scalekit.sessions.steps import Steps

WINDOW = (
    10.0  # seconds for which nobody uses Redis; all processes must hear of it well before its end
)


@dataclass(frozen=True, slots=True)
class Sight:
    """What the database said, and when. Times are this process's monotonic clock."""

    number: int
    distrusted_until: float
    seen_at: float
    generation: int

    @property
    def fresh(self) -> bool:
        return monotonic() - self.seen_at < min(settings.EPOCH_SECONDS, WINDOW / 2)


class Epochs:
    """What a process has seen of the epoch, never older than SCALEKIT_SESSIONS_EPOCH_SECONDS."""

    def __init__(self) -> None:
        self._sight: Sight | None = None

    def known(self) -> Steps[str | None]:
        """Return the epoch for what is about to be read or written; None if Redis is not to be used now."""
        if not current_server().generation:
            yield from self._meet()
        sight = self._sight
        if sight is None or not sight.fresh:
            sight = yield from self._look()
        return self._name(sight)

    def current(self) -> Steps[str | None]:
        """Return the epoch that an entry just read must carry, looking again after any trouble with Redis."""
        sight = self._sight
        heard_all = sight is not None and sight.generation == current_server().generation
        if sight is None or not heard_all or not sight.fresh:
            sight = yield from self._look()
        return self._name(sight)

    def distrust(self) -> Steps[None]:
        """Begin a new epoch, unless the one just begun still has half of its window before it."""
        sight = self._sight
        if sight is None or sight.distrusted_until - monotonic() < WINDOW / 2:
            begun: Sight = yield Blocking(_begin)
            self._sight = begun
            SESSION_CACHE_DISTRUSTED.emit(epoch=begun.number)

    def forget(self) -> None:
        self._sight = None

    def _meet(self) -> Steps[None]:
        """Connect for the first time, since the epoch names who answers there."""
        with suppress(SessionStoreUnavailable):
            yield Command("ping", "PING")

    def _look(self) -> Steps[Sight]:
        old, generation = self._sight, current_server().generation
        try:
            sight: Sight = yield Blocking(partial(_read, generation))
        except SessionStoreUnavailable:
            # While the primary is down no logout succeeds, so what was true stays true, if we missed nothing.
            if old is not None and old.generation == generation:
                return old
            sight = yield Blocking(partial(_read_replica, generation))
            if old is not None and sight.number < old.number:
                raise
        self._sight = sight
        return sight

    def _name(self, sight: Sight) -> str | None:
        if sight.distrusted_until > monotonic():
            return None
        return f"{sight.number}:{current_server().identity}"


def _rows(using: str | None = None) -> QuerySet[Epoch]:
    from scalekit.sessions.models import Epoch

    return Epoch.objects.using(using or write_alias())


def _read(generation: int, using: str | None = None) -> Sight:
    asked_at = monotonic()
    with answering("epoch"):
        row = _rows(using).values_list("number", "distrusted_until", Now()).first()
    if row is None:
        return Sight(0, 0.0, asked_at, generation)
    number, until, now = row
    return Sight(number, monotonic() + (until - now).total_seconds(), asked_at, generation)


def _read_replica(generation: int) -> Sight:
    """Read where the project's routers let this request read. Raises `SessionStoreUnavailable` if nowhere else.

    An epoch comes before the logout it is for, so a replica that lacks it lacks the logout as well: if
    the primary never comes back, neither has happened.
    """
    from scalekit.sessions.models import Epoch

    with answering("epoch"):
        using = router.db_for_read(Epoch)
    if using == write_alias():
        raise SessionStoreUnavailable
    return _read(generation, using)


def _begin() -> Sight:
    with answering("epoch"):
        until = Now() + timedelta(seconds=WINDOW)
        change = {"number": F("number") + 1, "distrusted_until": until}
        if not _rows().update(**change):
            try:
                with transaction.atomic(using=write_alias()):
                    _rows().create(number=1, distrusted_until=until)
            except IntegrityError:  # another process was first
                _rows().update(**change)
    return _read(current_server().generation)
