"""Take locks on tables that others are using, without ever being a deadlock of theirs."""

from __future__ import annotations

import random
import time
from typing import TYPE_CHECKING, Any

from django.db import OperationalError, connections, transaction

if TYPE_CHECKING:
    from collections.abc import Callable

LOCK_SECONDS = 0.3  # below deadlock_timeout, which is 1 s: nobody else is chosen to give way
PATIENCE = 60.0  # seconds


def with_locks(alias: str, work: Callable[[Any], None], patience: float = PATIENCE) -> float:
    """Call `work` with a cursor in a transaction; return how long others waited at most, in seconds.

    A lock is waited for only a moment; then all are let go, and it is tried again. Raises `OperationalError` if
    `patience` seconds were not enough, since open transactions kept a table; then nothing has changed.
    """
    end = time.monotonic() + patience
    while True:
        started = time.monotonic()
        try:
            with transaction.atomic(using=alias), connections[alias].cursor() as cursor:
                cursor.execute(f"SET LOCAL lock_timeout = {round(LOCK_SECONDS * 1000):d}")
                work(cursor)
        except OperationalError:
            if time.monotonic() > end:
                raise
            time.sleep(random.uniform(0, LOCK_SECONDS))  # noqa: S311 - nobody is to guess it
        else:
            return time.monotonic() - started
