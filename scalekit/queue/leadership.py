"""Who alone does something, and who is alive: rows of `Lease`, by the clock of the database."""

from __future__ import annotations

import os
import secrets
import socket
import time
from datetime import timedelta

from django.db.models import Q
from django.db.models.functions import Now

from scalekit.queue.models import Lease

BEAT_SECONDS = 10.0
ALIVE_SECONDS = 3 * BEAT_SECONDS

_beaten: dict[tuple[str, str, int], float] = {}  # by place and process -> when, by our own clock
_marks: dict[int, str] = {}


def me() -> str:
    """Return the name of this process as a holder: another process that gets its pid has another."""
    pid = os.getpid()
    mark = _marks.setdefault(pid, secrets.token_hex(4))
    return f"{socket.gethostname()}:{pid}:{mark}"


def hold(database: str, name: str, seconds: float) -> bool:
    """Take the lease `name` for so many seconds, or renew it; False while another process has it."""
    rows = Lease.objects.using(database).filter(name=name)
    until = Now() + timedelta(seconds=seconds)
    if rows.filter(Q(holder=me()) | Q(until__lte=Now())).update(holder=me(), until=until):
        return True
    if rows.exists():
        return False
    Lease.objects.using(database).bulk_create(
        [Lease(name=name, holder=me(), until=until)], ignore_conflicts=True
    )
    return rows.filter(holder=me()).exists()


def let_go(database: str, name: str) -> None:
    """End the lease `name`, if it is this process's, so that another need not wait for its end."""
    Lease.objects.using(database).filter(name=name, holder=me()).update(until=Now())


def beat(database: str, name: str) -> None:
    """Say, now and then, that some process does `name`. Whoever does so last is the holder."""
    key, now = (database, name, os.getpid()), time.monotonic()
    if key in _beaten and now < _beaten[key] + BEAT_SECONDS:
        return
    until = Now() + timedelta(seconds=ALIVE_SECONDS)
    rows = Lease.objects.using(database)
    if not rows.filter(name=name).update(holder=me(), until=until):
        rows.bulk_create([Lease(name=name, holder=me(), until=until)], ignore_conflicts=True)
    _beaten[key] = now


def is_alive(database: str, name: str) -> bool:
    """Tell whether some process has said so within `ALIVE_SECONDS`."""
    return Lease.objects.using(database).filter(name=name, until__gte=Now()).exists()
