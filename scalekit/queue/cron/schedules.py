"""When a cron expression is due, in a time zone: pure, by the rules of Debian's cron.

Clocks are put forward and back. An entry at a fixed hour is due once on such a day: a time that the clock
jumps over is made up for at the first moment after the jump, and of a time that comes twice the first
counts. An entry whose minutes or hours are open (``*``) follows the time that really passes: every hour,
also the hour that comes twice.
"""

from __future__ import annotations

from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from functools import lru_cache
from itertools import takewhile
from typing import TYPE_CHECKING

from scalekit.queue.exceptions import CronInvalid, DependencyMissing

try:
    from cronsim import CronSim, CronSimError
except ModuleNotFoundError as missing:
    raise DependencyMissing from missing

if TYPE_CHECKING:
    from collections.abc import Iterator
    from zoneinfo import ZoneInfo

NAMES = {
    "@yearly": "0 0 1 1 *",
    "@annually": "0 0 1 1 *",
    "@monthly": "0 0 1 * *",
    "@weekly": "0 0 * * 0",
    "@daily": "0 0 * * *",
    "@midnight": "0 0 * * *",
    "@hourly": "0 * * * *",
}
FIELDS = 5  # minute, hour, day of the month, month, day of the week
LONGEST = 200  # characters of an expression
REMEMBERED = 512  # expressions
FIRST_LOOK = timedelta(
    minutes=2
)  # into the past, for the latest time; further only if there is none
WIDER = 8  # times as far at each further look
SOME_DAY = datetime(2024, 1, 1, tzinfo=UTC)  # nothing depends on which
EXPECTED = (
    'Write five fields, minute, hour, day of the month, month and day of the week, as "0 3 * * *" '
    f'(every night at three) or "*/10 8-18 * * MON-FRI", or one of {", ".join(NAMES)}.'
)


@dataclass(frozen=True, slots=True)
class Schedule:
    """A cron expression in a time zone. Make it with `read`."""

    expression: str  # as Debian's cron reads it
    zone: ZoneInfo

    @classmethod
    def read(cls, text: str, zone: ZoneInfo) -> Schedule:
        """Return the schedule that `text` means. Raises `CronInvalid` with what is wrong and what to write."""
        return cls(_expression(text), zone)

    def __str__(self) -> str:
        return f"{self.expression} {self.zone.key}"

    def after(self, moment: datetime) -> Iterator[datetime]:
        """Yield, in UTC, the times after the aware `moment` at which this is due, in order, each once."""
        for due in CronSim(self.expression, moment.astimezone(self.zone)):
            due_at = due.astimezone(UTC)
            # In the hour that comes twice, times at fixed hours are told as those of the first pass.
            if due_at > moment:
                moment = due_at
                yield due_at

    def latest(self, after: datetime, until: datetime) -> datetime | None:
        """Return the last time due after `after` and not later than `until`; None if there is none."""
        span = FIRST_LOOK
        while True:
            begin = max(after, until - span)
            found = list(takewhile(lambda due_at: due_at <= until, self.after(begin)))
            if found or begin == after:
                return found[-1] if found else None
            span *= WIDER


@lru_cache(REMEMBERED)
def _expression(text: str) -> str:
    shown = repr(text[:LONGEST])
    fields = NAMES.get(text.strip().lower(), text).split()
    if len(fields) != FIELDS or len(text) > LONGEST:
        raise CronInvalid(f"{shown} is no cron expression. {EXPECTED}")
    expression = _open_where_all_are_named(" ".join(fields))
    if next(CronSim(expression, SOME_DAY), None) is None:
        raise CronInvalid(f"{shown} never comes: no such day is in the calendar. {EXPECTED}")
    return expression


def _open_where_all_are_named(expression: str) -> str:
    """Write ``*`` for 0-23 and 0-59: "every hour" is to mean every hour, however it was spelt."""
    try:
        sim = CronSim(expression, SOME_DAY)
    except CronSimError as error:
        raise CronInvalid(f"{expression!r} is no cron expression: {error}. {EXPECTED}") from error
    minutes, hours, *days = expression.split()
    if len(sim.minutes) == timedelta(hours=1) // timedelta(minutes=1):
        minutes = "*"
    if len(sim.hours) == timedelta(days=1) // timedelta(hours=1):
        hours = "*"
    return " ".join([minutes, hours, *days])
